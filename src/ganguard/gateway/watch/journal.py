"""A record of what each account asked for and when, for detection and for the operator's page.

It is not the ledger: requests from the last seconds before a crash may be missing, and no budget depends on
it. A background thread compares the codes and writes what they show, so that no sale waits for that. What is
kept of each account is bounded.
"""

import logging
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
from itertools import islice

import torch
from sqlalchemy import delete, select
from torch import Tensor

from ganguard.base.errors import GanguardError
from ganguard.gateway.tables import REQUESTS, open_database
from ganguard.gateway.watch.hours import HOUR, KEPT, hour_now, prune_hours, write_hours
from ganguard.gateway.watch.raised_signs import log_raised
from ganguard.gateway.watch.signs import Sign
from ganguard.gateway.watch.statements import ROWS
from ganguard.gateway.watch.telemetry import Telemetry
from ganguard.gateway.watch.usual_codes import Form
from ganguard.gateway.watch.watched import AT_ONCE, Watched
from ganguard.queries.ledger_database import Database

LOG = logging.getLogger("ganguard.gateway")
WRITE_EVERY = 1.0  # seconds
MOST_WAITING = 1 << 16  # codes that wait to be compared; beyond it, requests wait for that
_FOLDED_AT_ONCE = 1000  # rows
_FOLDING = 0.5  # seconds out of each second and a half that folding may take


class RequestJournal:
    """A record of requests in the ledger's database, written by a background thread.

    `close` writes what is not written yet, and ends the thread.

    Args:
        database: the ledger's database.
        telemetry: counts the signs that are raised.
        form: the form in which codes are compared; None if they are not.
    """

    def __init__(self, database: Database, telemetry: Telemetry, form: Form | None) -> None:
        self._database, self._telemetry, self._form = open_database(database), telemetry, form
        self._watched = Watched(database)
        self._lock, self._turn = threading.Lock(), threading.Lock()  # for what is noted; for writing
        self._images: Counter[tuple[str, int]] = Counter()  # by account and hour
        self._codes: defaultdict[str, list[Tensor]] = defaultdict(list)
        self._waiting, self._pruned = 0, 0  # codes that wait; the hour of the last pruning
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
            self._images[account, hour_now()] += images
            full = self._waiting >= MOST_WAITING
        if latents is None or self._form is None:
            return
        if full:
            with suppress(GanguardError):  # the thread logs it
                self.write()
        with self._lock:
            # Only if the database fails is there still no room. Then nothing is sold either.
            if self._waiting < MOST_WAITING:
                self._codes[account].append(self._form(latents))
                self._waiting += len(latents)

    def write(self) -> None:
        """Compare the noted codes, and write what was noted.

        If the database raises an error, keep what is not written, and raise it too.
        """
        with self._turn:
            self._write_hours()
            self._tell(self._watched.write())  # what an earlier failure left
            while part := self._some_codes():
                self._watched.load(part)
                for account in part:
                    with self._lock:
                        codes = torch.cat(self._codes.pop(account))
                        self._waiting -= len(codes)
                    self._watched.observe(account, codes)
                self._tell(self._watched.write())

    def fold(self) -> bool:
        """Take some of the requests that an earlier ganguard recorded one by one into what is kept now.

        Returns:
            Whether there were any.
        """
        first = select(REQUESTS.c.number).order_by(REQUESTS.c.number).limit(_FOLDED_AT_ONCE)
        with self._turn:
            with self._database.reading("read the requests") as connection:
                if not (numbers := list(connection.execute(first).scalars())):
                    return False
            with self._database.transaction("sum up the requests") as connection:
                taken = delete(REQUESTS).where(REQUESTS.c.number.between(numbers[0], numbers[-1]))
                rows = sorted(connection.execute(taken.returning(REQUESTS)), key=lambda row: row.number)
            for row in rows:
                if (hour := int(row.at // HOUR)) > hour_now() - KEPT:
                    with self._lock:
                        self._images[row.account, hour] += row.images
            self._watched.load(row.account for row in rows if row.codes)
            for row in rows:
                if row.codes:
                    sums = {"codes": row.codes, "entries": row.entries, "squares": row.squares}
                    lattice = round(row.codes * row.repeated / row.entries)
                    self._watched.count(row.account, **sums, near=row.near, lattice=lattice)
        self.write()
        return True

    def signs(self, accounts: list[str]) -> dict[str, list[Sign]]:
        """Return the statistics of accounts' codes, as far as they are written."""
        return self._watched.signs(accounts)

    def close(self) -> None:
        """End the thread, and write what is not written yet."""
        self._ended.set()
        self._thread.join()
        try:
            self.write()
        except GanguardError as problem:
            LOG.warning("%s", problem)

    def _write_on(self) -> None:
        while not self._ended.wait(WRITE_EVERY):
            try:
                self.write()
                until = time.monotonic() + _FOLDING
                while not self._ended.is_set() and time.monotonic() < until and self.fold():
                    pass
                self._prune()
            except GanguardError as problem:
                LOG.warning("%s", problem)
            except Exception:  # the next pass may succeed
                LOG.exception("what was asked for could not be recorded")

    def _prune(self) -> None:
        if self._pruned != hour_now():
            self._pruned = hour_now()
            prune_hours(self._database)
            with self._turn:
                self._watched.prune()

    def _some_codes(self) -> list[str]:
        """Return some accounts whose codes wait."""
        with self._lock:
            return list(islice(self._codes, AT_ONCE))

    def _write_hours(self) -> None:
        with self._lock:
            images, self._images = self._images, Counter()
        while images:
            part = Counter(dict(islice(images.items(), ROWS)))
            try:
                with self._database.transaction("record requests") as connection:
                    write_hours(connection, part)
            except BaseException:
                with self._lock:
                    self._images += images
                raise
            images -= part

    def _tell(self, raised: list[tuple[str, Sign]]) -> None:
        log_raised(raised)
        for _, sign in raised:
            self._telemetry.raised(sign.name)
