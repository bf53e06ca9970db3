"""The signs of copying that were raised: each is logged, counted and kept once."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, false, func, select, true, update

from ganguard.base.settings import shortened
from ganguard.gateway.tables import SIGNS
from ganguard.gateway.watch.signs import ONE, Sign
from ganguard.gateway.watch.statements import add_all
from ganguard.queries.ledger_database import Database

LOG = logging.getLogger("ganguard.gateway")
MOST_LINES = 100  # that are logged at once


@dataclass(frozen=True)
class RaisedSign:
    """A sign of an account that was raised.

    Attributes:
        account: the account.
        sign: the sign's name.
        at: when it was last raised, in seconds since 1970.
        value, limit, codes: as the sign was then, see `Sign`.
        times: how often it was raised.
        seen: when it was last beyond its limit, in seconds since 1970.
        raised: whether it still is raised.
    """

    account: str
    sign: str
    at: float
    value: float
    limit: float
    codes: int
    times: int
    seen: float
    raised: bool


_ONE = (SIGNS.c.account == bindparam("of")) & (SIGNS.c.sign == bindparam("name"))
_AGAIN = (
    update(SIGNS)
    .where(_ONE, ~SIGNS.c.raised)
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in ("at", "value", "limit", "codes", "seen", "counted", "raised")
        }
        | {"times": SIGNS.c.times + 1}
    )
)
_SEEN = update(SIGNS).where(_ONE).values(seen=bindparam("new_seen"), counted=bindparam("new_counted"))
_GONE = update(SIGNS).where(_ONE, SIGNS.c.raised == true()).values(raised=false())


def write_raised(
    connection: Connection, raised: Iterable[tuple[str, Sign]], counted: Mapping[str, int]
) -> list[tuple[str, Sign]]:
    """Record signs that are newly raised, and return those that no other gateway had recorded as raised.

    Args:
        connection: a transaction.
        raised: accounts and their signs.
        counted: codes that each account has sent; 0 if absent.
    """
    now = time.time()
    rows = {
        (account, sign.name): _row(account, sign, now, counted.get(account, 0)) for account, sign in raised
    }
    new = add_all(connection, SIGNS, list(rows.values()))
    for key in sorted(rows.keys() - new):
        values = {f"new_{name}": value for name, value in rows[key].items()}
        if connection.execute(_AGAIN, {"of": key[0], "name": key[1], **values}).rowcount:
            new.add(key)
    return [(account, sign) for account, sign in raised if (account, sign.name) in new]


def _row(account: str, sign: Sign, now: float, counted: int) -> dict[str, object]:
    row: dict[str, object] = {"account": account, "sign": sign.name, "at": now, "value": sign.value}
    row |= {"limit": sign.limit, "codes": sign.codes, "times": 1}
    return row | {"seen": now, "counted": counted, "raised": True}


def write_seen(connection: Connection, seen: Sequence[tuple[str, str]], counted: Mapping[str, int]) -> None:
    """Record that signs of accounts, given by name, are still beyond their limit."""
    now = time.time()
    rows = [
        {"of": account, "name": name, "new_seen": now, "new_counted": counted.get(account, 0)}
        for account, name in sorted(seen)
    ]
    if rows:
        connection.execute(_SEEN, rows)


def write_gone(connection: Connection, gone: Sequence[tuple[str, str]]) -> None:
    """Record that signs of accounts, given by name, are no longer raised."""
    if gone:
        connection.execute(_GONE, [{"of": account, "name": name} for account, name in sorted(gone)])


def log_raised(raised: Sequence[tuple[str, Sign]]) -> None:
    """Log signs that were newly raised: at most MOST_LINES of them one by one."""
    for account, sign in raised[:MOST_LINES]:
        over = f" over {sign.codes} {'requests' if sign.name == ONE else 'codes'}" if sign.codes else ""
        over = f" of {shortened(sign.of)}{over}" if sign.of else over
        said = "account %r raises a sign of copying, %s: %.3g%s (limit %.3g)"
        LOG.warning(said, account, sign.name, sign.value, over, sign.limit)
    if len(raised) > MOST_LINES:
        said = "%d more signs of copying were raised at the same time; the operator's page shows them"
        LOG.warning(said, len(raised) - MOST_LINES)


def raised_of(database: Database, accounts: Sequence[str]) -> list[RaisedSign]:
    """Return the signs that accounts have ever raised, those that are still raised first."""
    columns = [SIGNS.c[name] for name in RaisedSign.__dataclass_fields__]
    asked = select(*columns).where(SIGNS.c.account.in_(accounts)).order_by(~SIGNS.c.raised, SIGNS.c.at.desc())
    with database.reading("read the signs of copying") as connection:
        return [RaisedSign(*row) for row in connection.execute(asked)]


def counts(database: Database) -> dict[str, tuple[int, int]]:
    """Return for each sign the accounts for which it is raised, and how often it was raised in all."""
    now = func.count().filter(SIGNS.c.raised)
    asked = select(SIGNS.c.sign, now, func.sum(SIGNS.c.times)).group_by(SIGNS.c.sign)
    with database.reading("count the signs of copying") as connection:
        return {sign: (accounts, int(times)) for sign, accounts, times in connection.execute(asked)}
