"""Locks between processes. The operating system drops a lock when the process that holds it ends."""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ganguard.base.errors import SpecError

LOCK = ".lock"


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = False) -> Generator[bool]:
    """Hold the lock of a file while the body runs, and yield whether it is held.

    Args:
        path: the file. It is created if it is absent, unless the lock is shared: then it is only read, and
            OSError is raised if that fails.
        shared: several processes may hold the lock together, if each of them shares it.
        wait: wait until the lock is free, instead of yielding False at once if it is not.
    """
    if not shared:
        path.parent.mkdir(parents=True, exist_ok=True)
    mode = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    with path.open("r" if shared else "a") as file:
        yield _taken(file, mode)


def _taken(file: TextIO, mode: int) -> bool:
    try:
        fcntl.flock(file, mode)
    except BlockingIOError:
        return False
    return True


@contextmanager
def alone(directory: Path) -> Generator[None]:
    """Hold the lock of a directory while the body runs, so that no other run works there.

    The directory is created if it is absent. Raises SpecError if another run is at work in it.
    """
    with locked(directory / LOCK) as held:
        if not held:
            raise SpecError(
                f"{directory}: another run is at work here. Wait for it, or choose another --out."
            )
        yield
