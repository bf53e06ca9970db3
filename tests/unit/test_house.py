"""The shape of the source code: short functions and files, few imports, and no two classes of one name."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

import ganguard

ROOT = Path(ganguard.__file__).parent
MOST_NAMES = 30  # that one module takes from ours
MOST_LINES = 350  # of a file
LONGEST_FUNCTION = 60  # lines, without the docstring
MEDIAN_FUNCTION, NINE_OF_TEN = 10, 35
NO_VERBS = frozenset(
    {"The", "A", "An", "All", "Each", "Every", "How", "If", "Its", "One", "What", "When", "Whether", "Which"}
)
SAME_NAME = {
    "DiscriminatorBlock": "each paper has its own, in the file of its architecture",
    "GeneratorBlock": "each paper has its own, in the file of its architecture",
    "LastBlock": "each paper has its own, in the file of its architecture",
}
"""Names of several classes, and why."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
MODULES = sorted(ROOT.rglob("*.py"))
TREES = {file: ast.parse(file.read_text()) for file in MODULES}


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def taken_from_ours(tree: ast.Module) -> set[tuple[str, str]]:
    """The names that a module imports from ours, with their modules; those for type checkers count too."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    ours = [node for node in imports if (node.module or "").partition(".")[0] == "ganguard"]
    return {(str(node.module), alias.name) for node in ours for alias in node.names}


def lines_of(function: Function) -> int:
    """The lines of a function, without its decorators and its docstring."""
    lines = range(function.lineno, int(function.end_lineno or 0) + 1)
    first = function.body[0]
    has_docstring = ast.get_docstring(function) is not None
    return len(lines) - (int(first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0)


def functions() -> Iterator[tuple[str, int]]:
    """Each function, with its lines."""
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield f"{name_of(file)}:{node.name}", lines_of(node)


def test_a_module_takes_few_names_from_ours() -> None:
    taken = {name_of(file): len(taken_from_ours(tree)) for file, tree in TREES.items()}
    assert {name: count for name, count in taken.items() if count > MOST_NAMES} == {}


def test_files_are_short() -> None:
    lines = {name_of(file): len(file.read_text().splitlines()) for file in MODULES}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_no_function_is_long() -> None:
    assert [(name, lines) for name, lines in functions() if lines > LONGEST_FUNCTION] == []


def test_most_functions_are_short() -> None:
    """Architectures are exempt: a network is read from its first layer to its last."""
    lines = [count for name, count in functions() if not name.startswith("architectures/")]
    assert median(lines) <= MEDIAN_FUNCTION
    assert quantiles(lines, n=10)[-1] <= NINE_OF_TEN


def test_a_class_shares_its_name_with_no_other() -> None:
    places = defaultdict[str, list[str]](list)
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(name_of(file))
    shared = {name: found for name, found in places.items() if len(found) > 1}
    assert shared.keys() == SAME_NAME.keys(), shared


def test_docstrings_of_functions_begin_with_a_verb() -> None:
    """Properties are named for what they are, and may begin with a noun."""
    found: list[str] = []
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, Function) and (said := ast.get_docstring(node)):
                is_property = any("property" in ast.unparse(each) for each in node.decorator_list)
                if said.split()[0] in NO_VERBS and not is_property:
                    found.append(f"{name_of(file)}:{node.name}")
    assert found == ["cli/main.py:_root"]  # its docstring is what `ganguard --help` says first
