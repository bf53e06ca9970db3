"""How much accounts asked for in a day, compared with each other: the one sign that is not of codes."""

from ganguard.gateway.watch.hours import today
from ganguard.gateway.watch.paced import Paced
from ganguard.gateway.watch.signs import RATE, TIMES_THE_MEDIAN, Sign, rate_sign, usual_rate
from ganguard.gateway.watch.standing import StandingSigns
from ganguard.queries.ledger_database import Database


class AccountRates:
    """The rates of all accounts in a ledger's database. One thread may use it at a time.

    Methods raise what the ledger raises.
    """

    def __init__(self, database: Database) -> None:
        self._database, self._today, self._usual = database, dict[str, int](), None
        self._pace = Paced()
        self._standing = StandingSigns(database, RATE)

    def sign(self, account: str) -> Sign:
        """Return the sign of an account, as of the last update."""
        return rate_sign(self._today.get(account, 0), self._usual)

    def update(self) -> list[tuple[str, Sign]]:
        """Read the day's sums, and return the signs newly raised that no other gateway recorded.

        If the sums take long to read, they are not read every time.
        """
        if not self._pace.due():
            return []
        with self._pace.reading():
            self._today = today(self._database)
            self._usual = usual_rate(list(self._today.values()))
        limit = None if self._usual is None else TIMES_THE_MEDIAN * self._usual
        beyond = [] if limit is None else [a for a, images in self._today.items() if images > limit]
        return self._standing.record({account: self.sign(account) for account in beyond})
