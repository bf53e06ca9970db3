"""A connection to PostgreSQL whose every wait ends, even if the server's processes are stopped.

The server's own timeouts (statement_timeout, lock_timeout) do not help then, nor do those of TCP, since the
server's kernel goes on to acknowledge what is sent. So the waiting is bounded on this side.
"""

import time
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.waiting import READY_NONE

R = TypeVar("R")
_INTERVAL = 0.1  # seconds between looks at the clock while nothing arrives


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed, with OperationalError, if an answer takes too long.

    Attributes:
        longest_wait: seconds for each answer.
    """

    longest_wait = 60.0

    def wait(self, gen: PQGen[R], interval: float = _INTERVAL, timeout: float | None = None) -> R:
        """Return what a generator returns that talks to the server; psycopg's one place of waiting.

        Raises OperationalError, after closing the connection, if that takes longer than `timeout`, or
        `longest_wait`.
        """
        longest = self.longest_wait if timeout is None else timeout
        ends = time.monotonic() + longest
        try:
            return super().wait(_bounded(gen, ends), interval)
        except TimeoutError:
            self.close()
            raise psycopg.OperationalError(f"no answer within {longest:g} seconds") from None


def _bounded(gen: PQGen[R], ends: float) -> PQGen[R]:
    """Pass on what a generator waits for. Raises TimeoutError if nothing has come by `ends`."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if ready == READY_NONE and time.monotonic() >= ends:
                raise TimeoutError
            wanted = gen.send(ready)
    except StopIteration as done:
        return done.value
