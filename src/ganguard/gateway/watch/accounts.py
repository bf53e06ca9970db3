"""Accounts as the operator looks at them: a page at a time, those with signs of copying first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, true

from ganguard.gateway.tables import KEYS, SIGNS
from ganguard.queries.ledger_database import Database
from ganguard.queries.ledger_tables import ACCOUNTS

PAGE = 50  # accounts
_READ = "read the accounts"


@dataclass(frozen=True)
class AccountPage:
    """Some accounts of a ledger.

    Attributes:
        bought: images that each may buy in all, and has bought, by its name.
        number: the page's number, from 1.
        pages: how many pages there are, at least 1.
        found: accounts that were looked for, on all pages.
        total: accounts in the ledger.
        customers: those that may buy images; an operator's own account usually may not.
    """

    bought: Mapping[str, tuple[int, int]]
    number: int
    pages: int
    found: int
    total: int
    customers: int


def account_page(database: Database, number: int, wanted: str = "") -> AccountPage:
    """Return a page of accounts: those with signs that are raised first, then by images bought.

    Args:
        database: the ledger's database; the gateway's tables exist.
        number: the page's number, from 1; beyond the last page, that one is returned.
        wanted: a part of the accounts' names, in upper or lower case; all accounts if empty.
    """
    looked_for = ACCOUNTS.c.name.icontains(wanted, autoescape=True) if wanted else true()
    with database.reading(_READ) as connection:
        total = int(connection.execute(select(func.count()).select_from(ACCOUNTS)).scalar_one())
        may_buy = select(func.count()).select_from(ACCOUNTS).where(ACCOUNTS.c.budget > 0)
        customers = int(connection.execute(may_buy).scalar_one())
        asked = select(func.count()).select_from(ACCOUNTS).where(looked_for)
        found = int(connection.execute(asked).scalar_one()) if wanted else total
        pages = max(1, -(-found // PAGE))
        number = min(max(1, number), pages)
        rows = connection.execute(_ordered(looked_for).limit(PAGE).offset((number - 1) * PAGE))
        bought = {name: (budget, reserved) for name, budget, reserved in rows}
    return AccountPage(bought, number, pages, found, total, customers)


def keys_in_force(database: Database, accounts: list[str]) -> dict[str, int]:
    """Return how many keys of each account are not revoked, for accounts with any."""
    asked = select(KEYS.c.account, func.count()).where(KEYS.c.account.in_(accounts), ~KEYS.c.revoked)
    with database.reading(_READ) as connection:
        return {account: n for account, n in connection.execute(asked.group_by(KEYS.c.account))}


def _ordered(looked_for: ColumnElement[bool]) -> Select[Any, Any, Any]:
    raised = select(SIGNS.c.account).where(SIGNS.c.raised).distinct().subquery()
    joined = ACCOUNTS.outerjoin(raised, raised.c.account == ACCOUNTS.c.name)
    asked = select(ACCOUNTS.c.name, ACCOUNTS.c.budget, ACCOUNTS.c.reserved).select_from(joined)
    return asked.where(looked_for).order_by(
        raised.c.account.is_(None), ACCOUNTS.c.reserved.desc(), ACCOUNTS.c.name
    )
