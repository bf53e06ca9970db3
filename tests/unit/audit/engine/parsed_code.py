"""The source code of a module, as a walk through code reads it: what binds each name, and what that loads."""

import ast
import re
import symtable
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from typing import NamedTuple

ENTRY = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)")  # of a table
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_Imports = ast.Import | ast.ImportFrom


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


def read_module(name: str, source: str, absent: Set[str]) -> Module:
    """Return a module's source code by names, without the branches and fields of what is `absent`."""
    module, tree = Module(), ast.parse(source)
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            annotations = [argument.annotation for argument in statement.args.args]
            module.parameters[statement.name] = [found for found in annotations if found]
    cleaned = ast.fix_missing_locations(_Cleaner(absent).visit(tree))
    for statement in _flattened(cleaned.body):
        if isinstance(statement, _Imports):
            module.imports |= dict(_imported(statement, name))
        for bound in _bound(statement):
            module.statements.setdefault(bound, []).append(statement)
    return module


def imported_inside(statement: ast.stmt, module: str) -> dict[str, Import]:
    """Return what is imported inside a function or class."""
    imports = [node for node in ast.walk(statement) if isinstance(node, _Imports)]
    return {bound: imported for node in imports for bound, imported in _imported(node, module)}


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


def table_entries(statements: Iterable[ast.stmt]) -> list[tuple[str, str]]:
    """Return what the texts "module:name" of a constant name."""
    constants = [node for one in statements if not isinstance(one, _Definition) for node in ast.walk(one)]
    texts = [
        node.value for node in constants if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return [(entry[1], entry[2]) for entry in map(ENTRY.fullmatch, texts) if entry]


def names_loaded(node: ast.AST) -> set[Load]:
    """Return what code loads of the names of its module: those that no function of it binds itself."""
    of_module = set(_of_module(symtable.symtable(ast.unparse(node), "walked", "exec")))
    return {load for load in every_load(node) if load.name in of_module}


def _of_module(table: symtable.SymbolTable) -> Iterator[str]:
    top = table.get_type() == "module"
    for name in table.get_symbols():
        if name.is_referenced() and (top or name.is_global()):
            yield name.get_name()
    for inner in table.get_children():
        yield from _of_module(inner)


def every_load(node: ast.AST) -> Iterator[Load]:
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
        yield from every_load(child)
