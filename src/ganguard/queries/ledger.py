"""The durable record of what each account bought.

1 query = 1 image. A reservation is durable before the image is asked for, and counts as spent from then on.
Asking again under the same id, after a crash, counts once. So: distinct images delivered <= reserved <=
budget, whatever is killed at any moment.
"""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import update

from ganguard.base.errors import BudgetError, GanguardError
from ganguard.queries.ledger_check import LedgerCheck, check_rows
from ganguard.queries.ledger_conditions import ConditionBalance, read_conditions, set_budget
from ganguard.queries.ledger_database import Database, add
from ganguard.queries.ledger_rows import (
    Balance,
    commit,
    in_account_order,
    read_asked_again,
    read_balance,
    read_balances,
    read_reservation,
    release,
    reserve,
)
from ganguard.queries.ledger_tables import ACCOUNTS, LARGEST, prepare_conditions
from ganguard.queries.reservation import OfCondition, Purchase, reservation_id

__all__ = [
    "Balance",
    "ConditionBalance",
    "Ledger",
    "LedgerCheck",
    "OfCondition",
    "Purchase",
    "reservation_id",
]


class Ledger:
    """Accounts and reservations in an SQLite file, or in PostgreSQL; several processes may use it at once.

    Every method raises BudgetError if the place holds no ledger, or one of a schema that this ganguard does
    not read. It raises StepError if the machine fails: a full or failing disk, a lock held for too long, a
    database out of reach. What failed was not done. If only the answer was lost, the same call
    again counts once.

    Args:
        place: the file's path, or "postgresql://user:password@host:port/database" as a string (extra
            `ganguard[postgres]`). A new ledger is created there if there is none.
        patience: seconds that each method waits for others; a minute by default.
    """

    def __init__(self, place: Path | str, patience: float | None = None) -> None:
        self._database = Database(place, patience)

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
        """Let `account` buy `budget` images in all.

        The budget of an account that exists is raised, or lowered as far as what it has reserved. Raises
        BudgetError if the budget is lower than that, or below 0.
        """
        _require_budget(account, budget)
        with self._database.transaction(f"open account {account!r}") as connection:
            add(connection, ACCOUNTS, {"name": account, "budget": budget})
            balance = read_balance(connection, account, locked=True)
            if budget < balance.reserved:
                raise BudgetError(
                    f"account {account!r} has bought {balance.reserved} images; its budget cannot become "
                    f"{budget}. Give at least {balance.reserved}, or another account."
                )
            connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.name == account).values(budget=budget))

    def ensure_account(self, account: str, budget: int) -> None:
        """Let `account` buy at least `budget` images in all: open it or raise its budget, but never lower it.

        Raises BudgetError if the budget is below 0.
        """
        _require_budget(account, budget)
        with self._database.transaction(f"open account {account!r}") as connection:
            add(connection, ACCOUNTS, {"name": account, "budget": budget})
            lower = (ACCOUNTS.c.name == account) & (ACCOUNTS.c.budget < budget)
            connection.execute(update(ACCOUNTS).where(lower).values(budget=budget))

    def open_condition(self, account: str, condition: str, budget: int | None) -> None:
        """Let `account` buy `budget` images of one condition in all, within its whole budget; None takes that
        bound away, and changes nothing if there is none.

        Raises BudgetError if there is no such account, if it has bought more of the condition, or if the
        budget is below 0.
        """
        if budget is not None:
            _require_budget(account, budget)
        with self._database.transaction(f"set a budget of account {account!r}") as connection:
            if budget is not None:
                prepare_conditions(connection)
            elif not self._database.has_conditions(connection):
                read_balance(connection, account)
                return
            read_balance(connection, account, locked=True)
            set_budget(connection, account, condition, budget)

    def conditions(self, account: str | None = None) -> list[ConditionBalance]:
        """Return what an account, or every account, bought and may buy of each condition, ordered by name."""
        with self._database.reading("read what was bought of each condition") as connection:
            return read_conditions(connection, None if account is None else [account])

    def reserve(
        self,
        reservation: str,
        account: str,
        images: int,
        request: str,
        conditions: tuple[OfCondition, ...] = (),
    ) -> bool:
        """Spend images of an account's budget, durably, before they are asked for; once per reservation id.

        Raises BudgetError if there is no such account or less than that is left, of the whole budget or of
        that of a condition; ReservationError if the id
        stands for another account, number of images or request; nothing is spent then. Raises ValueError if
        `images` is negative.

        Args:
            reservation: the id, see `reservation_id`.
            account: the account that pays.
            images: how many images.
            request: what is asked for, in words that say all of it.
            conditions: what the images are asked for, if the target takes conditions.

        Returns:
            False if they were reserved before.
        """
        (answer,) = self.reserve_all([Purchase(reservation, account, images, request, conditions)])
        return _answered(answer)

    def reserve_all(self, purchases: Sequence[Purchase]) -> list[bool | GanguardError]:
        """Reserve several purchases in one transaction, which costs about as much as one of them.

        Returns for each what `reserve` would return or raise. Raises what concerns all of them; then nothing
        is spent.
        """
        if any(purchase.images < 0 for purchase in purchases):
            raise ValueError(
                f"images must be 0 or more; got {min(purchase.images for purchase in purchases)}"
            )
        with self._database.transaction(_words(purchases)) as connection:
            conditional = any(purchase.conditions for purchase in purchases)
            if conditional and not self._database.has_conditions(connection):
                prepare_conditions(connection)
            return in_account_order(
                purchases, lambda purchase: purchase.account, partial(reserve, connection)
            )

    def request_of(self, reservation: str) -> str | None:
        """Return the words that a reservation was made with, or None if there is no such reservation."""
        with self._database.reading("read a reservation") as connection:
            made = read_reservation(connection, reservation)
            return made and made.request

    def commit(self, reservation: str) -> None:
        """Record that the images of a reservation were delivered; doing so again changes nothing.

        Raises BudgetError if there is no such reservation.
        """
        (answer,) = self.commit_all([(reservation, None)])
        _answered(answer)

    def commit_all(self, deliveries: Sequence[tuple[str, str | None]]) -> list[bool | GanguardError]:
        """Record several deliveries in one transaction.

        Whoever commits before it delivers, and gives the request, delivers nothing that was released
        meanwhile: it gets an error, also if the id stands for another request by then.

        Args:
            deliveries: of each the reservation's id, and the request that it was made with; None accepts any.

        Returns:
            For each whether it was recorded only now, or what `commit` would raise; ReservationError if the
            id now stands for another request.
        """
        with self._database.transaction("record a delivery") as connection:
            made = [(id_, read_reservation(connection, id_), request) for id_, request in deliveries]
            conditions = self._database.has_conditions(connection)
            return in_account_order(
                made,
                lambda found: found[1].account if found[1] else "",
                lambda found: commit(connection, *found, conditions=conditions),
            )

    def release(self, reservation: str, request: str | None = None) -> None:
        """Give back images that were not delivered and will not be.

        If others may ask under the same id, they must commit before they deliver (see `commit_all`): then
        whoever has not committed by now delivers nothing. Raises BudgetError if the images were delivered, or
        if there is no such reservation, ReservationError if it is one of another request.

        Args:
            reservation: its id.
            request: the request that it was made with; None accepts any.
        """
        with self._database.transaction("release a reservation") as connection:
            made = read_reservation(connection, reservation)
            conditions = self._database.has_conditions(connection)
            release(connection, reservation, made, request, conditions=conditions)

    def balance(self, account: str) -> Balance:
        """Return what an account may buy and has bought. Raises BudgetError if there is no such account."""
        with self._database.reading(f"read the balance of account {account!r}") as connection:
            return read_balance(connection, account)

    def balances(self) -> list[Balance]:
        """Return the balance of every account, ordered by name."""
        with self._database.reading("read the balances") as connection:
            return sorted(read_balances(connection), key=lambda balance: balance.account)

    def asked_again(self) -> Counter[str]:
        """Return how many images each account asked for again after no answer had come: each may have been
        charged, and is counted."""
        with self._database.reading("read what was asked again") as connection:
            return read_asked_again(connection)

    def check(self, targets: Mapping[str, Set[str]]) -> LedgerCheck:
        """Check everything that is recorded against itself.

        Opening a ledger writes beside its file: to check one that must stay as it is, open a copy of it, see
        `copy_ledger`.

        Args:
            targets: identities of the targets that an account buys from, by account, as far as known.
        """
        with self._database.reading("read the whole ledger") as connection:
            return check_rows(connection, targets)


def _words(purchases: Sequence[Purchase]) -> str:
    """Return what an error says could not be done."""
    if not purchases:
        return "reserve nothing"
    first = f"reserve {purchases[0].images} images for account {purchases[0].account!r}"
    return first if len(purchases) == 1 else f"{first}, and others"


def _answered(answer: bool | GanguardError) -> bool:
    if isinstance(answer, GanguardError):
        raise answer
    return answer


def _require_budget(account: str, budget: int) -> None:
    if not 0 <= budget <= LARGEST:
        raise BudgetError(f"the budget of account {account!r} must be 0 ... {LARGEST} images; got {budget}.")
