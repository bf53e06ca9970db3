"""Everything that a ledger records, checked against itself: budgets, sums, states, requests and ids."""

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Table, select

from ganguard.queries.ledger_conditions import noted_in
from ganguard.queries.ledger_database import Damaged
from ganguard.queries.ledger_tables import (
    ACCOUNTS,
    CONDITIONS,
    RESERVATIONS,
    RESERVED_CONDITIONS,
    has_conditions,
)
from ganguard.queries.reservation import images_asked, reservation_id
from ganguard.targets.repeats import AGAIN


@dataclass(frozen=True)
class LedgerCheck:
    """What a ledger records, and what is wrong with it.

    Attributes:
        budgets: images that each account may buy in all, by account.
        reserved: images of all reservations, by account; 0 for an account without any.
        delivered: those of them that were delivered.
        again: those of them that are requests sent again, which no image answers.
        problems: a sentence, without a full stop, for each thing that a ledger never says if only ganguard
            wrote it.
    """

    budgets: dict[str, int]
    reserved: Counter[str]
    delivered: Counter[str]
    again: Counter[str]
    problems: tuple[str, ...]


def check_rows(connection: Connection, targets: Mapping[str, Set[str]]) -> LedgerCheck:
    """Check every row of a ledger against the others.

    Raises Damaged if the database's file is damaged, or if a value is not of its column's type.

    Args:
        connection: a transaction.
        targets: identities of the targets that an account buys from, by account, as far as known. The ids
            of its reservations follow from them.
    """
    _require_intact(connection)
    accounts = {row.name: row for row in _rows(connection, ACCOUNTS)}
    reserved, delivered, again = Counter[str](), Counter[str](), Counter[str]()
    problems: list[str] = []
    for row in _rows(connection, RESERVATIONS):
        reserved[row.account] += row.images
        delivered[row.account] += row.images if row.state == "delivered" else 0
        again[row.account] += row.images if row.request.startswith(AGAIN) else 0
        if row.account not in accounts:
            problems.append(f"a reservation is of the account {row.account!r}, which does not exist")
        problems += _problems_of(row, targets.get(row.account, frozenset()))
    sums = [
        problem
        for name, row in accounts.items()
        for problem in _problems_of_sums(row, reserved[name], delivered[name])
    ]
    budgets = {name: row.budget for name, row in accounts.items()}
    if has_conditions(connection):
        problems += _problems_of_conditions(connection, accounts.keys())
    return LedgerCheck(budgets, reserved, delivered, again, (*sums, *problems))


def _require_intact(connection: Connection) -> None:
    """Raise Damaged if SQLite finds that its file is not whole; PostgreSQL checks its own files."""
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        if found != ["ok"]:
            raise Damaged(str(found[0]))


def _rows(connection: Connection, table: Table) -> Iterator[Row[Any]]:
    """Yield every row of a table. Raises Damaged if a value is not of its column's type."""
    names, kinds = table.columns.keys(), [column.type.python_type for column in table.columns]
    for row in connection.execute(select(table)):
        for name, kind, value in zip(names, kinds, row, strict=True):
            if not isinstance(value, kind) and not (value is None and table.columns[name].nullable):
                raise Damaged(f"{name} in {table.name} reads {value!r}")
        yield row


def _problems_of_sums(account: Row[Any], reserved: int, delivered: int) -> Iterator[str]:
    """Yield what is wrong between an account and the sums of its reservations."""
    if reserved > account.budget:
        yield f"account {account.name!r} has bought {reserved} images of a budget of {account.budget}"
    if (account.reserved, account.delivered) != (reserved, delivered):
        yield (
            f"account {account.name!r} counts {account.reserved} images reserved, {account.delivered} "
            f"delivered; its reservations sum to {reserved} and {delivered}"
        )


def _problems_of_conditions(connection: Connection, accounts: Set[str]) -> Iterator[str]:
    """Yield what is wrong between the conditions that reservations stand for and their sums by account."""
    reservations = {row.id: row for row in _rows(connection, RESERVATIONS)}
    reserved, delivered, asked = (Counter[tuple[str, str]]() for _ in range(3))
    for row in _rows(connection, RESERVED_CONDITIONS):
        (counts, request), made = noted_in(row.images), reservations.get(row.reservation)
        if made is None:
            yield f"conditions are noted of the reservation {row.reservation!r}, which does not exist"
            continue
        if (images := sum(counts.values())) != made.images:
            named = f"the reservation {made.request!r} of account {made.account!r}"
            yield f"{named} counts {made.images} images, and {images} by condition"
        found = {(made.account, condition): count for condition, count in counts.items()}
        reserved.update(found)
        if made.state == "delivered":
            delivered.update(found)
            asked[made.account, request or ""] += request is not None
    rows = {(row.account, row.condition): row for row in _rows(connection, CONDITIONS)}
    for account, condition in reserved.keys() - rows.keys():
        yield f"images of {condition!r} are not counted for account {account!r}"
    for key, row in rows.items():
        if row.account not in accounts:
            yield f"images of {row.condition!r} are of the account {row.account!r}, which does not exist"
        yield from _problems_of_condition(row, reserved[key], delivered[key], asked[key])


def _problems_of_condition(row: Row[Any], reserved: int, delivered: int, asked: int) -> Iterator[str]:
    """Yield what is wrong between the row of a condition and the sums of its account's reservations."""
    of = f"images of {row.condition!r} of account {row.account!r}"
    if row.budget is not None and reserved > row.budget:
        yield f"{reserved} {of} were bought, of a budget of {row.budget}"
    if (row.reserved, row.delivered) != (reserved, delivered):
        yield (
            f"{of} count {row.reserved} as reserved, {row.delivered} as delivered; its reservations sum to "
            f"{reserved} and {delivered}"
        )
    if row.requests < asked:  # more were counted when a request counted with its reservation
        yield f"{of} count {row.requests} requests; {asked} of its reservations were delivered"


def _problems_of(reservation: Row[Any], targets: Set[str]) -> Iterator[str]:
    """Yield what is wrong with a reservation by itself."""
    account, request, images = reservation.account, reservation.request, reservation.images
    named = f"the reservation {request!r} of account {account!r}"
    if images < 0 or images_asked(request) not in (None, images):
        yield f"{named} counts {images} images"
    if reservation.state not in ("reserved", "delivered"):
        yield f"{named} is in the state {reservation.state!r}"
    if targets and reservation.id not in {reservation_id(target, account, request) for target in targets}:
        yield f"{named} was made for another target or request"
