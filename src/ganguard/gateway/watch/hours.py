"""How many images each account asked for in each hour."""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, select

from ganguard.gateway.tables import HOURS
from ganguard.gateway.watch.statements import count
from ganguard.queries.ledger_database import Database

DAY = 86_400  # seconds
HOUR = 3_600
KEPT = 48  # hours

_READ = "read what accounts asked for by hour"


def hour_now() -> int:
    """Return the hours since 1970."""
    return int(time.time() // HOUR)


def write_hours(connection: Connection, images: Counter[tuple[str, int]]) -> None:
    """Add images, by account and hour."""
    rows = [{"account": account, "hour": hour, "images": n} for (account, hour), n in sorted(images.items())]
    count(connection, HOURS, "images", rows)


def by_hour(database: Database, accounts: Sequence[str]) -> dict[str, list[tuple[int, int]]]:
    """Return the images that accounts asked for in each of the last KEPT hours.

    Returns:
        For each account that asked for any, (hours since 1970, images), ascending; hours without requests are
        absent.
    """
    asked = select(HOURS.c.account, HOURS.c.hour, HOURS.c.images).where(
        HOURS.c.account.in_(accounts), HOURS.c.hour > hour_now() - KEPT
    )
    found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    with database.reading(_READ) as connection:
        for account, hour, images in connection.execute(asked.order_by(HOURS.c.hour)):
            found[account].append((hour, images))
    return dict(found)


def today(database: Database) -> dict[str, int]:
    """Return the images that each account asked for in this hour and the 23 before, if it asked for any."""
    last_day = HOURS.c.hour > hour_now() - DAY // HOUR
    asked = select(HOURS.c.account, func.sum(HOURS.c.images)).where(last_day).group_by(HOURS.c.account)
    with database.reading(_READ) as connection:
        return {account: int(images) for account, images in connection.execute(asked)}


def prune_hours(database: Database) -> None:
    """Remove hours that are no longer shown, each in a transaction of its own."""
    oldest = hour_now() - KEPT
    while True:
        with database.reading(_READ) as connection:
            first = connection.execute(select(func.min(HOURS.c.hour))).scalar()
        if first is None or first > oldest:
            return
        with database.transaction("remove old hours") as connection:
            connection.execute(delete(HOURS).where(HOURS.c.hour == first))
