"""The ledger against a dictionary, through crashes and second processes: never above budget, once per id."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ganguard.base.errors import BudgetError
from ganguard.queries.ledger import Ledger

ACCOUNTS = st.sampled_from(["us", "them"])
IDS = st.sampled_from(["a", "b", "c", "d", "e"])


class LedgerBesideADictionary(RuleBasedStateMachine):
    """`budgets`, `bought` and `delivered` are what the ledger ought to say."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.budgets: dict[str, int] = {}
        self.bought: dict[str, tuple[str, int]] = {}
        self.delivered: set[str] = set()

    @initialize()
    def open(self) -> None:
        self.ledger = Ledger(Path(self.folder.name) / "ledger.db")

    def spent(self, account: str, ids: set[str] | None = None) -> int:
        return sum(n for key, (whose, n) in self.bought.items() if whose == account and (ids is None or key in ids))

    @rule(account=ACCOUNTS, budget=st.integers(0, 40))
    def set_budget(self, account: str, budget: int) -> None:
        if account in self.budgets and budget < self.spent(account):
            with pytest.raises(BudgetError):
                self.ledger.open_account(account, budget)
        else:
            self.ledger.open_account(account, budget)
            self.budgets[account] = budget

    @rule(account=ACCOUNTS, key=IDS, images=st.integers(0, 20))
    def reserve(self, account: str, key: str, images: int) -> None:
        name = f"{account}/{key}"
        if name in self.bought:
            self.ledger.reserve(name, account, self.bought[name][1], "again")
        elif account not in self.budgets or images > self.budgets[account] - self.spent(account):
            with pytest.raises(BudgetError):
                self.ledger.reserve(name, account, images, "too many")
        else:
            self.ledger.reserve(name, account, images, "first")
            self.bought[name] = (account, images)

    @rule(account=ACCOUNTS, key=IDS)
    def commit(self, account: str, key: str) -> None:
        self.ledger.commit(f"{account}/{key}")
        self.delivered |= {f"{account}/{key}"} & self.bought.keys()

    @rule()
    def crash(self) -> None:
        """Nothing but the file survives."""
        self.ledger.close()
        self.open()

    @invariant()
    def says_what_the_dictionary_says(self) -> None:
        found = {balance.account: balance for balance in self.ledger.balances()}
        assert {account: balance.budget for account, balance in found.items()} == self.budgets
        for account, balance in found.items():
            assert balance.reserved == self.spent(account)
            assert balance.delivered == self.spent(account, self.delivered)
            assert balance.delivered <= balance.reserved <= balance.budget

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()


TestLedger = LedgerBesideADictionary.TestCase
TestLedger.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
