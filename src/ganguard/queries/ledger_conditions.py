"""What accounts bought of each condition of a target: the images, and budgets of their own.

Two tables beside the others hold them. They are made when they are first needed: a ledger of a target without
conditions has none, and one that was written before there were conditions opens as it is.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ganguard.base.errors import BudgetError
from ganguard.base.settings import one_line
from ganguard.queries.ledger_database import Damaged, add
from ganguard.queries.ledger_tables import CONDITIONS, RESERVED_CONDITIONS, has_conditions
from ganguard.queries.reservation import OfCondition
from ganguard.targets.conditions import LONGEST_LISTED, LONGEST_SAID

LONGEST = 200  # bytes of a condition's name in a ledger
"""PostgreSQL indexes at most some 2,700 bytes, and a prompt may be longer."""


@dataclass(frozen=True)
class ConditionBalance:
    """Images of one condition, of one account.

    Attributes:
        account: the account's name.
        condition: the condition's name; a long one as `ledger_name` shortens it.
        budget: images of it that the account may buy in all; None if only the account's budget bounds them.
        reserved: images that it has spent, delivered or not.
        delivered: images that it has got.
        requests: delivered requests of which an image drawn at random was asked for it, if a gateway sold
            them.
    """

    account: str
    condition: str
    budget: int | None
    reserved: int
    delivered: int
    requests: int = 0


class ConditionBudgetError(BudgetError):
    """The budget of a condition does not suffice.

    Attributes:
        condition: the condition's name, as the ledger holds it.
        budget, spent, left: images of it.
        asked: images of it that were asked for.
    """

    def __init__(self, account: str, condition: str, budget: int, spent: int, asked: int) -> None:
        self.condition, self.budget, self.spent, self.asked = condition, budget, spent, asked
        self.left = max(0, budget - spent)
        super().__init__(
            f"account {account!r} may buy {self.left} more of its budget of {budget} images of "
            f"{condition!r}; asked for {asked}. Ask for fewer, or for another condition."
        )


def said_of_conditions(bought: Sequence[ConditionBalance]) -> str:
    """Return in a line how many images of each condition were bought, most first; "" if there are none."""
    most = sorted((of for of in bought if of.reserved), key=lambda of: (-of.reserved, of.condition))
    said = [f"{one_line(of.condition, LONGEST_SAID)} {of.reserved:,}" for of in most[:LONGEST_LISTED]]
    if others := most[LONGEST_LISTED:]:
        said.append(f"{len(others):,} others {sum(of.reserved for of in others):,}")
    return f"By condition: {', '.join(said)}." if said else ""


_ONE = (CONDITIONS.c.account == bindparam("of")) & (CONDITIONS.c.condition == bindparam("name"))
_BUDGETS = select(CONDITIONS.c.condition, CONDITIONS.c.budget).where(
    CONDITIONS.c.account == bindparam("of"), CONDITIONS.c.budget.is_not(None)
)
_ROW = select(CONDITIONS).where(_ONE)
_COUNTS = select(RESERVED_CONDITIONS.c.images).where(
    RESERVED_CONDITIONS.c.reservation == bindparam("reservation")
)
_COUNT = (
    update(CONDITIONS)
    .where(_ONE)
    .values(
        reserved=CONDITIONS.c.reserved + bindparam("more"),
        delivered=CONDITIONS.c.delivered + bindparam("sent"),
        requests=CONDITIONS.c.requests + bindparam("asked"),
    )
)


_MOST = (
    select(CONDITIONS)
    .where(CONDITIONS.c.account == bindparam("of"), CONDITIONS.c.reserved > 0)
    .order_by(CONDITIONS.c.reserved.desc(), CONDITIONS.c.condition)
    .limit(bindparam("most"))
)
_SUMS = (
    select(CONDITIONS.c.account, func.count(), func.sum(CONDITIONS.c.reserved))
    .where(CONDITIONS.c.reserved > 0)
    .group_by(CONDITIONS.c.account)
)


class MostBought(NamedTuple):
    """What an account bought most.

    Attributes:
        most: the conditions that it bought most of, most first.
        conditions: how many it bought of in all.
        images: of all of them.
    """

    most: list[ConditionBalance]
    conditions: int
    images: int


class Noted(NamedTuple):
    """What a reservation stands for by condition.

    Attributes:
        images: images of each condition.
        request: the condition that it counts as a request for, once it is delivered; None if nobody counts
            requests, or if it was counted when it was reserved, as it was once.
    """

    images: dict[str, int]
    request: str | None = None


def ledger_name(condition: str) -> str:
    """Return the name of a condition as a ledger holds it: a long one is cut, and ends in its digest."""
    text = condition.replace("\x00", "\ufffd")  # which PostgreSQL does not hold
    if text == condition and len(condition.encode("utf-8", "replace")) <= LONGEST:
        return condition
    digest = hashlib.sha256(condition.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{text.encode('utf-8', 'replace')[: LONGEST - 20].decode('utf-8', 'ignore')}… {digest}"


def read_conditions(connection: Connection, accounts: Sequence[str] | None = None) -> list[ConditionBalance]:
    """Return what accounts bought of each condition, and may buy, in the order of their names.

    accounts: None returns those of all.
    """
    if not has_conditions(connection):
        return []
    asked = select(CONDITIONS)
    if accounts is not None:
        asked = asked.where(CONDITIONS.c.account.in_(accounts))
    found = [_checked(row) for row in connection.execute(asked)]
    return sorted(found, key=lambda of: (of.account, of.condition))


def read_most_bought(connection: Connection, accounts: Sequence[str], most: int) -> dict[str, MostBought]:
    """Return what each account bought most, of those that bought of any condition: `most` rows of each are
    read. The tables of conditions are there."""
    found = dict[str, MostBought]()
    sums = _SUMS.where(CONDITIONS.c.account.in_(accounts))
    for account, conditions, images in connection.execute(sums).all():
        rows = connection.execute(_MOST, {"of": account, "most": most})
        found[account] = MostBought([_checked(row) for row in rows], int(conditions), int(images))
    return found


def require_within_budgets(connection: Connection, account: str, wanted: Sequence[OfCondition]) -> None:
    """Raise ConditionBudgetError if a condition's budget does not suffice for what is asked of it.

    The account's row is locked already, so that nobody else spends these budgets meanwhile.
    """
    if not wanted:
        return
    own = {row.condition: row.budget for row in connection.execute(_BUDGETS, {"of": account})}
    for each in wanted:
        name = ledger_name(each.condition)
        if (budget := own.get(name, each.budget)) is None:
            continue
        row = _row_of(connection, account, name)
        spent = 0 if row is None else row.reserved
        if each.images > budget - spent:
            raise ConditionBudgetError(account, name, budget, spent, each.images)


def reserve_conditions(
    connection: Connection, account: str, reservation: str, wanted: Sequence[OfCondition]
) -> None:
    """Count images of conditions as spent, and note which of them a reservation stands for.

    A request for one of them counts when it is delivered: what is given back tells nothing of an account.
    """
    counts = {ledger_name(each.condition): each.images for each in wanted}
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(CONDITIONS)
    total = {"reserved": CONDITIONS.c.reserved + statement.excluded.reserved}
    rows = [{"account": account, "condition": name, "reserved": images} for name, images in counts.items()]
    connection.execute(
        statement.on_conflict_do_update(index_elements=CONDITIONS.primary_key, set_=total), rows
    )
    drawn = [ledger_name(each.condition) for each in wanted if each.drawn]
    noted = [counts, *drawn] if drawn else counts
    row = {"reservation": reservation, "images": json.dumps(noted, ensure_ascii=False)}
    connection.execute(insert(RESERVED_CONDITIONS).values(row))


def deliver_conditions(connection: Connection, account: str, reservation: str) -> None:
    """Count the images of conditions that a reservation stands for as delivered, and its request.

    The tables of conditions are there.
    """
    _count(connection, account, _noted_of(connection, reservation), delivered=1)


def release_conditions(connection: Connection, account: str, reservation: str) -> None:
    """Give back the images of conditions that a reservation stands for. The tables of conditions are
    there."""
    _count(connection, account, _noted_of(connection, reservation), reserved=-1)
    connection.execute(delete(RESERVED_CONDITIONS).where(RESERVED_CONDITIONS.c.reservation == reservation))


def set_budget(connection: Connection, account: str, condition: str, budget: int | None) -> None:
    """Set how many images of a condition an account may buy in all. Raises BudgetError if it has bought more.

    The account's row is locked already.
    """
    name = ledger_name(condition)
    if budget is not None:
        add(connection, CONDITIONS, {"account": account, "condition": name})
    row = _row_of(connection, account, name)
    if row is not None and budget is not None and budget < row.reserved:
        raise BudgetError(
            f"account {account!r} has bought {row.reserved} images of {name!r}; their budget cannot become "
            f"{budget}. Give at least {row.reserved}."
        )
    connection.execute(update(CONDITIONS).where(_ONE).values(budget=budget), {"of": account, "name": name})


def noted_in(images: str) -> Noted:
    """Return what a reservation's row says: images by condition and, behind them in a list, the condition of
    its request. Raises Damaged if it says none."""
    try:
        found: Any = json.loads(images)
    except ValueError:
        found = None
    counts, request = found if isinstance(found, list) and len(cast(list[Any], found)) == 2 else (found, None)
    if (
        not isinstance(counts, dict)
        or not all(type(count) is int and count > 0 for count in cast(dict[Any, Any], counts).values())
        or (counts is not found and not (isinstance(request, str) and request in counts))
    ):
        raise Damaged(f"images in {RESERVED_CONDITIONS.name} reads {images!r}")
    return Noted(cast(dict[str, int], counts), request)


def _noted_of(connection: Connection, reservation: str) -> Noted:
    """Return what a reservation stands for by condition; nothing without conditions."""
    said = connection.execute(_COUNTS, {"reservation": reservation}).scalar()
    return Noted({}) if said is None else noted_in(said)


def _count(
    connection: Connection, account: str, noted: Noted, *, reserved: int = 0, delivered: int = 0
) -> None:
    """Add multiples of images by condition to the sums of an account; a request counts with its delivery."""
    if noted.images:
        rows = [
            {
                "of": account,
                "name": name,
                "more": reserved * images,
                "sent": delivered * images,
                "asked": delivered * (name == noted.request),
            }
            for name, images in noted.images.items()
        ]
        connection.execute(_COUNT, rows)


def _row_of(connection: Connection, account: str, name: str) -> ConditionBalance | None:
    found = connection.execute(_ROW, {"of": account, "name": name}).one_or_none()
    return None if found is None else _checked(found)


def _checked(row: Row[Any]) -> ConditionBalance:
    """Return a row as it was read. Raises Damaged unless 0 <= delivered <= reserved."""
    budget, *images = tuple(row)[2:]
    whole = all(isinstance(number, int) for number in (*images, 0 if budget is None else budget))
    if not whole or not 0 <= images[1] <= images[0]:
        raise Damaged(f"condition {row.condition!r} of account {row.account!r} reads {(budget, *images)}")
    return ConditionBalance(*row)
