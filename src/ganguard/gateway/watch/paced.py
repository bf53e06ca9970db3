"""Reading the database no more than a small share of the time, however long it takes."""

import time
from collections.abc import Generator
from contextlib import contextmanager

SHARE = 0.05  # of the time that reading one thing may take


class Paced:
    """When something may be read again. It is used by one thread at a time."""

    def __init__(self) -> None:
        self._next = 0.0  # a monotonic time

    def due(self) -> bool:
        """Return whether it may be read."""
        return time.monotonic() >= self._next

    @contextmanager
    def reading(self) -> Generator[None]:
        """Time a reading in the body: the longer it takes, the later is the next one. One that fails does not
        count."""
        begun = time.monotonic()
        yield
        self._next = begun + (time.monotonic() - begun) / SHARE
