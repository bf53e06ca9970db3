"""Signs of all accounts that are looked at together now and then: which are raised, and since when."""

import time
from collections.abc import Mapping

from sqlalchemy import select

from ganguard.gateway.tables import SIGNS
from ganguard.gateway.watch.hours import DAY
from ganguard.gateway.watch.raised_signs import write_gone, write_raised, write_seen
from ganguard.gateway.watch.signs import Sign
from ganguard.queries.ledger_database import Database

_SEEN_EVERY = 600.0  # seconds between records that a sign is still raised


class StandingSigns:
    """The raised signs of one name, in a ledger's database. One thread may use it at a time.

    Args:
        database: the ledger's database; its tables exist.
        name: the sign's name.
    """

    def __init__(self, database: Database, name: str) -> None:
        self._database, self._name = database, name
        with database.reading("read the signs of copying") as connection:
            raised = select(SIGNS.c.account, SIGNS.c.seen).where(SIGNS.c.sign == name, SIGNS.c.raised)
            # When each account whose sign is raised was last recorded to be beyond the limit.
            self._raised: dict[str, float] = {account: seen for account, seen in connection.execute(raised)}

    def record(self, beyond: Mapping[str, Sign]) -> list[tuple[str, Sign]]:
        """Record the accounts that are beyond the limit now, and return the signs newly raised that no other
        gateway recorded.

        A sign stays raised until a day has passed without it. Raises what the ledger raises.

        beyond: their signs, by account.
        """
        now = time.time()
        raised = [(account, sign) for account, sign in beyond.items() if account not in self._raised]
        seen = [a for a in beyond if now - self._raised.get(a, now) > _SEEN_EVERY]
        gone = [a for a, at in self._raised.items() if now - at > DAY and a not in seen]
        if not (raised or seen or gone):
            return []
        with self._database.transaction("record the signs of copying") as connection:
            new = write_raised(connection, raised, {})
            write_seen(connection, [(account, self._name) for account in seen], {})
            write_gone(connection, [(account, self._name) for account in gone])
        self._raised |= dict.fromkeys([*seen, *(account for account, _ in raised)], now)
        for account in gone:
            del self._raised[account]
        return new
