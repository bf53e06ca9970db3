"""The accounts whose codes are watched: the latest in memory, all in the ledger's database."""

import secrets
import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, insert, select
from torch import Tensor

from ganguard.gateway.tables import CHUNKS, GRIDS, SIGNS, WATCHED, lock_keys
from ganguard.gateway.watch.account_codes import AccountCodes, Kept
from ganguard.gateway.watch.code_sketch import Grids
from ganguard.gateway.watch.raised_signs import write_gone, write_raised, write_seen
from ganguard.gateway.watch.signs import RATE, Sign
from ganguard.gateway.watch.statements import put
from ganguard.queries.ledger_database import Database

MOST_IN_MEMORY = 256  # accounts, of up to a megabyte each; others are read again when they send codes
KEEP = 90 * 86_400.0  # seconds that codes are remembered
AT_ONCE = 100  # accounts that one transaction writes, or removes

_READ = "read what is remembered of accounts' codes"


class Watched:
    """The accounts of a ledger's database whose codes are watched. One thread may use it at a time.

    `observe` and `count` change memory alone; `write` writes what has changed. Methods raise what the ledger
    raises.
    """

    def __init__(self, database: Database) -> None:
        self._database, self._seed, self._grids = database, _grid_seed(database), dict[int, Grids]()
        self._accounts: OrderedDict[str, AccountCodes] = OrderedDict()
        self._changed = set[str]()  # accounts
        self._raised: defaultdict[str, list[Sign]] = defaultdict(list)  # newly, and not written yet
        self._standing = dict[str, set[str]]()  # signs that are raised, as far as written

    def observe(self, account: str, latents: Tensor) -> None:
        """Note codes (N, width) that an account sent."""
        width = latents.shape[1]
        if width not in self._grids:
            self._grids[width] = Grids(width, self._seed)
        self._note(account, self._of(account).observe(latents, self._grids[width]))

    def count(
        self, account: str, *, codes: int, entries: int, squares: float, near: int, lattice: int
    ) -> None:
        """Note the sums over codes that an account sent before (see `Sums`)."""
        counted = self._of(account).count(
            codes=codes, entries=entries, squares=squares, near=near, lattice=lattice
        )
        self._note(account, counted)

    def load(self, accounts: Iterable[str]) -> None:
        """Read accounts that are not in memory."""
        absent = sorted({account for account in accounts if account not in self._accounts})
        for start in range(0, len(absent), AT_ONCE):
            part = absent[start : start + AT_ONCE]
            for account, kept in _read(self._database, part, chunks=True).items():
                self._accounts[account], self._standing[account] = AccountCodes(kept), set(kept.last)

    def write(self) -> list[tuple[str, Sign]]:
        """Write what has changed, and return the signs newly raised that no other gateway recorded."""
        changed, found = sorted(self._changed), list[tuple[str, Sign]]()
        for start in range(0, len(changed), AT_ONCE):
            part = changed[start : start + AT_ONCE]
            with self._database.transaction("record what accounts' codes show") as connection:
                new = self._write(connection, part)
            found += new
            self._written(part)
        while len(self._accounts) > MOST_IN_MEMORY:
            account, _ = self._accounts.popitem(last=False)
            self._standing.pop(account, None)
        return found

    def signs(self, accounts: Sequence[str]) -> dict[str, list[Sign]]:
        """Return the statistics of accounts' codes, as far as they are written."""
        kept = _read(self._database, accounts, chunks=False)
        return {account: AccountCodes(of).signs() for account, of in kept.items()}

    def prune(self) -> None:
        """Forget codes of accounts that have sent none for KEEP seconds."""
        old = select(WATCHED.c.account).where(WATCHED.c.at < time.time() - KEEP).limit(AT_ONCE)
        with self._database.reading(_READ) as connection:
            accounts = set(connection.execute(old).scalars()) - self._changed
        if accounts:
            with self._database.transaction("forget old codes") as connection:
                for table in (CHUNKS, WATCHED):
                    connection.execute(delete(table).where(table.c.account.in_(accounts)))
            for account in accounts:
                self._accounts.pop(account, None)

    def _of(self, account: str) -> AccountCodes:
        self.load([account])
        self._accounts.move_to_end(account)
        return self._accounts[account]

    def _note(self, account: str, raised: list[Sign]) -> None:
        self._changed.add(account)
        if raised:
            self._raised[account] += raised

    def _write(self, connection: Connection, accounts: Sequence[str]) -> list[tuple[str, Sign]]:
        """Write accounts, and return their signs that are newly raised."""
        watched, chunks = list[dict[str, object]](), list[dict[str, object]]()
        now, counted = time.time(), dict[str, int]()
        seen, gone, raised = list[tuple[str, str]](), list[tuple[str, str]](), list[tuple[str, Sign]]()
        for account in accounts:
            kept = self._accounts[account].changed()
            counted[account] = kept.codes
            row: dict[str, object] = {"account": account, "at": now, "codes": kept.codes}
            watched.append(row | {"place": kept.place, "windows": kept.windows})
            chunks += [
                {"account": account, "place": place, "cells": cells} for place, cells in kept.chunks.items()
            ]
            raised += [(account, sign) for sign in self._raised[account]]
            known = self._standing[account] | {sign.name for sign in self._raised[account]}
            gone += [(account, name) for name in known - kept.last.keys()]
            seen += [(account, name) for name, last in kept.last.items() if last == kept.codes]
        put(connection, WATCHED, watched)
        put(connection, CHUNKS, chunks)
        new = write_raised(connection, raised, counted)
        write_seen(connection, seen, counted)
        write_gone(connection, gone)
        return new

    def _written(self, accounts: Sequence[str]) -> None:
        for account in accounts:
            self._accounts[account].written()
            self._standing[account] = set(self._accounts[account].last)
            self._raised.pop(account, None)
        self._changed -= set(accounts)


def _read(database: Database, accounts: Sequence[str], *, chunks: bool) -> dict[str, Kept]:
    """Return what is kept of accounts; of the chunks of cells only if they are wanted."""
    found = {account: Kept() for account in accounts}
    raised = SIGNS.c.account.in_(accounts) & SIGNS.c.raised & (SIGNS.c.sign != RATE)
    with database.reading(_READ) as connection:
        for row in connection.execute(select(WATCHED).where(WATCHED.c.account.in_(accounts))):
            kept = found[row.account]
            kept.codes, kept.place, kept.windows = row.codes, row.place, row.windows
        for row in connection.execute(select(SIGNS.c.account, SIGNS.c.sign, SIGNS.c.counted).where(raised)):
            found[row.account].last[row.sign] = row.counted
        if chunks:
            for row in connection.execute(select(CHUNKS).where(CHUNKS.c.account.in_(accounts))):
                found[row.account].chunks[row.place] = row.cells
    return found


def _grid_seed(database: Database) -> int:
    """Return the seed of the grids, which all gateways of a ledger share; draw it if there is none."""
    with database.transaction("draw the grids of codes") as connection:
        lock_keys(connection)
        seed = connection.execute(select(GRIDS.c.seed)).scalar()
        if seed is None:
            seed = secrets.randbits(62)
            connection.execute(insert(GRIDS).values(seed=seed))
    return int(seed)
