"""How work reports its progress: through a callable, so that no module needs to know who listens."""

from typing import Protocol


class Progress(Protocol):
    """A callable that receives the work done, the work in all, both in the caller's unit, and a short
    note."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


def silent(done: int, total: int, note: str = "") -> None:
    """Ignore the report."""
