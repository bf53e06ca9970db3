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

import ast
import re
import symtable
from collections import deque
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

ENTRY = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)")  # of a table
TELLS_NAMES = frozenset({"table", "package"})  # methods of a table that load none of its entries
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_Imports = ast.Import | ast.ImportFrom


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


class Load(NamedTuple):
    """A name that code loads, and the attributes that it takes of it: `a.b.c` is ("a", ("b", "c"))."""

    name: str
    attributes: tuple[str, ...] = ()


class Import(NamedTuple):
    """What an imported name stands for: a name of a module, or, if it has none, the module."""

    module: str
    name: str = ""


@dataclass
class Module:
    """The source code of a module, by the names at its top level.

    Attributes:
        statements: what binds each name, without imports.
        imports: what each imported name stands for.
        parameters: annotations of the parameters of each function.
    """

    statements: dict[str, list[ast.stmt]] = field(default_factory=dict[str, list[ast.stmt]])
    imports: dict[str, Import] = field(default_factory=dict[str, Import])
    parameters: dict[str, list[ast.expr]] = field(default_factory=dict[str, list[ast.expr]])


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
        loads = sorted({load for annotation in annotations for load in _loads(annotation)})
        return [found for load in loads for found in self._meant(function.module, load)]

    def _found(self, symbol: Symbol) -> Iterator[Symbol]:
        name = symbol.name.removesuffix("[]")
        statements = self._module(symbol.module).statements[name]
        if name != symbol.name:
            yield from (entry for entry in _entries(statements) if self._is_ours(entry.module))
            return
        for statement in statements:
            inside = {
                bound: imported
                for node in ast.walk(statement)
                if isinstance(node, _Imports)
                for bound, imported in _imported(node, symbol.module)
            }
            for load in sorted(_loads(statement)):
                yield from self._meant(symbol.module, load)
            for load in _chains(statement):
                if load.name in inside:
                    yield from self._followed(inside[load.name], load.attributes)

    def _meant(self, module: str, load: Load) -> Iterator[Symbol]:
        """Yield the symbols that a name stands for in a module: none if it is not of this package."""
        found = self._module(module)
        if load.name in found.statements:
            yield Symbol(module, load.name)
            if not TELLS_NAMES.intersection(load.attributes[:1]) and _entries(found.statements[load.name]):
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
        return next(
            (file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()), None
        )

    def _module(self, name: str) -> Module:
        if name not in self._modules:
            file = self._file(name)
            if file is None:
                raise LookupError(f"no module {name}")
            self._modules[name] = self._read(name, ast.parse(file.read_text()))
        return self._modules[name]

    def _read(self, name: str, tree: ast.Module) -> Module:
        module = Module()
        for statement in tree.body:
            if isinstance(statement, ast.FunctionDef):
                annotations = [argument.annotation for argument in statement.args.args]
                module.parameters[statement.name] = [found for found in annotations if found]
        cleaned = ast.fix_missing_locations(_Cleaner(self._absent).visit(tree))
        for statement in _flattened(cleaned.body):
            if isinstance(statement, _Imports):
                module.imports |= dict(_imported(statement, name))
            for bound in _bound(statement):
                module.statements.setdefault(bound, []).append(statement)
        return module


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


class _Cleaner(ast.NodeTransformer):
    """Removes what only people and type checkers read, and the branches and fields that are not there."""

    def __init__(self, absent: Set[str]) -> None:
        self._absent = absent

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(node.arg)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        for place, part in enumerate(node.body):
            if isinstance(part, ast.AnnAssign):
                node.body[place] = ast.Pass() if ast.unparse(part.target) in self._absent else _field(part)
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        return self.generic_visit(ast.Assign([node.target], node.value)) if node.value else ast.Pass()

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "cast":
            node.args[0] = ast.Constant(None)
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST:
        if self._is_false(node.test):
            node.test, node.body = ast.Constant(False), [ast.Pass()]
        return self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        return self.visit(node.orelse) if self._is_false(node.test) else self.generic_visit(node)

    def _is_false(self, test: ast.expr) -> bool:
        """Return whether a condition is `TYPE_CHECKING`, `….name` of something absent, or that `and` more."""
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            return any(map(self._is_false, test.values))
        if isinstance(test, ast.Attribute):
            return test.attr in self._absent
        return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def _field(node: ast.AnnAssign) -> ast.stmt:
    """Return a field of a class as a statement that loads its type and its default."""
    said = node.annotation
    if isinstance(said, ast.Constant) and isinstance(said.value, str):
        said = ast.parse(said.value, mode="eval").body
    parts = [] if "ClassVar" in ast.unparse(said) else [said]
    return ast.Expr(ast.Tuple([*parts, *filter(None, [node.value])], ast.Load()))


def _flattened(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module, those in an `if` or a `try` too."""
    for statement in statements:
        if isinstance(statement, ast.If | ast.Try | ast.ExceptHandler):
            for part in ("body", "handlers", "orelse", "finalbody"):
                yield from _flattened(getattr(statement, part, []))
        else:
            yield statement


def _bound(statement: ast.stmt) -> list[str]:
    """Return the names that a statement binds, imports apart, or whose content it sets."""
    if isinstance(statement, _Definition):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return [
        node.id for target in targets if target for node in ast.walk(target) if isinstance(node, ast.Name)
    ]


def _imported(statement: ast.Import | ast.ImportFrom, module: str) -> Iterator[tuple[str, Import]]:
    """Yield each name that an import binds, and what it stands for."""
    for alias in statement.names:
        if isinstance(statement, ast.ImportFrom):
            if statement.level or alias.name == "*":
                raise LookupError(f"{module}: an import that is relative, or of everything, is not followed")
            yield alias.asname or alias.name, Import(statement.module or "", alias.name)
        elif alias.asname:
            yield alias.asname, Import(alias.name)
        else:
            root = alias.name.partition(".")[0]
            yield root, Import(root)


def _entries(statements: Iterable[ast.stmt]) -> list[Symbol]:
    """Return what the texts "module:name" of a constant name."""
    constants = [node for one in statements if not isinstance(one, _Definition) for node in ast.walk(one)]
    texts = [
        node.value for node in constants if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return [Symbol(entry[1], entry[2]) for entry in map(ENTRY.fullmatch, texts) if entry]


def _loads(node: ast.AST) -> set[Load]:
    """Return what code loads of the names of its module: those that no function of it binds itself."""
    of_module = set(_of_module(symtable.symtable(ast.unparse(node), "walked", "exec")))
    return {load for load in _chains(node) if load.name in of_module}


def _of_module(table: symtable.SymbolTable) -> Iterator[str]:
    top = table.get_type() == "module"
    for name in table.get_symbols():
        if name.is_referenced() and (top or name.is_global()):
            yield name.get_name()
    for inner in table.get_children():
        yield from _of_module(inner)


def _chains(node: ast.AST) -> Iterator[Load]:
    """Yield every name that code loads, with its attributes."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.insert(0, node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Load):
            yield Load(node.id, tuple(attributes))
        return
    for child in ast.iter_child_nodes(node):
        yield from _chains(child)
