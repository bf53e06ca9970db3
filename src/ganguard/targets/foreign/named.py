"""A function of the user's, named "module:function", with the code that it belongs to."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganguard.base.errors import TargetError
from ganguard.base.settings import one_line, shortened
from ganguard.targets.foreign.code import ForeignCode

LONGEST_NAME = 200  # characters of "module:function"

_IMPORTED: dict[str, ForeignCode] = {}
"""Name of a module -> its code as its import left it. A process imports a module once, and may open its
target many times."""


def require_name(name: str, what: str = "function") -> str:
    """Return a name. Raises ValueError if it is not "module:…", with what a message calls the second part."""
    module, colon, function = name.partition(":")
    if not (module and colon and function and name.isprintable()):
        raise ValueError(f'must be "module:{what}"; got {shortened(name)}')
    return name


def code_of(name: str) -> ForeignCode:
    """Return the code of a module as its import left it, or as it is before its import."""
    module = name.partition(":")[0]
    before = _IMPORTED.get(module) if module in sys.modules else None
    return before.again() if before else ForeignCode(Path.cwd())


def imported(name: str, foreign: ForeignCode) -> Callable[..., object]:
    """Return the function of that name, whose module is imported as that code if it was not before.

    Raises TargetError if there is none, and whatever the module raises. The module is also looked for in the
    current folder.
    """
    module, _, function = name.partition(":")
    new = module not in sys.modules or module not in _IMPORTED
    with foreign.running():
        found = _function(module, function, name)
    if new:
        _IMPORTED[module] = foreign.again()
    return found


def found(name: str) -> tuple[ForeignCode, Callable[..., object]]:
    """Return the function of that name, and the code that it belongs to.

    Raises TargetError if there is none, or if its module cannot be imported.
    """
    foreign = code_of(name)
    try:
        return foreign, imported(name, foreign)
    except TargetError:
        raise
    except (Exception, SystemExit) as problem:  # noqa: BLE001 - a user's module may raise anything
        raise TargetError(
            f"{name}: its module raised {type(problem).__name__}: {one_line(problem, 200)}"
        ) from None


def _function(module_name: str, function_name: str, name: str) -> Callable[..., object]:
    try:
        module: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as problem:
        raise TargetError(
            f"{name}: no module {problem.name!r}. Run from the folder that holds it, or install its package."
        ) from None
    function = getattr(module, function_name, None)
    if not callable(function):
        raise TargetError(f"{name}: module {module_name!r} has no function {function_name!r}.")
    return function
