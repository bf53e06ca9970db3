"""Find the code that a function reaches, by reading source files and importing nothing.

The walk goes from symbol to symbol. A symbol is a name at the top level of a module: a function, a class with
all its methods, or a constant. It leads to every symbol that its code loads, of its own module or through an
import, at the top of the module or inside the function.

- The annotations of a class's fields count as code, since records are read from files by them. Other
  annotations lead nowhere, nor do the type in a `cast`, a name under `if TYPE_CHECKING`, and a module that
  only hands a name on.
- A table leads to the entries "module:name" that it names, since any of them may be asked for.
- The function in which the walk begins leads to the types of its parameters.

The walk does not see a method of an object whose class is named nowhere on the way.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Set
from pathlib import Path
from typing import NamedTuple

from parsed_code import (
    Import,
    Load,
    Module,
    every_load,
    imported_inside,
    names_loaded,
    read_module,
    table_entries,
)

TELLS_NAMES = frozenset({"table", "package"})  # methods of a table that load none of its entries


class Symbol(NamedTuple):
    """A name at the top level of a module, or what such a table names: then the name ends with "[]"."""

    module: str
    name: str

    @classmethod
    def of(cls, text: str) -> "Symbol":
        """Return the symbol that "module:name" names."""
        return cls(*text.split(":"))

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"


class Source:
    """The source code of one package, and what each of its symbols leads to.

    Args:
        root: the directory of the package; its name is the package's.
        absent: inputs and settings that are None: no branch is taken that needs one of them.
    """

    def __init__(self, root: Path, absent: Set[str] = frozenset()) -> None:
        self._root, self._absent = root, absent
        self._modules: dict[str, Module] = {}
        self._links: dict[Symbol, list[Symbol]] = {}

    def links(self, symbol: Symbol) -> list[Symbol]:
        """Return the symbols that a symbol leads to."""
        if symbol not in self._links:
            self._links[symbol] = list(dict.fromkeys(self._found(symbol)))
        return self._links[symbol]

    def types_of_parameters(self, function: Symbol) -> list[Symbol]:
        """Return the symbols in the annotations of a function's parameters."""
        annotations = self._module(function.module).parameters[function.name]
        loads = sorted({load for annotation in annotations for load in names_loaded(annotation)})
        return [found for load in loads for found in self._meant(function.module, load)]

    def _found(self, symbol: Symbol) -> Iterator[Symbol]:
        name = symbol.name.removesuffix("[]")
        statements = self._module(symbol.module).statements[name]
        if name != symbol.name:
            entries = (Symbol(*entry) for entry in table_entries(statements))
            yield from (entry for entry in entries if self._is_ours(entry.module))
            return
        for statement in statements:
            inside = imported_inside(statement, symbol.module)
            for load in sorted(names_loaded(statement)):
                yield from self._meant(symbol.module, load)
            for load in every_load(statement):
                if load.name in inside:
                    yield from self._followed(inside[load.name], load.attributes)

    def _meant(self, module: str, load: Load) -> Iterator[Symbol]:
        """Yield the symbols that a name stands for in a module: none if it is not of this package."""
        found = self._module(module)
        if load.name in found.statements:
            yield Symbol(module, load.name)
            only_names = TELLS_NAMES.intersection(load.attributes[:1])
            if not only_names and table_entries(found.statements[load.name]):
                yield Symbol(module, f"{load.name}[]")
        if load.name in found.imports:
            yield from self._followed(found.imports[load.name], load.attributes)

    def _followed(self, imported: Import, attributes: tuple[str, ...]) -> Iterator[Symbol]:
        """Yield the symbols that an import stands for, and the attributes that are taken of it."""
        module, name = imported
        if not self._is_ours(module):
            return
        if name:
            whole = f"{module}.{name}"
            if name in (found := self._module(module)).statements or name in found.imports:
                yield from self._meant(module, Load(name, attributes))
            elif self._file(whole):
                yield from self._followed(Import(whole), attributes)
            else:
                raise LookupError(f"{module} has no {name}")
        elif attributes:
            yield from self._followed(Import(module, attributes[0]), attributes[1:])
        else:  # the module is handed on as an object
            yield from (Symbol(module, name) for name in self._module(module).statements)

    def _is_ours(self, module: str) -> bool:
        return module.partition(".")[0] == self._root.name

    def _file(self, module: str) -> Path | None:
        place = self._root.joinpath(*module.split(".")[1:])
        files = (place / "__init__.py", place.with_suffix(".py"))
        return next((file for file in files if file.is_file()), None)

    def _module(self, name: str) -> Module:
        if name not in self._modules:
            file = self._file(name)
            if file is None:
                raise LookupError(f"no module {name}")
            self._modules[name] = read_module(name, file.read_text(), self._absent)
        return self._modules[name]


class Walk:
    """A walk from one function through the source code of a package.

    Args:
        source: where to walk.
        start: the function.
        also: symbols that it reaches unseen.
        closed: modules at which the walk ends.
        ends: symbols at which it ends.
    """

    def __init__(
        self,
        source: Source,
        start: Symbol,
        also: Iterable[Symbol] = (),
        *,
        closed: Set[str] = frozenset(),
        ends: Set[Symbol] = frozenset(),
    ) -> None:
        self._from: dict[Symbol, Symbol | None] = {start: None}
        self._ends = ends
        waiting = deque([start])
        for symbol in (*also, *source.types_of_parameters(start)):
            self._reach(symbol, start, waiting)
        while waiting:
            symbol = waiting.popleft()
            if symbol.module not in closed and symbol not in ends:
                for found in source.links(symbol):
                    self._reach(found, symbol, waiting)

    def _reach(self, symbol: Symbol, before: Symbol, waiting: deque[Symbol]) -> None:
        if symbol not in self._from:
            self._from[symbol] = before
            waiting.append(symbol)

    @property
    def symbols(self) -> Set[Symbol]:
        """Every symbol that was reached."""
        return self._from.keys()

    @property
    def modules(self) -> dict[str, Symbol]:
        """The modules that were reached, each with the first of its symbols at which the walk did not end."""
        return {symbol.module: symbol for symbol in reversed(self._from) if symbol not in self._ends}

    def chain(self, symbol: Symbol) -> str:
        """Return how the walk came to a symbol."""
        steps = [symbol]
        while before := self._from[steps[-1]]:
            steps.append(before)
        return " -> ".join(map(str, reversed(steps)))
