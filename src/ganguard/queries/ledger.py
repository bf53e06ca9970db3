"""The durable record of what each account bought.

1 query = 1 image. A reservation is on disk before the image is asked for, and counts as spent from then on. Asking again under
the same id, after a crash, counts once. So: distinct images delivered <= reserved <= budget, whatever is killed when.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DatabaseError

from ganguard.base.errors import BudgetError

_METADATA = MetaData()
_ACCOUNTS = Table(
    "accounts",
    _METADATA,
    Column("name", String, primary_key=True),
    Column("budget", Integer, nullable=False),
)
_RESERVATIONS = Table(
    "reservations",
    _METADATA,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False, index=True),
    Column("images", Integer, nullable=False),
    Column("state", String, nullable=False),  # "reserved", then "delivered"
    Column("request", String, nullable=False),  # what was asked for, for a person to read
)
_BUSY_MS = 60_000


@dataclass(frozen=True)
class Balance:
    """Images of one account: `budget` it may buy, `reserved` (spent, delivered or not), `delivered`."""

    account: str
    budget: int
    reserved: int
    delivered: int


def reservation_id(target: str, account: str, request: str) -> str:
    """The id under which one request of one account to one target counts once: 64 hex digits."""
    return hashlib.sha256("\x1f".join([target, account, request]).encode()).hexdigest()


class Ledger:
    """Accounts and reservations in an SQLite file; several processes may use it at once."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._engine = create_engine(URL.create("sqlite", database=str(path)))
        event.listen(self._engine, "connect", _configure_sqlite)
        event.listen(self._engine, "begin", _begin_immediate)
        try:
            _METADATA.create_all(self._engine)
        except DatabaseError as problem:
            raise BudgetError(f"{path}: not a ledger that can be opened ({problem.orig}).") from None

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def open_account(self, account: str, budget: int) -> None:
        """Let `account` buy `budget` images in all. An account that exists may have its budget raised, or lowered as far as
        what it has reserved. Raises BudgetError below that."""
        with self._engine.begin() as connection:
            balance = _balance(connection, account)
            if balance is None:
                connection.execute(insert(_ACCOUNTS).values(name=account, budget=budget))
            elif budget < balance.reserved:
                raise BudgetError(
                    f"account {account!r} has bought {balance.reserved} images; its budget cannot become {budget}. "
                    f"Give at least {balance.reserved}, or another account."
                )
            else:
                connection.execute(update(_ACCOUNTS).where(_ACCOUNTS.c.name == account).values(budget=budget))

    def ensure_account(self, account: str, budget: int) -> None:
        """Let `account` buy at least `budget` images in all: opens it, or raises its budget, and never lowers it."""
        with self._engine.begin() as connection:
            balance = _balance(connection, account)
            if balance is None:
                connection.execute(insert(_ACCOUNTS).values(name=account, budget=budget))
            elif budget > balance.budget:
                connection.execute(update(_ACCOUNTS).where(_ACCOUNTS.c.name == account).values(budget=budget))

    def reserve(self, reservation: str, account: str, images: int, request: str) -> None:
        """Spend `images` of the account's budget, durably, before they are asked for; once per reservation id.

        Raises BudgetError where there is no such account or less than that is left; nothing is spent then. ValueError for
        a negative number.
        """
        if images < 0:
            raise ValueError(f"images must be 0 or more; got {images}")
        with self._engine.begin() as connection:
            if connection.execute(select(_RESERVATIONS.c.id).where(_RESERVATIONS.c.id == reservation)).first():
                return
            balance = _balance(connection, account)
            if balance is None:
                raise BudgetError(f"no account {account!r} in the ledger. Open it with a budget first.")
            left = balance.budget - balance.reserved
            if images > left:
                raise BudgetError(
                    f"account {account!r} may buy {left} more of its budget of {balance.budget} images; "
                    f"asked for {images}. Ask for fewer, or raise the budget."
                )
            values = {"id": reservation, "account": account, "images": images, "state": "reserved", "request": request}
            connection.execute(insert(_RESERVATIONS).values(values))

    def commit(self, reservation: str) -> None:
        """Record that the images of a reservation were delivered."""
        with self._engine.begin() as connection:
            connection.execute(update(_RESERVATIONS).where(_RESERVATIONS.c.id == reservation).values(state="delivered"))

    def balance(self, account: str) -> Balance:
        """What an account may buy and has bought. Raises BudgetError where there is no such account."""
        with self._engine.begin() as connection:
            balance = _balance(connection, account)
        if balance is None:
            raise BudgetError(f"no account {account!r} in the ledger.")
        return balance

    def balances(self) -> list[Balance]:
        """Every account, by name."""
        with self._engine.begin() as connection:
            names = connection.execute(select(_ACCOUNTS.c.name).order_by(_ACCOUNTS.c.name)).scalars().all()
            found = [_balance(connection, name) for name in names]
        return [balance for balance in found if balance is not None]


def _balance(connection: Connection, account: str) -> Balance | None:
    budget = connection.execute(
        select(_ACCOUNTS.c.budget).where(_ACCOUNTS.c.name == account).with_for_update()
    ).scalar_one_or_none()
    if budget is None:
        return None
    sums = connection.execute(
        select(_RESERVATIONS.c.state, func.sum(_RESERVATIONS.c.images))
        .where(_RESERVATIONS.c.account == account)
        .group_by(_RESERVATIONS.c.state)
    ).all()
    images = {state: int(total) for state, total in sums}
    return Balance(account, budget, sum(images.values()), images.get("delivered", 0))


def _configure_sqlite(connection: object, _record: object) -> None:
    connection.isolation_level = None  # pyright: ignore[reportAttributeAccessIssue] - SQLAlchemy's BEGIN, not sqlite3's
    cursor = connection.cursor()  # pyright: ignore[reportAttributeAccessIssue]
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # take the write lock before reading what is left
