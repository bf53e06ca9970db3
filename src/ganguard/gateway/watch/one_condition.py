"""Accounts that ask for one class, or one prompt, far more often than accounts do: a thief after one class.

Images of a request are no independent draws: customers ask for sixty-four cats, then for sixty-four dogs. So
each request counts once, for the condition of one of its images, drawn at random. It counts when its images
are delivered: what is given back is neither held against an account, nor hides what it got. So counts only
grow. An account's share of its
commonest condition is compared with what is usual: all conditions equally often or, if that is more, the
median over accounts of the same share. A customer may exceed it by ODDS_TIMES in odds.

If each delivered request of a customer asks for a condition with at most that probability, whatever the
others ask for, the number of requests for it is at most binomial. The limit is that of an exact binomial
test. It leaves room for every condition, and for every time that it is looked at: such a customer ever
exceeds it with probability EVER at most. (This is a union bound. The n-th request has the part
EVER FEWEST / (n (n + 1)) of it. From FEWEST on, these sum to EVER.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import median

from scipy.stats import binom
from sqlalchemy import func, select

from ganguard.gateway.watch.paced import Paced
from ganguard.gateway.watch.signs import FEWEST_ACCOUNTS, ONE, Sign
from ganguard.gateway.watch.standing import StandingSigns
from ganguard.queries.ledger_database import Database
from ganguard.queries.ledger_tables import CONDITIONS

ODDS_TIMES = 4.0  # the odds of one condition that honest customers may reach, as a multiple of the usual ones
FEWEST = 16  # requests; with fewer, nothing is a sign
EVER = 1e-6  # probability that such a customer ever exceeds its limit

_TOTAL = func.sum(CONDITIONS.c.requests)
_SUMS = (
    select(CONDITIONS.c.account, _TOTAL, func.max(CONDITIONS.c.requests))
    .group_by(CONDITIONS.c.account)
    .having(_TOTAL >= FEWEST)
)


@dataclass(frozen=True)
class Commonest:
    """How often an account asked for its commonest condition.

    Attributes:
        requests: requests of the account.
        most: those of them for that condition.
    """

    requests: int
    most: int


def usual_share(accounts: Sequence[Commonest], conditions: int) -> float:
    """Return the usual share of an account's commonest condition, of so many conditions."""
    shares = [of.most / of.requests for of in accounts]
    return max(1 / conditions, median(shares) if len(shares) >= FEWEST_ACCOUNTS else 0.0)


def honest_share(usual: float) -> float:
    """Return the share of a condition that honest customers may reach in the long run."""
    return ODDS_TIMES * usual / (1 + (ODDS_TIMES - 1) * usual)


@lru_cache(maxsize=4096)
def most_requests(requests: int, share: float, conditions: int) -> int:
    """Return how many of an account's requests may be for one condition.

    If each is for it with probability `share`, more are with probability EVER FEWEST / (n (n + 1) K) at most.
    """
    chance = EVER * FEWEST / (requests * (requests + 1) * conditions)
    return int(binom.isf(chance, requests, share))


def one_condition_sign(of: Commonest, usual: float, conditions: int, condition: str = "") -> Sign:
    """Return the statistic of an account's commonest condition."""
    limit = most_requests(of.requests, honest_share(usual), conditions)
    return Sign(ONE, of.most / of.requests, limit / of.requests, of.requests, of.most > limit, condition)


class OneCondition:
    """What all accounts in a ledger's database ask for. One thread may use it at a time.

    Methods raise what the ledger raises.

    Args:
        database: the ledger's database; the gateway's tables exist.
        conditions: how many classes or prompts the target can be asked for.
    """

    def __init__(self, database: Database, conditions: int) -> None:
        self._database, self._conditions = database, conditions
        self._found, self._usual = dict[str, Commonest](), 1.0
        self._pace = Paced()
        self._standing = StandingSigns(database, ONE)

    def sign(self, account: str) -> Sign | None:
        """Return the sign of an account, as of the last update; None if it has sent few requests."""
        if (of := self._found.get(account)) is None:
            return None
        return one_condition_sign(of, self._usual, self._conditions, self._commonest(account))

    def update(self) -> list[tuple[str, Sign]]:
        """Read what accounts asked for, and return the signs newly raised that no other gateway recorded.

        If that takes long to read, it is not read every time.
        """
        if not self._pace.due():
            return []
        with self._pace.reading():
            with self._database.reading("read what accounts ask for") as connection:
                rows = connection.execute(_SUMS).all() if self._database.has_conditions(connection) else []
            self._found = {account: Commonest(int(requests), int(most)) for account, requests, most in rows}
            self._usual = usual_share(list(self._found.values()), self._conditions)
        beyond = [
            account
            for account, of in self._found.items()
            if one_condition_sign(of, self._usual, self._conditions).raised
        ]
        return self._standing.record({account: sign for account in beyond if (sign := self.sign(account))})

    def _commonest(self, account: str) -> str:
        asked = select(CONDITIONS.c.condition).where(CONDITIONS.c.account == account)
        asked = asked.order_by(CONDITIONS.c.requests.desc(), CONDITIONS.c.condition).limit(1)
        with self._database.reading("read what accounts ask for") as connection:
            return str(connection.execute(asked).scalar() or "")
