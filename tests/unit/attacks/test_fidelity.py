"""Fidelity extraction: what it buys, from whom, and what comes out."""

from pathlib import Path

import pytest
import torch

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.attacks.fidelity import FidelitySettings, run
from ganguard.attacks.protocol import Knowledge, Workspace, parse_attack
from ganguard.base.compute import Compute
from ganguard.base.errors import BudgetError, SpecError
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store


class Counting:
    """A black box of constant images that counts what it is asked for."""

    identity = "counting"
    image_shape = (1, 8, 8)

    def __init__(self) -> None:
        self.asked = 0

    def sample(self, indices: range, *, seed: int) -> torch.Tensor:
        self.asked += len(indices)
        return torch.full((len(indices), 1, 8, 8), 200, dtype=torch.uint8)


def settings(budget: int) -> FidelitySettings:
    tiny = {"architecture": {"kind": "sngan", "width": 4}, "steps": 4, "n_dis": 1, "batch_size": 8}
    return FidelitySettings.model_validate({**tiny, "query_budget": budget})


def attack(target: Counting, directory: Path, budget: int, account_budget: int):
    ledger = Ledger(directory / "ledger.sqlite")
    ledger.open_account("adversary", account_budget)
    workspace = Workspace(directory, Store(directory / "store", "counting", "adversary", 3), Compute())
    substitute = run(meter(target, ledger, "adversary"), settings(budget), Knowledge(), workspace, seed=0)
    return substitute, ledger.balance("adversary")


def test_it_buys_its_budget_once_and_trains_a_substitute(tmp_path: Path) -> None:
    target = Counting()
    substitute, balance = attack(target, tmp_path, 40, 40)
    assert (target.asked, balance.reserved, balance.delivered, substitute.queries) == (40, 40, 40, 40)
    checkpoint = load_checkpoint(substitute.checkpoint)
    assert checkpoint.description.image_shape == (1, 8, 8)
    again, balance = attack(target, tmp_path, 40, 40)
    assert (target.asked, balance.reserved) == (40, 40)
    assert load_checkpoint(again.checkpoint).digest() == checkpoint.digest()


def test_a_budget_that_the_account_cannot_pay_buys_nothing(tmp_path: Path) -> None:
    target = Counting()
    with pytest.raises(BudgetError, match=r"may buy 10 more .* asked for 40"):
        attack(target, tmp_path, 40, 10)
    assert target.asked == 0


def test_an_unknown_attack_names_the_known_ones() -> None:
    with pytest.raises(
        SpecError,
        match=r"'fidelty'; did you mean 'fidelity'\? Known: .*, found, given, .*strongest, transfer$",
    ):
        parse_attack({"kind": "fidelty"})
