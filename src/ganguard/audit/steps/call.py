"""The contract of a step's function: its argument, its return value, and the code that it depends on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from ganguard.base.compute import Compute
from ganguard.base.progress import Progress

SettingsT = TypeVar("SettingsT", covariant=True)
InputsT = TypeVar("InputsT", covariant=True)

Digests = dict[str, str]
"""Part of a step's output -> its digest. A step that reads it depends on one part, usually "result"."""


def unheard(sentence: str) -> None:
    """Ignore a sentence."""


@dataclass(frozen=True)
class StepCall(Generic[SettingsT, InputsT]):
    """The argument of a step's function.

    Attributes:
        settings: the step's settings, of its kind.
        inputs: the directories of its inputs.
        directory: its own directory, which it writes to.
        audit: directory of the whole audit, where the ledger and the purchases are.
        compute: device type and threads.
        progress: receives the progress.
        say: receives sentences for the person who waits.
    """

    settings: SettingsT
    inputs: InputsT
    directory: Path
    audit: Path
    compute: Compute
    progress: Progress
    say: Callable[[str], None] = unheard


def always_whole(directory: Path, audit: Path) -> bool:
    """Accept a finished step: it keeps nothing outside its directory."""
    return True


@dataclass(frozen=True)
class Kind:
    """A kind of step.

    A test walks from `run` through all of our code that it reaches. It fails if a module is reached that
    `code` does not name, or if `code` names one that is not reached.

    Attributes:
        run: the function that does the work. It writes files to the step's directory, and returns digests.
        code: packages and modules whose source code the result depends on.
        code_with: further ones, on which the result depends only if the step has an input of that role, or a
            setting of that name that is not empty.
        not_followed: functions and classes, "module:name", at which the test's walk ends, and the reason:
            their work is no part of the result, or an input's digest tells it.
        is_whole: returns whether what a finished step (its directory, the audit's) keeps elsewhere is still
            there.
    """

    run: Callable[[StepCall[Any, Any]], Digests]
    code: tuple[str, ...]
    code_with: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    not_followed: Mapping[str, str] = field(default_factory=dict[str, str])
    is_whole: Callable[[Path, Path], bool] = always_whole
