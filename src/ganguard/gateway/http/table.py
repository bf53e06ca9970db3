"""The table of open connections: who must go if it is full, and what is kept for health checks."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

HEALTH = frozenset({"/healthz", "/readyz"})  # paths that are served beyond a full table


class Closable(Protocol):
    """A connection that can be ended at once."""

    def end(self) -> None:
        """Close the connection without another word."""
        ...


class Table:
    """Open connections, in four groups that are each in the order of joining.

    A connection belongs to a stranger until a request on it shows a valid key. It is busy while such a
    request is worked on. A full table lets the oldest stranger go for a newcomer, or else the oldest
    connection that is idle; a busy one is never let go. If all are busy, the newcomer is served beyond the
    table: health alone.

    Args:
        most: connections in the table.
        beyond: connections beyond it; the oldest of them is let go for another.
    """

    def __init__(self, most: int, beyond: int) -> None:
        self.most, self._most_beyond = most, beyond
        self._strangers, self._idle, self._busy, self._beyond = _group(), _group(), _group(), _group()

    def __len__(self) -> int:
        """Return the number of connections in the table, without those beyond."""
        return len(self._strangers) + len(self._idle) + len(self._busy)

    def join(self, newcomer: Closable) -> bool:
        """Take in a connection; return False if it is beyond the table."""
        if len(self) < self.most or _let_go(self._strangers) or _let_go(self._idle):
            self._strangers[newcomer] = None
            return True
        if len(self._beyond) >= self._most_beyond:
            _let_go(self._beyond)
        self._beyond[newcomer] = None
        return False

    def leave(self, connection: Closable) -> None:
        """Forget a connection that is closed. It need not be in the table any more."""
        for group in (self._strangers, self._idle, self._busy, self._beyond):
            group.pop(connection, None)

    @contextmanager
    def working(self, connection: Closable) -> Generator[None]:
        """Keep a connection while the body runs, which works on a request with a valid key."""
        if connection in self._strangers or connection in self._idle:
            self.leave(connection)
            self._busy[connection] = None
        try:
            yield
        finally:
            if connection in self._busy:  # and not closed meanwhile
                del self._busy[connection]
                self._idle[connection] = None


def _group() -> dict[Closable, None]:
    return {}


def _let_go(group: dict[Closable, None]) -> bool:
    """End the oldest connection of a group; return whether there was one."""
    oldest = next(iter(group), None)
    if oldest is None:
        return False
    del group[oldest]
    oldest.end()
    return True
