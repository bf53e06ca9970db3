"""How long work tells how far it is: a callable, so that no room needs to know who listens."""

from typing import Protocol


class Progress(Protocol):
    """Called with work done and work in all, in the unit of the caller, and a short note."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


def silent(done: int, total: int, note: str = "") -> None:
    """Nobody listens."""
