"""A record of what each account asked for and when, for detection and for the operator's page.

It is not the ledger: requests from the last second before a crash may be missing, and no budget depends on
it.
"""

import logging
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict

from sqlalchemy import func, insert, select
from torch import Tensor

from ganguard.base.errors import GanguardError
from ganguard.gateway.tables import REQUESTS, open_database
from ganguard.gateway.watch.detection import Sign, Traffic, TrafficMonitor, signs
from ganguard.queries.ledger_database import Database

LOG = logging.getLogger("ganguard.gateway")
DAY = 86_400  # seconds
HOUR = 3_600
WRITE_EVERY = 1.0  # seconds
_MOST_UNWRITTEN = 100_000  # requests kept in memory while the database fails
_COLUMNS = ("images", "codes", "squares", "entries", "near", "repeated")


class RequestJournal:
    """A record of requests in the ledger's database, written by a background thread.

    `close` writes what is not written yet, and ends the thread.
    """

    def __init__(self, database: Database) -> None:
        self._database, self._monitor = open_database(database), TrafficMonitor(secrets.randbits(62))
        self._lock, self._unwritten = threading.Lock(), list[dict[str, object]]()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="ganguard journal", daemon=True)
        self._thread.start()

    def note(self, account: str, images: int, latents: Tensor | None) -> None:
        """Note a request.

        Args:
            account: the account that asked.
            images: images that it asked for.
            latents: the codes that it sent, (images, latent_dim); None if it sent none.
        """
        with self._lock:
            traffic = self._monitor.observe(account, images, latents)
            if len(self._unwritten) < _MOST_UNWRITTEN:
                self._unwritten.append({"account": account, "at": time.time(), **asdict(traffic)})

    def write(self) -> None:
        """Write the noted requests. If the database raises an error, keep them and raise it too."""
        with self._lock:
            rows, self._unwritten = self._unwritten, []
        if not rows:
            return
        try:
            with self._database.transaction("record requests") as connection:
                connection.execute(insert(REQUESTS), rows)
        except BaseException:
            with self._lock:
                self._unwritten = [*rows, *self._unwritten][:_MOST_UNWRITTEN]
            raise

    def close(self) -> None:
        """End the thread, and write what is not written yet."""
        self._ended.set()
        self._thread.join()
        with suppress(GanguardError):
            self.write()

    def _write_on(self) -> None:
        while not self._ended.wait(WRITE_EVERY):
            try:
                self.write()
            except GanguardError as problem:
                LOG.warning("%s", problem)

    def traffic(self) -> dict[str, Traffic]:
        """Return the total traffic of each account, as far as it is written."""
        sums = [func.sum(REQUESTS.c[name]) for name in _COLUMNS]
        with self._database.reading("read the requests") as connection:
            rows = connection.execute(select(REQUESTS.c.account, *sums).group_by(REQUESTS.c.account)).all()
        found: dict[str, Traffic] = {}
        for row in rows:
            account, images, codes, squares, *counts = tuple(row)
            found[account] = Traffic(int(images), int(codes), float(squares), *map(int, counts))
        return found

    def since(self, begin: float) -> dict[str, list[tuple[float, int]]]:
        """Return the images that each account asked for in each hour since `begin`.

        Args:
            begin: seconds since 1970.

        Returns:
            For each account, (start of the hour, images), ascending; hours without requests are absent.
        """
        hour = func.floor(REQUESTS.c.at / HOUR)
        asked = select(REQUESTS.c.account, hour, func.sum(REQUESTS.c.images)).where(REQUESTS.c.at >= begin)
        with self._database.reading("read the requests") as connection:
            rows = connection.execute(asked.group_by(REQUESTS.c.account, hour).order_by(hour)).all()
        found: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
        for account, number, images in rows:
            found[account].append((float(number) * HOUR, int(images)))
        return dict(found)

    def signs(self, accounts: Iterable[str]) -> dict[str, list[Sign]]:
        """Return the signs of copying of each account."""
        traffic = self.traffic()
        last_day = self.since(time.time() - DAY)
        today = {account: sum(images for _, images in hours) for account, hours in last_day.items()}
        return {a: signs(traffic.get(a, Traffic()), today.get(a, 0), list(today.values())) for a in accounts}
