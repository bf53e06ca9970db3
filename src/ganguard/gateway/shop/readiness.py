"""Readiness: whether the gateway can sell now, found by writing where sales are written."""

import asyncio
import errno
import logging
import tempfile
import threading
import time
from concurrent.futures import Future
from pathlib import Path

from sqlalchemy import insert, update

from ganguard.gateway.tables import PROBES, open_database
from ganguard.queries.ledger_database import Database

LOG = logging.getLogger("ganguard.gateway")
PATIENCE = 2.0  # seconds that a probe waits for the ledger
LONGEST = 3.0  # seconds until whoever asks is answered
FRESH = 1.0  # seconds that an answer holds: however many ask, a probe a second is all that it costs
ROOM = 1 << 20  # bytes that must fit on the disk
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

CLOSING = "the gateway is closing."
HANGS = "the ledger does not answer."
LOCKED_OR_GONE = "the ledger cannot be written now; the gateway's log says why."
FULL = "the disk has no room; the gateway's log says why."


class Readiness:
    """Probes of the ledger, one at a time, whose answer is shared by all who ask.

    A probe writes one row in a transaction of its own, as a sale does, on a connection that no sale uses. It
    runs in a thread of its own: if it hangs, no other begins, and those who ask are answered all the same.

    Args:
        place: the ledger's file or address.
    """

    def __init__(self, place: Path | str) -> None:
        self._database = open_database(Database(place, PATIENCE))
        self._directory = place.parent if isinstance(place, Path) else None
        self._lock, self._closed = threading.Lock(), False
        self._found: tuple[float, str | None] | None = None  # time of the last answer, and the answer
        self._probing: tuple[float, Future[str | None]] | None = None  # when the probe in progress began

    async def check(self) -> str | None:
        """Return why the gateway cannot sell, in words for anybody, or None if it can; within `LONGEST`."""
        now = time.monotonic()
        with self._lock:
            if self._closed:
                return CLOSING
            if self._found and now - self._found[0] < FRESH:
                return self._found[1]
            begun, answer = self._probing = self._probing or self._begin(now)
        if (left := begun + LONGEST - now) <= 0:
            return HANGS
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(answer)), left)
        except TimeoutError:
            return HANGS

    def close(self) -> None:
        """Be ready no more."""
        with self._lock:
            self._closed = True
        self._database.close()

    def _begin(self, now: float) -> tuple[float, Future[str | None]]:
        answer: Future[str | None] = Future()
        threading.Thread(target=self._probe, args=(answer,), name="ganguard probe", daemon=True).start()
        return now, answer

    def _probe(self, answer: Future[str | None]) -> None:
        """Probe, and answer all who wait."""
        problem, why = None, ""
        try:
            self._require_room()
            self._write()
        except OSError as failed:
            problem = FULL if failed.errno in _NO_ROOM else LOCKED_OR_GONE
            why = f"{type(failed).__name__}: {failed.strerror}"
        except Exception as failed:  # noqa: BLE001 - whatever it is, nothing can be sold
            problem, why = LOCKED_OR_GONE, f"{type(failed).__name__}: {failed}"
        with self._lock:
            before, self._found = self._found, (time.monotonic(), problem)
            self._probing = None
        if problem and not (before and before[1]):
            LOG.warning("not ready to sell: %s", why)
        elif not problem and before and before[1]:
            LOG.warning("ready to sell again")
        answer.set_result(problem)

    def _require_room(self) -> None:
        """Raise OSError if an SQLite ledger's disk has no room.

        A row alone does not tell: SQLite writes it over an old one in its log, which takes no room.
        """
        if self._directory:
            with tempfile.TemporaryFile(dir=self._directory) as file:
                file.write(bytes(ROOM))
                file.flush()

    def _write(self) -> None:
        with self._database.transaction("see whether it can be written") as connection:
            row = {"at": time.time()}
            if not connection.execute(update(PROBES).values(**row)).rowcount:
                connection.execute(insert(PROBES).values(number=0, **row))
