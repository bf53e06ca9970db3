"""A guard around other people's code: whatever it leaves in the process is taken away, and kept for it."""

import random
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from ganguard.base.errors import TargetError
from ganguard.targets.foreign.process_state import PARTS, Part

_ONE_AT_A_TIME = threading.RLock()  # two threads would give each other's state back


class ForeignCode:
    """Somebody's code, with the global state that it left when it ran last.

    The code runs as it would in a process of its own: with gradients enabled, no arguments on its command
    line, random numbers that nobody seeded, and all that it set before. Ours comes back after each run.

    Args:
        folder: a folder whose modules the code may import at any time; None for no folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._unseeded = _unseeded()
        self._left: dict[str, Any] = {
            "grad mode": True,
            "arguments": _fresh(sys.argv[:1]),
            **self._unseeded,
        }
        if folder is not None:
            self._left["import path"] = _fresh([str(folder), *sys.path])
        self._inference = False

    def again(self) -> "ForeignCode":
        """Return the same code as it stands now, to run as if it had come this far once more.

        Random states that it has not touched are new ones.
        """
        other = ForeignCode()
        touched = {
            name: left
            for name, left in self._left.items()
            if name not in self._unseeded or not PARTS[name].same(left, self._unseeded[name])
        }
        other._left |= touched
        other._inference = self._inference
        return other

    @contextmanager
    def running(self) -> Generator[None]:
        """Run the body as that code. Raises TargetError if it leaves what cannot be put back."""
        with _ONE_AT_A_TIME:
            ours = _state()
            # This guard of torch's gives back gradient mode and inference mode, whatever the body does.
            with torch.inference_mode(self._inference):
                found = ours | {"grad mode": torch.is_grad_enabled()}
                _write(found, found | self._left)
                found |= self._left
                try:
                    yield
                finally:
                    left = _state()
                    self._keep(found, left)
                    stuck = _write(left, ours)
            if stuck:
                raise TargetError(
                    f"the generator's code changed the {stuck[0]} of this process so that it cannot be put "
                    "back. Have its module leave that alone."
                )

    def _keep(self, found: dict[str, Any], left: dict[str, Any]) -> None:
        """Remember what the code changed."""
        for name in _differing(left, found):
            if PARTS[name].kept and left[name] is not _UNREADABLE:
                self._left[name] = left[name]
        self._inference = torch.is_inference_mode_enabled()


_UNREADABLE = object()
"""Stands for a part that the code took away, such as the list of arguments."""


def _state() -> dict[str, Any]:
    return {name: _read(part) for name, part in PARTS.items()}


def _read(part: Part) -> Any:
    try:
        return part.read()
    except Exception:  # noqa: BLE001 - the code may have put anything in the place
        return _UNREADABLE


def _differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [
        name
        for name, part in PARTS.items()
        if one[name] is _UNREADABLE or not part.same(one[name], other[name])
    ]


def _write(there: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Set the parts of the state `there` that differ from the wanted one, and return those that resist."""
    stuck: list[str] = []
    for name in _differing(there, wanted):
        try:
            PARTS[name].write(wanted[name])
        except Exception:  # noqa: BLE001 - the others must still be put back
            stuck.append(name)
    return stuck


def _fresh(held: list[str]) -> tuple[list[str], list[str]]:
    """Return a list of ours as the state of a part: a new list, and what it holds."""
    return list(held), list(held)


def _unseeded() -> dict[str, Any]:
    """Return random states at which no other run begins, so that noise which nobody seeded is found."""
    generator = torch.Generator()
    generator.seed()
    return {
        "torch's random state": generator.get_state(),
        "NumPy's random state": (
            cast(Any, np.random).get_bit_generator(),
            np.random.RandomState().get_state(legacy=False),
        ),
        "Python's random state": random.Random().getstate(),
    }
