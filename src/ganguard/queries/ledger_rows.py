"""What one transaction reads and changes of accounts and reservations.

Functions that change something lock the account's row first, so that no two transactions wait for each
other. (On SQLite the lock is held already.)
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection, UpdateBase, bindparam, delete, func, select, update

from ganguard.base.errors import BudgetError, GanguardError, ReservationError
from ganguard.queries.ledger_conditions import (
    deliver_conditions,
    release_conditions,
    require_within_budgets,
    reserve_conditions,
)
from ganguard.queries.ledger_database import Damaged, add
from ganguard.queries.ledger_tables import ACCOUNTS, RESERVATIONS
from ganguard.queries.reservation import Purchase
from ganguard.targets.repeats import AGAIN

W = TypeVar("W")


@dataclass(frozen=True)
class Balance:
    """Images of one account.

    Attributes:
        account: its name.
        budget: images that it may buy in all.
        reserved: images that it has spent, delivered or not.
        delivered: images that it has got.
    """

    account: str
    budget: int
    reserved: int
    delivered: int


class Reserved(NamedTuple):
    """What a reservation stands for."""

    account: str
    images: int
    request: str


# Built once: to build a statement takes as long as to run it.
_BALANCES = select(ACCOUNTS.c.name, ACCOUNTS.c.budget, ACCOUNTS.c.reserved, ACCOUNTS.c.delivered)
_BALANCE = _BALANCES.where(ACCOUNTS.c.name == bindparam("account"))
_LOCKED_BALANCE = _BALANCE.with_for_update()
_COUNT = (
    update(ACCOUNTS)
    .where(ACCOUNTS.c.name == bindparam("account"))
    .values(
        reserved=ACCOUNTS.c.reserved + bindparam("more"), delivered=ACCOUNTS.c.delivered + bindparam("sent")
    )
)
_RESERVATION = select(RESERVATIONS.c.account, RESERVATIONS.c.images, RESERVATIONS.c.request).where(
    RESERVATIONS.c.id == bindparam("reservation")
)
# A reservation may be released after it was read, and its id reserved anew: it must still be what was read.
_WAITS = (
    (RESERVATIONS.c.id == bindparam("reservation"))
    & (RESERVATIONS.c.state == "reserved")
    & (RESERVATIONS.c.account == bindparam("of"))
    & (RESERVATIONS.c.images == bindparam("count"))
    & (RESERVATIONS.c.request == bindparam("asked"))
)
_AGAIN = (
    select(RESERVATIONS.c.account, func.sum(RESERVATIONS.c.images))
    .where(RESERVATIONS.c.request.startswith(AGAIN))
    .group_by(RESERVATIONS.c.account)
)
_DELIVER = update(RESERVATIONS).where(_WAITS).values(state="delivered")
_RELEASE = delete(RESERVATIONS).where(_WAITS)


def read_balances(connection: Connection) -> list[Balance]:
    """Return the balance of every account, in no order."""
    return [_checked(*row) for row in connection.execute(_BALANCES)]


def read_balance(connection: Connection, account: str, *, locked: bool = False) -> Balance:
    """Return the balance of an account. Raises BudgetError if there is no such account.

    locked: nobody else can raise or spend it before this transaction ends.
    """
    found = connection.execute(_LOCKED_BALANCE if locked else _BALANCE, {"account": account}).one_or_none()
    if found is None:
        raise BudgetError(f"no account {account!r} in the ledger. Open it with a budget first.")
    return _checked(*found)


def _checked(account: object, *images: object) -> Balance:
    """Return a balance as it was read. Raises Damaged unless 0 <= delivered <= reserved <= budget."""
    budget, reserved, delivered = (number if isinstance(number, int) else -1 for number in images)
    if not isinstance(account, str) or not 0 <= delivered <= reserved <= budget:
        raise Damaged(
            f"account {account!r} reads: budget, reserved and delivered {', '.join(map(str, images))}"
        )
    return Balance(account, budget, reserved, delivered)


def read_asked_again(connection: Connection) -> Counter[str]:
    """Return how many images each account asked for again, after no answer had come."""
    return Counter({account: int(images) for account, images in connection.execute(_AGAIN)})


def read_reservation(connection: Connection, reservation: str) -> Reserved | None:
    """Return what a reservation stands for, or None if there is no such reservation."""
    found = connection.execute(_RESERVATION, {"reservation": reservation}).one_or_none()
    return Reserved(found.account, found.images, found.request) if found else None


def in_account_order(
    wanted: Sequence[W], account_of: Callable[[W], str], do: Callable[[W], bool]
) -> list[bool | GanguardError]:
    """Do each of `wanted`, and return in their order what `do` returned or the refusal that it raised.

    They are done in the order of their accounts, so that no two transactions wait for each other. What is
    refused has changed nothing.
    """
    answers: dict[int, bool | GanguardError] = {}
    for place in sorted(range(len(wanted)), key=lambda place: account_of(wanted[place])):
        try:
            answers[place] = do(wanted[place])
        except (BudgetError, ReservationError) as refusal:
            answers[place] = refusal
    return [answers[place] for place in range(len(wanted))]


def reserve(connection: Connection, wanted: Purchase) -> bool:
    """Reserve images; return False if they were reserved before. See `Ledger.reserve` for what it raises."""
    # Whoever else reserves for this account waits here.
    balance = read_balance(connection, wanted.account, locked=True)
    made = read_reservation(connection, wanted.reservation)
    if made is None:
        left = balance.budget - balance.reserved
        if wanted.images > left:
            raise BudgetError(
                f"account {wanted.account!r} may buy {left} more of its budget of {balance.budget} images; "
                f"asked for {wanted.images}. Ask for fewer, or raise the budget."
            )
        require_within_budgets(connection, wanted.account, wanted.conditions)
        if _add_reservation(connection, wanted):
            return True
        made = read_reservation(connection, wanted.reservation)  # another account took the id meanwhile
    _require_same(wanted, made)
    return False


def _add_reservation(connection: Connection, wanted: Purchase) -> bool:
    """Insert a reservation and count its images; return False if its id is taken."""
    row = {
        "id": wanted.reservation,
        "account": wanted.account,
        "images": wanted.images,
        "state": "reserved",
        "request": wanted.request,
    }
    added = add(connection, RESERVATIONS, row)
    if added:
        _count(connection, wanted.account, reserved=wanted.images)
        if wanted.conditions:
            reserve_conditions(connection, wanted.account, wanted.reservation, wanted.conditions)
    return added


def _require_same(wanted: Purchase, made: Reserved | None) -> None:
    """Raise ReservationError unless the id stands for what is wanted.

    One id is one purchase: anything else is a mistake in the caller, or two requests of one hash.
    """
    if made == Reserved(wanted.account, wanted.images, wanted.request):
        return
    came = f"account {made.account!r} for {made.images} images" if made else "another account"
    same = made is not None and (made.account, made.images) == (wanted.account, wanted.images)
    raise ReservationError(
        f"reservation {wanted.reservation!r} was made by {came}{' of another request' if same else ''}; "
        f"account {wanted.account!r} asks for {wanted.images} under the same id. Give each request an id of "
        "its own (`reservation_id`)."
    )


def commit(
    connection: Connection,
    reservation: str,
    made: Reserved | None,
    request: str | None,
    *,
    conditions: bool,
) -> bool:
    """Record that images were delivered; return False if that was recorded before.

    Raises BudgetError if there is no such reservation, ReservationError if it is one of another request.

    Args:
        connection: the transaction.
        reservation: id of the reservation.
        made: what it was read to stand for.
        request: the words that it was made with; None accepts any.
        conditions: whether the ledger has the tables of conditions, asked after `made` was read.
    """
    wanted = "delivered. Reserve its images first"
    now = _change(connection, _DELIVER, reservation, made, request, wanted)
    if now:
        _count(connection, now.account, delivered=now.images)
        if conditions:
            deliver_conditions(connection, now.account, reservation)
    return now is not None


def release(
    connection: Connection,
    reservation: str,
    made: Reserved | None,
    request: str | None,
    *,
    conditions: bool,
) -> None:
    """Remove a reservation that was not delivered. See `Ledger.release` for what it raises, and `commit` for
    the arguments."""
    wanted = "released. Nothing is spent on it"
    removed = _change(connection, _RELEASE, reservation, made, request, wanted)
    if removed is None:
        raise BudgetError(
            f"reservation {reservation!r} was delivered, so it stays spent. Raise the budget to buy more."
        )
    _count(connection, removed.account, reserved=-removed.images)
    if conditions:
        release_conditions(connection, removed.account, reservation)


def _change(
    connection: Connection,
    statement: UpdateBase,
    reservation: str,
    made: Reserved | None,
    request: str | None,
    wanted: str,
) -> Reserved | None:
    """Change a reservation that waits, its account now locked, and return what it stands for.

    Returns None if it was delivered before. Raises BudgetError if it is not there, ReservationError if it is
    one of another request; `wanted` says what was to be done with it.
    """
    if made is not None:
        read_balance(connection, made.account, locked=True)
        values = {"of": made.account, "count": made.images, "asked": made.request, "reservation": reservation}
        if request in (None, made.request) and connection.execute(statement, values).rowcount:
            return made
    now = read_reservation(connection, reservation)
    if now is None:
        raise BudgetError(f"no reservation {reservation!r} in the ledger to be {wanted}.")
    if now != made or request not in (None, now.request):
        raise ReservationError(
            f"reservation {reservation!r} is now one of another request, and cannot be {wanted}."
        )
    return None


def _count(connection: Connection, account: str, *, reserved: int = 0, delivered: int = 0) -> None:
    """Add images to the sums of an account."""
    connection.execute(_COUNT, {"account": account, "more": reserved, "sent": delivered})
