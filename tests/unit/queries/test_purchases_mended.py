"""What once lost money: refused requests, gaps in a store, budgets lowered by a neighbour."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ganguard.base.errors import BudgetError
from ganguard.queries.harvest import harvest
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite")


def test_ensuring_an_account_never_lowers_its_budget(ledger: Ledger) -> None:
    for budget, expected in ((10, 10), (30, 30), (20, 30)):
        ledger.ensure_account("us", budget)
        assert ledger.balance("us").budget == expected


def test_after_a_refusal_a_smaller_count_is_bought(
    ledger: Ledger, tmp_path: Path, ramp: Callable[..., object]
) -> None:
    ledger.open_account("us", 100)
    target, store = meter(ramp(), ledger, "us"), Store(tmp_path / "store", "ramp", "us", 0)  # type: ignore[arg-type]
    with pytest.raises(BudgetError, match="may buy 100 more"):
        harvest(target, store, 512)
    assert len(harvest(target, store, 100)) == 100
    assert ledger.balance("us").reserved == 100


def test_a_gap_is_filled_and_costs_nothing(
    ledger: Ledger, tmp_path: Path, ramp: Callable[..., object]
) -> None:
    ledger.open_account("us", 600)
    target, store = meter(ramp(), ledger, "us"), Store(tmp_path / "store", "ramp", "us", 0)  # type: ignore[arg-type]
    harvest(target, store, 300)
    before = harvest(target, store, 600)
    store.shards()[0][2].unlink()
    assert harvest(target, store, 600).equal(before)
    assert ledger.balance("us").reserved == 600
