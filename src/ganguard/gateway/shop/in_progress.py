"""The requests that this process works on, by reservation.

A request that fails may give its reservation back only if no other one is about to deliver it.
"""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Together:
    """The requests of one reservation that are in progress at the same time.

    Attributes:
        requests: their number.
        reserved: whether one of them, also one that has ended, made the reservation.
    """

    requests: int = 0
    reserved: bool = False


class InProgress:
    """Counts the requests of each reservation from their beginning to their end."""

    def __init__(self) -> None:
        self._lock, self._found = threading.Lock(), dict[str, Together]()

    @contextmanager
    def request(self, reservation: str) -> Generator[Together]:
        """Count a request while the body runs, and yield those of the same reservation."""
        with self._lock:
            mine = self._found.setdefault(reservation, Together())
            mine.requests += 1
        try:
            yield mine
        finally:
            with self._lock:
                mine.requests -= 1
                if not mine.requests:
                    self._forget(reservation, mine)

    def may_release(self, reservation: str, mine: Together) -> bool:
        """Return whether a request that failed is the last of those that made a reservation.

        If so, they are forgotten: a request that begins later is none of them.
        """
        with self._lock:
            last = mine.requests == 1 and mine.reserved
            if last:
                self._forget(reservation, mine)
            return last

    def _forget(self, reservation: str, mine: Together) -> None:
        if self._found.get(reservation) is mine:
            del self._found[reservation]
