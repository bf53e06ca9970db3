"""The durable record of what each account bought.

1 query = 1 image. A reservation is durable before the image is asked for, and counts as spent from then on.
Asking again under the same id, after a crash, counts once. So: distinct images delivered <= reserved <=
budget, whatever is killed when.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import Connection, bindparam, delete, select, update

from ganguard.base.errors import BudgetError, GanguardError, ReservationError
from ganguard.queries.ledger_database import Damaged, Database, add
from ganguard.queries.ledger_tables import ACCOUNTS, LARGEST, RESERVATIONS

W = TypeVar("W")


@dataclass(frozen=True)
class Balance:
    """Images of one account: `budget` it may buy, `reserved` (spent, delivered or not), `delivered`."""

    account: str
    budget: int
    reserved: int
    delivered: int


@dataclass(frozen=True)
class Purchase:
    """What is to be reserved; see `Ledger.reserve`."""

    reservation: str
    account: str
    images: int
    request: str


def reservation_id(target: str, account: str, request: str) -> str:
    """The id under which one request of one account to one target counts once: 64 hex digits."""
    return hashlib.sha256("\x1f".join([target, account, request]).encode()).hexdigest()


class Ledger:
    """Accounts and reservations in an SQLite file, or in PostgreSQL; several processes may use it at once.

    place: the file's path, or "postgresql://user:password@host:port/database" as a string (extra
    `ganguard[postgres]`). Whatever it does raises BudgetError where the place holds no ledger, or one of a
    schema that this ganguard does not read, and StepError where the machine fails: a full or failing disk, a
    lock held for more than a minute, a database out of reach. What failed was not done; where an answer was
    lost on the way, the same call again counts once.
    """

    def __init__(self, place: Path | str) -> None:
        self._database = Database(place)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def open_account(self, account: str, budget: int) -> None:
        """Let `account` buy `budget` images in all. An account that exists may have its budget raised, or
        lowered as far as what it has reserved. Raises BudgetError below that, and for a budget below 0."""
        _check_budget(account, budget)
        with self._database.transaction(f"open account {account!r}") as connection:
            add(connection, ACCOUNTS, {"name": account, "budget": budget})
            balance = _balance(connection, account, locked=True)
            if budget < balance.reserved:
                raise BudgetError(
                    f"account {account!r} has bought {balance.reserved} images; its budget cannot become "
                    f"{budget}. Give at least {balance.reserved}, or another account."
                )
            connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.name == account).values(budget=budget))

    def ensure_account(self, account: str, budget: int) -> None:
        """Let `account` buy at least `budget` images in all: opens it, or raises its budget, and never lowers
        it.

        Raises BudgetError for a budget below 0.
        """
        _check_budget(account, budget)
        with self._database.transaction(f"open account {account!r}") as connection:
            add(connection, ACCOUNTS, {"name": account, "budget": budget})
            lower = (ACCOUNTS.c.name == account) & (ACCOUNTS.c.budget < budget)
            connection.execute(update(ACCOUNTS).where(lower).values(budget=budget))

    def reserve(self, reservation: str, account: str, images: int, request: str) -> bool:
        """Spend `images` of the account's budget, durably, before they are asked for; once per reservation
        id. False where they were reserved before.

        request: what is asked for, in words that say all of it. Raises BudgetError where there is no such
        account, or less than that is left, ReservationError where the id stands for another account, number
        of images or request: nothing is spent then. ValueError for a negative number.
        """
        (answer,) = self.reserve_all([Purchase(reservation, account, images, request)])
        return _told(answer)

    def reserve_all(self, purchases: Sequence[Purchase]) -> list[bool | GanguardError]:
        """What `reserve` answers to each, or would raise, in one transaction, which costs about as much as
        one of them. Raises what concerns all, and then nothing is spent."""
        if any(purchase.images < 0 for purchase in purchases):
            raise ValueError(
                f"images must be 0 or more; got {min(purchase.images for purchase in purchases)}"
            )
        what = (
            f"reserve {purchases[0].images} images for account {purchases[0].account!r}"
            if purchases
            else "reserve nothing"
        )
        with self._database.transaction(what if len(purchases) < 2 else f"{what}, and others") as connection:
            return _each(purchases, lambda purchase: purchase.account, partial(_reserve, connection))

    def request_of(self, reservation: str) -> str | None:
        """What a reservation was made for, in the words of who made it; None where there is no such
        reservation."""
        with self._database.reading("read a reservation") as connection:
            made = _reservation(connection, reservation)
            return made and made[2]

    def commit(self, reservation: str) -> None:
        """Record that the images of a reservation were delivered; again and again changes nothing.

        Raises BudgetError where there is no such reservation.
        """
        (answer,) = self.commit_all([reservation])
        _told(answer)

    def commit_all(self, reservations: Sequence[str]) -> list[bool | GanguardError]:
        """The same for each, in one transaction: whether it was recorded only now, or what `commit` would
        raise."""
        with self._database.transaction("record a delivery") as connection:
            made = [(reservation, _reservation(connection, reservation)) for reservation in reservations]
            return _each(made, lambda named: named[1][0] if named[1] else "", partial(_commit, connection))

    def release(self, reservation: str) -> None:
        """Give back what provably failed before generation: the reservation was not delivered, and nothing of
        it will be.

        Only for who made it, and while nobody else asks under the same id. Raises BudgetError where it was
        delivered, and where there is no such reservation.
        """
        with self._database.transaction("release a reservation") as connection:
            made = _reservation(connection, reservation)
            account, images, _ = _locked(connection, reservation, made, "released. Nothing is spent on it")
            if not connection.execute(_RELEASE, {"reservation": reservation}).rowcount:
                raise BudgetError(
                    f"reservation {reservation!r} was delivered, so it stays spent. Raise the budget to buy "
                    "more."
                )
            _count(connection, account, reserved=-images)

    def ping(self) -> None:
        """See that the database answers."""
        with self._database.reading("reach the ledger") as connection:
            connection.execute(select(ACCOUNTS.c.name).limit(1)).first()

    def balance(self, account: str) -> Balance:
        """What an account may buy and has bought. Raises BudgetError where there is no such account."""
        with self._database.reading(f"read the balance of account {account!r}") as connection:
            return _balance(connection, account)

    def balances(self) -> list[Balance]:
        """Every account, by name."""
        with self._database.reading("read the balances") as connection:
            return sorted(
                (_checked(*row) for row in connection.execute(_BALANCES)), key=lambda balance: balance.account
            )


# Made once: to make a statement takes as long as to run it.
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
_WAITS = (RESERVATIONS.c.id == bindparam("reservation")) & (RESERVATIONS.c.state == "reserved")
_DELIVER = update(RESERVATIONS).where(_WAITS).values(state="delivered")
_RELEASE = delete(RESERVATIONS).where(_WAITS)


def _balance(connection: Connection, account: str, *, locked: bool = False) -> Balance:
    """The balance; `locked`, which nobody else can raise or spend before this transaction ends. (SQLite's
    lock is held already.)"""
    found = connection.execute(_LOCKED_BALANCE if locked else _BALANCE, {"account": account}).one_or_none()
    if found is None:
        raise BudgetError(f"no account {account!r} in the ledger. Open it with a budget first.")
    return _checked(*found)


def _count(connection: Connection, account: str, *, reserved: int = 0, delivered: int = 0) -> None:
    """Add images to the sums of an account, in the transaction that changes its reservations."""
    connection.execute(_COUNT, {"account": account, "more": reserved, "sent": delivered})


def _each(
    wanted: Sequence[W], account_of: Callable[[W], str], do: Callable[[W], bool]
) -> list[bool | GanguardError]:
    """The answers to all, in their order. Accounts come in one order, so that no two transactions wait for
    each other. Whoever is refused has changed nothing."""
    answers: dict[int, bool | GanguardError] = {}
    for place in sorted(range(len(wanted)), key=lambda place: account_of(wanted[place])):
        try:
            answers[place] = do(wanted[place])
        except (BudgetError, ReservationError) as refusal:
            answers[place] = refusal
    return [answers[place] for place in range(len(wanted))]


def _told(answer: bool | GanguardError) -> bool:
    if isinstance(answer, GanguardError):
        raise answer
    return answer


def _reserve(connection: Connection, wanted: Purchase) -> bool:
    balance = _balance(
        connection, wanted.account, locked=True
    )  # whoever else reserves for this account waits here
    made = _reservation(connection, wanted.reservation)
    if made is None:
        left = balance.budget - balance.reserved
        if wanted.images > left:
            raise BudgetError(
                f"account {wanted.account!r} may buy {left} more of its budget of {balance.budget} images; "
                f"asked for {wanted.images}. Ask for fewer, or raise the budget."
            )
        values = {
            "id": wanted.reservation,
            "account": wanted.account,
            "images": wanted.images,
            "state": "reserved",
        }
        if add(connection, RESERVATIONS, {**values, "request": wanted.request}):
            _count(connection, wanted.account, reserved=wanted.images)
            return True
        made = _reservation(connection, wanted.reservation)  # another account took the id meanwhile
    _require_same(wanted.reservation, made, (wanted.account, wanted.images, wanted.request))
    return False


def _commit(connection: Connection, named: "tuple[str, Bought | None]") -> bool:
    reservation, made = named
    account, images, _ = _locked(connection, reservation, made, "delivered. Reserve its images first")
    now = bool(connection.execute(_DELIVER, {"reservation": reservation}).rowcount)
    if now:
        _count(connection, account, delivered=images)
    return now


def _locked(connection: Connection, reservation: str, made: "Bought | None", wanted: str) -> "Bought":
    """What a reservation was read to stand for, its account now locked: accounts before reservations, so that
    no two wait for each other. Raises BudgetError where it was not there."""
    if made is None:
        raise BudgetError(f"no reservation {reservation!r} in the ledger to be {wanted}.")
    _balance(connection, made[0], locked=True)
    return made


def _checked(account: object, *images: object) -> Balance:
    """What is promised of a balance, checked as it is read."""
    budget, reserved, delivered = (number if isinstance(number, int) else -1 for number in images)
    if not isinstance(account, str) or not 0 <= delivered <= reserved <= budget:
        raise Damaged(
            f"account {account!r} reads: budget, reserved and delivered {', '.join(map(str, images))}"
        )
    return Balance(account, budget, reserved, delivered)


Bought = tuple[str, int, str]  # account, images, request


def _reservation(connection: Connection, reservation: str) -> Bought | None:
    """What a reservation stands for, if it is there."""
    found = connection.execute(_RESERVATION, {"reservation": reservation}).one_or_none()
    return found and (found.account, found.images, found.request)


def _require_same(reservation: str, made: Bought | None, asked: Bought) -> None:
    """One id, one purchase: anything else is a mistake in the caller, or two requests of one hash. Of a
    reservation from before ledgers had versions, the request is not known."""
    if made and not made[2]:
        made = (*made[:2], asked[2])
    if made != asked:
        account, images, _ = asked
        came = f"account {made[0]!r} for {made[1]} images" if made else "another account"
        other = " of another request" if made and made[:2] == asked[:2] else ""
        raise ReservationError(
            f"reservation {reservation!r} was made by {came}{other}; account {account!r} asks for {images} "
            "under the same id. Give each request an id of its own (`reservation_id`)."
        )


def _check_budget(account: str, budget: int) -> None:
    if not 0 <= budget <= LARGEST:
        raise BudgetError(f"the budget of account {account!r} must be 0 ... {LARGEST} images; got {budget}.")
