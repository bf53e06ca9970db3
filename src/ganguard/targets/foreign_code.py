"""A guard around other people's code: whatever it leaves in the process is taken away, and kept for it."""

import random
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganguard.targets.process_state import PARTS

_ONE_AT_A_TIME = threading.RLock()  # two threads would give each other's state back


class ForeignCode:
    """Somebody's code, with the global state that it left when it ran last.

    The code runs as it would in a process of its own: with gradients enabled, no arguments on its command
    line, random numbers that nobody seeded, and all that it set before. Ours comes back after each run.

    Args:
        folder: a folder whose modules the code may import at any time; None for no folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._left: dict[str, Any] = {"grad mode": True, "arguments": _fresh(sys.argv[:1]), **_unseeded()}
        if folder is not None:
            self._left["import path"] = _fresh([str(folder), *sys.path])
        self._inference = False

    @contextmanager
    def running(self) -> Generator[None]:
        """Run the body as that code."""
        with _ONE_AT_A_TIME:
            ours = _state()
            # This guard of torch's gives back gradient mode and inference mode, whatever the body does.
            with torch.inference_mode(self._inference):
                found = self._put(ours)
                try:
                    yield
                finally:
                    left = _state()
                    self._keep(found, left)
                    _write(left, ours)

    def _put(self, ours: dict[str, Any]) -> dict[str, Any]:
        """Set what the code left, and return the whole state that it finds."""
        found = ours | {"grad mode": torch.is_grad_enabled()}
        _write(found, found | self._left)
        found |= self._left
        return found

    def _keep(self, found: dict[str, Any], left: dict[str, Any]) -> None:
        """Remember what the code changed."""
        for name, part in PARTS.items():
            if part.kept and not part.same(left[name], found[name]):
                self._left[name] = left[name]
        self._inference = torch.is_inference_mode_enabled()


def _state() -> dict[str, Any]:
    return {name: part.read() for name, part in PARTS.items()}


def _write(there: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Set the parts of the state `there` that differ from the wanted one."""
    for name, part in PARTS.items():
        if not part.same(there[name], wanted[name]):
            part.write(wanted[name])


def _fresh(held: list[str]) -> tuple[list[str], list[str]]:
    """Return a list of ours as the state of a part: a new list, and what it holds."""
    return list(held), list(held)


def _unseeded() -> dict[str, Any]:
    """Return random states at which no other run begins, so that noise which nobody seeded is found."""
    generator = torch.Generator()
    generator.seed()
    return {
        "torch's random state": generator.get_state(),
        "NumPy's random state": np.random.RandomState().get_state(),
        "Python's random state": random.Random().getstate(),
    }
