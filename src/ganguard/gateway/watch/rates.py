"""How much accounts asked for in a day, compared with each other: the one sign that is not of codes."""

import time

from sqlalchemy import select

from ganguard.gateway.tables import SIGNS
from ganguard.gateway.watch.hours import DAY, today
from ganguard.gateway.watch.raised_signs import write_gone, write_raised, write_seen
from ganguard.gateway.watch.signs import RATE, TIMES_THE_MEDIAN, Sign, rate_sign, usual_rate
from ganguard.queries.ledger_database import Database

SHARE = 0.05  # of the time that reading the day's sums may take
_SEEN_EVERY = 600.0  # seconds between records that a sign is still raised


class AccountRates:
    """The rates of all accounts in a ledger's database. One thread may use it at a time.

    Methods raise what the ledger raises.
    """

    def __init__(self, database: Database) -> None:
        self._database, self._today, self._usual = database, dict[str, int](), None
        self._next = 0.0  # the monotonic time from which the sums may be read again
        with database.reading("read the signs of copying") as connection:
            raised = select(SIGNS.c.account, SIGNS.c.seen).where(SIGNS.c.sign == RATE, SIGNS.c.raised)
            # When each account whose sign is raised was last recorded to be beyond the limit.
            self._raised: dict[str, float] = {account: seen for account, seen in connection.execute(raised)}

    def sign(self, account: str) -> Sign:
        """Return the sign of an account, as of the last update."""
        return rate_sign(self._today.get(account, 0), self._usual)

    def update(self) -> list[tuple[str, Sign]]:
        """Read the day's sums, and return the signs newly raised that no other gateway recorded.

        A sign stays raised until a day has passed without it. If the sums take long to read, they are not
        read every time.
        """
        if (begun := time.monotonic()) < self._next:
            return []
        self._today = today(self._database)
        self._usual = usual_rate(list(self._today.values()))
        self._next = begun + (time.monotonic() - begun) / SHARE
        return self._recorded()

    def _recorded(self) -> list[tuple[str, Sign]]:
        now = time.time()
        limit = None if self._usual is None else TIMES_THE_MEDIAN * self._usual
        beyond = [] if limit is None else [a for a, images in self._today.items() if images > limit]
        raised = [(account, self.sign(account)) for account in beyond if account not in self._raised]
        seen = [a for a in beyond if now - self._raised.get(a, now) > _SEEN_EVERY]
        gone = [a for a, at in self._raised.items() if now - at > DAY and a not in seen]
        if not (raised or seen or gone):
            return []
        with self._database.transaction("record accounts' rates") as connection:
            new = write_raised(connection, raised, {})
            write_seen(connection, [(account, RATE) for account in seen], {})
            write_gone(connection, [(account, RATE) for account in gone])
        self._raised |= dict.fromkeys([*seen, *(account for account, _ in raised)], now)
        for account in gone:
            del self._raised[account]
        return new
