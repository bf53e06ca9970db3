"""Conditions in meter, harvest, store and averages; and that nothing changes without them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from ganguard.base.errors import BudgetError, DataError, TargetError
from ganguard.queries.asked_again import ask_again
from ganguard.queries.averaged_target import average
from ganguard.queries.harvest import harvest
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.reservation import images_asked, reservation_id, sample_words
from ganguard.queries.store import Store
from ganguard.targets.ask import UNIFORM, Ask, asked_of
from ganguard.targets.conditions import Conditions, request_digest

NAMES = ("cat", "dog", "owl")
OWLS = Ask(only=("owl",))
RARE = Ask(proportions=(("cat", 0.9), ("dog", 0.1)))


class Painted:
    """Image i of a seed and a condition is filled with a number that the three determine."""

    identity, image_shape, latent_dim = "painted", (1, 4, 4), 2
    conditions = Conditions(names=NAMES)

    def draw_latents(self, indices: range, *, seed: int) -> Tensor:
        return torch.tensor([[float(index), float(seed)] for index in indices]).view(-1, 2)

    def generate(self, latents: Tensor, *, conditions: Tensor) -> Tensor:
        values = 3 * latents[:, 0] + latents[:, 1] + 80 * conditions
        return (values % 256).to(torch.uint8)[:, None, None, None].expand(-1, 1, 4, 4).contiguous()

    def sample(self, indices: range, *, seed: int, conditions: Tensor | None = None) -> Tensor:
        if conditions is None:
            conditions = asked_of(self, None, indices, seed=seed)
            assert conditions is not None
        return self.generate(self.draw_latents(indices, seed=seed), conditions=conditions)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    found = Ledger(tmp_path / "ledger.sqlite")
    found.open_account("us", 100)
    return found


def test_each_request_of_a_condition_counts_once(ledger: Ledger) -> None:
    target, (cats, dogs) = meter(Painted(), ledger, "us"), torch.zeros(2, 3, dtype=torch.int64)
    dogs += 1
    for asked in (cats, dogs, cats, None, None):
        target.sample(range(3), seed=0, conditions=asked)
    assert ledger.balance("us").delivered == 9
    codes = target.draw_latents(range(3), seed=0)  # type: ignore[attr-defined]
    for asked in (cats, dogs, cats):
        target.generate(codes, conditions=asked)  # type: ignore[attr-defined]
    assert ledger.balance("us").delivered == 15
    assert request_digest(codes, cats) != request_digest(codes, None) == request_digest(codes.clone(), None)
    assert images_asked(sample_words(4, range(2, 9), cats)) == 7


@pytest.mark.parametrize("wrong", [[0, 3], [-1, 0], [0], [0, 1, 2]])
def test_what_cannot_be_asked_for_is_refused_before_it_is_reserved(ledger: Ledger, wrong: list[int]) -> None:
    target = meter(Painted(), ledger, "us")
    for ask in (
        lambda: target.sample(range(2), seed=0, conditions=torch.tensor(wrong)),
        lambda: target.generate(torch.zeros(2, 2), conditions=torch.tensor(wrong)),  # type: ignore[attr-defined]
    ):
        with pytest.raises(TargetError, match="conditions must be"):
            ask()
    assert ledger.balance("us").reserved == 0


@pytest.mark.parametrize("codes", ["provider", "client"])
@pytest.mark.parametrize("ask", [None, UNIFORM, OWLS, RARE])
def test_a_larger_harvest_goes_on_from_a_smaller_one(
    tmp_path: Path, ledger: Ledger, ask: Ask | None, codes: Any
) -> None:
    target = Painted()
    store = Store(tmp_path / "store", target.identity, "us", 5, codes, ask=ask)
    first = harvest(meter(target, ledger, "us"), store, 20)
    images = harvest(meter(target, ledger, "us"), store, 50)
    assert torch.equal(images[:20], first)
    assert ledger.balance("us").delivered == 50
    asked = (ask or UNIFORM).draw(target.conditions, range(50), seed=5)
    assert torch.equal(images, target.sample(range(50), seed=5, conditions=asked))
    assert Store.open(tmp_path / "store").ask == (ask or UNIFORM)
    assert store.read_conditions(50) == target.conditions.said(asked)
    assert store.read_conditions(7) == target.conditions.said(asked[:7])
    with pytest.raises(BudgetError):
        harvest(meter(target, ledger, "us"), store, 101)


def test_a_store_of_another_ask_is_another_one(tmp_path: Path, ledger: Ledger) -> None:
    target = meter(Painted(), ledger, "us")
    harvest(target, Store(tmp_path, target.identity, "us", 0), 3)
    for ask in (OWLS, RARE):
        with pytest.raises(DataError, match=r"holds another harvest \(ask") as raised:
            harvest(target, Store(tmp_path, target.identity, "us", 0, ask=ask), 3)
        assert "\n" not in str(raised.value)
    assert ledger.balance("us").reserved == 3


def test_a_column_of_conditions_that_is_absent_or_too_short_is_said(tmp_path: Path) -> None:
    store = Store(tmp_path, "painted", "us", 0, ask=UNIFORM)
    store.create()
    images = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    shard = store.write(0, images, None, ["cat", "dog"])
    assert pq.read_table(shard).column_names == ["index", "seed", "image", "condition"]
    assert store.read_conditions(2) == ["cat", "dog"]
    store.write(2, images, None)
    with pytest.raises(DataError, match="has no column condition"):
        store.read_conditions(4)
    with pytest.raises(DataError, match="holds the first 4 images; 5 were asked for"):
        store.read_conditions(5)


def test_all_copies_of_an_average_are_of_one_condition(ledger: Ledger) -> None:
    inner = Painted()
    averaged = average(meter(inner, ledger, "us"), 3, 0.0)
    asked = torch.tensor([2, 0, 1, 2])
    images = averaged.sample(range(4), seed=1, conditions=asked)
    assert torch.equal(images, inner.sample(range(4), seed=1, conditions=asked))
    assert torch.equal(averaged.sample(range(4), seed=1), inner.sample(range(4), seed=1))
    assert averaged.conditions == inner.conditions


def test_a_target_with_conditions_is_not_asked_for_a_code_again(ledger: Ledger) -> None:
    """What an image is asked for is drawn for itself, and two answers would be of two classes."""
    with pytest.raises(TargetError, match="is drawn by itself"):
        ask_again(meter(Painted(), ledger, "us"), 2)


def test_without_conditions_everything_is_as_before(
    tmp_path: Path, ramp: Callable[..., Any], ledger: Ledger
) -> None:
    """Ids and bytes that were written before any target had conditions."""
    target = meter(ramp(latent=True), ledger, "us")
    for codes in ("provider", "client"):
        store = Store(tmp_path / codes, "ramp", "us", 3, codes)  # type: ignore[arg-type]
        harvest(target, store, 6)
        said = (
            '{\n  "target": "ramp",\n  "account": "us",\n  "seed": 3,\n'
            f'  "codes": "{codes}",\n  "queries_an_image": 1\n}}\n'
        )
        assert (tmp_path / codes / "store.json").read_text() == said
        ((_, _, shard),) = store.shards()
        assert "condition" not in pq.read_table(shard).column_names
    assert sample_words(3, range(6)) == "sample seed=3 indices=0:6"
    assert reservation_id("ramp", "us", sample_words(3, range(6))) == (
        "c089a8bf288a48d35143175393bb0d11f43c1226063a364089904a9e390d25e2"
    )
    request = f"generate latents={request_digest(target.draw_latents(range(6), seed=3), None)}"  # type: ignore[attr-defined]
    assert reservation_id("ramp", "us", request) == (
        "baec960543bab642bfb353553c19c0d276fc1212e4a8e5d29f578103e79afb87"
    )
    assert ledger.balance("us").delivered == 12
