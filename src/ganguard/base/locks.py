"""Locks of directories between processes."""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ganguard.base.errors import SpecError

LOCK = ".lock"


@contextmanager
def alone(directory: Path) -> Generator[None]:
    """Nobody else works in the directory while the body does; it is made where there is none. Raises
    SpecError where somebody is at it."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SpecError(
                f"{directory}: another run is at work here. Wait for it, or choose another --out."
            ) from None
        yield
