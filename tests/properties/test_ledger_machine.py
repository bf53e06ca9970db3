"""The ledger against a few lines of plain Python, through crashes and several processes, on both
databases."""

import sqlite3
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ganguard.base.errors import BudgetError
from ganguard.queries.ledger import Balance, Ledger


class Model:
    """What a ledger ought to do. Each method returns whether the request is to be done, or refused."""

    def __init__(self) -> None:
        self.budgets: dict[str, int] = {}
        self.bought: dict[str, tuple[str, int]] = {}
        self.delivered: set[str] = set()

    def spent(self, account: str, *, delivered: bool = False) -> int:
        counted = self.delivered if delivered else self.bought.keys()
        return sum(
            images for key, (payer, images) in self.bought.items() if payer == account and key in counted
        )

    def open_account(self, account: str, budget: int) -> bool:
        if allowed := budget >= self.spent(account):
            self.budgets[account] = budget
        return allowed

    def ensure_account(self, account: str, budget: int) -> bool:
        self.budgets[account] = max(budget, self.budgets.get(account, 0))
        return True

    def reserve(self, key: str, account: str, images: int) -> bool:
        if key in self.bought:
            return self.bought[key] == (account, images)
        if allowed := account in self.budgets and images <= self.budgets[account] - self.spent(account):
            self.bought[key] = (account, images)
        return allowed

    def commit(self, key: str) -> bool:
        self.delivered |= {key} & self.bought.keys()
        return key in self.bought

    def release(self, key: str) -> bool:
        return key not in self.delivered and self.bought.pop(key, None) is not None


ACCOUNTS = st.sampled_from(["us", "them ünß 'quoted\" %s"])
KEYS = st.sampled_from(["a", "b", "c", "d", "e"])
MADE = st.runner().flatmap(lambda machine: st.sampled_from([*sorted(machine.model.bought), "e"]))
BUDGETS = st.integers(0, 40)
PROCESSES = st.integers(0, 2)
KILLED = [
    "INSERT INTO reservations VALUES ('a', 'us', 1, 'reserved', 'lost'), ('lost', 'us', 9, 'delivered', "
    "'lost')",
    "UPDATE accounts SET budget = budget + 1000",
    "UPDATE reservations SET state = 'delivered'",
    "DELETE FROM reservations",
]


class LedgerBesideModel(RuleBasedStateMachine):
    """Three ledgers are open on one place, as three processes would have them."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place, self.model = place, Model()
        self.ledgers = [Ledger(place) for _ in range(3)]

    def both(self, process: int, verb: str, *arguments: object, note: tuple[str, ...] = ()) -> None:
        act = getattr(self.ledgers[process], verb)
        if getattr(self.model, verb)(*arguments):
            act(*arguments, *note)
        else:
            with pytest.raises(BudgetError):
                act(*arguments, *note)

    @initialize(budget=BUDGETS)
    def open_one(self, budget: int) -> None:
        self.both(0, "open_account", "us", budget)

    @rule(
        process=PROCESSES,
        verb=st.sampled_from(["open_account", "ensure_account"]),
        account=ACCOUNTS,
        budget=BUDGETS,
    )
    def set_budget(self, process: int, verb: str, account: str, budget: int) -> None:
        self.both(process, verb, account, budget)

    @rule(process=PROCESSES, key=KEYS, account=ACCOUNTS, images=st.integers(0, 20))
    def reserve(self, process: int, key: str, account: str, images: int) -> None:
        self.both(process, "reserve", key, account, images, note=("request",))

    @rule(process=PROCESSES, key=MADE)
    def reserve_again(self, process: int, key: str) -> None:
        self.both(process, "reserve", key, *self.model.bought.get(key, ("us", 1)), note=("request",))

    @rule(process=PROCESSES, key=MADE)
    def commit(self, process: int, key: str) -> None:
        self.both(process, "commit", key)

    @rule(process=PROCESSES, key=MADE)
    def release(self, process: int, key: str) -> None:
        self.both(process, "release", key)

    @rule(process=PROCESSES)
    def end_and_open_again(self, process: int) -> None:
        self.ledgers[process].close()
        self.ledgers[process] = Ledger(self.place)

    @rule(statements=st.lists(st.sampled_from(KILLED), min_size=1, max_size=2, unique=True))
    def die_half_way(self, statements: list[str]) -> None:
        """A process ends inside its transaction, of which nothing happened. (A statement that violates a key
        ends it too.)"""
        drop_half_way(self.place, statements)

    @invariant()
    def says_what_the_model_says(self) -> None:
        expected = [
            Balance(account, budget, self.model.spent(account), self.model.spent(account, delivered=True))
            for account, budget in sorted(self.model.budgets.items())
        ]
        assert all(ledger.balances() == expected for ledger in self.ledgers)
        assert all(0 <= balance.delivered <= balance.reserved <= balance.budget for balance in expected)

    def teardown(self) -> None:
        for ledger in self.ledgers:
            ledger.close()


def drop_half_way(place: str, statements: list[str]) -> None:
    """Run statements on another connection, and close it without a commit."""
    if "://" in place:
        import psycopg

        connection, errors = psycopg.connect(place), psycopg.errors.IntegrityError
    else:
        connection, errors = sqlite3.connect(place), sqlite3.IntegrityError
        connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in statements:
            connection.execute(statement)
    except errors:
        pass
    finally:
        connection.close()


def test_the_ledger_does_what_the_model_does(new_place: Callable[[], str]) -> None:
    examples = 12 if "://" in new_place() else 30  # a second buys fewer of the server
    size = settings(max_examples=examples, stateful_step_count=30, deadline=None)
    run_state_machine_as_test(lambda: LedgerBesideModel(new_place()), settings=size)
