"""Codes and conditions that are chosen by what was bought before: the algorithms, and the purchase."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from varied_target import Varied

from ganguard.base.compute import Compute
from ganguard.base.errors import BudgetError, SpecError
from ganguard.base.seeds import normal
from ganguard.queries.choosing.k_centre import k_centre
from ganguard.queries.choosing.rounds import candidates_of, rounds
from ganguard.queries.choosing.students import Students, described, teach
from ganguard.queries.harvest import harvest
from ganguard.queries.judged_ask import shares_by_coverage
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store
from ganguard.targets.ask import Ask, ask_of
from ganguard.targets.checkpoint import CheckpointTarget

PILOT = 8


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Callable[..., Path]) -> Any:
    """A target whose codes have five entries."""
    path = tiny_checkpoint(tmp_path_factory.mktemp("target"))
    return CheckpointTarget(checkpoint=str(path)).load(Compute(device="cpu"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Students learn for a few steps, and rounds choose from few codes."""
    monkeypatch.setattr("ganguard.queries.choosing.students.STEPS", 20)
    monkeypatch.setattr("ganguard.queries.choosing.rounds.FEWEST_CODES", 40)


def plain_k_centre(points: Tensor, centres: Tensor, count: int) -> list[int]:
    """The obvious twin: all distances anew for each choice."""
    chosen: list[int] = []
    for _ in range(count):
        there = [*centres, *points[chosen]]
        nearest = [min((float((p - c).norm()) for c in there), default=torch.inf) for p in points]
        left = [row for row in range(len(points)) if row not in chosen]
        chosen.append(max(left, key=lambda row: (nearest[row], -row)))
    return chosen


@pytest.mark.parametrize("centres", [1, 3])
def test_centres_are_those_of_the_slow_twin(centres: int) -> None:
    generator = torch.Generator().manual_seed(3)
    points, there = (torch.randn(n, 2, generator=generator) for n in (30, centres))
    found = k_centre(points, there, 12)
    assert found.tolist() == plain_k_centre(points, there, 12)
    assert k_centre(points, there, 5).tolist() == found[:5].tolist()


def test_equal_points_are_chosen_once_each() -> None:
    assert sorted(k_centre(torch.zeros(4, 2), torch.zeros(1, 2), 4).tolist()) == [0, 1, 2, 3]


def test_rounds_double_after_the_pilot_and_a_smaller_count_cuts_the_last() -> None:
    ask = Ask(choose="coreset", pilot=10)
    assert rounds(ask, 100) == [range(10), range(10, 20), range(20, 40), range(40, 80), range(80, 100)]
    assert rounds(ask, 40) == [range(10), range(10, 20), range(20, 40)]
    assert rounds(ask, 9) == [range(9)]
    assert rounds(Ask(judge="spread", pilot=10), 100) == [range(10), range(10, 100)]
    assert rounds(Ask(), 100) == rounds(None, 100) == [range(100)]


@pytest.mark.parametrize(
    ("count", "latent_dim", "codes"),
    [
        (200, 128, 2000),
        (1000, 128, 8000),
        (20_000, 128, 65_536),
        (50_000, 128, 100_000),
        (5000, 12_288, 10_922),
    ],
)
def test_a_round_chooses_from_as_many_codes_as_memory_allows(
    monkeypatch: pytest.MonkeyPatch, count: int, latent_dim: int, codes: int
) -> None:
    monkeypatch.setattr("ganguard.queries.choosing.rounds.FEWEST_CODES", 2000)
    assert candidates_of(count, latent_dim) == codes


def test_a_description_keeps_distances_of_images_of_few_dimensions() -> None:
    """Principal components turn the pixels, and scale them all alike."""
    x = torch.randint(0, 256, (60, 1, 4, 4), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    y, pixels = described(x), x.flatten(1).float()
    ratio = torch.pdist(y) / torch.pdist(pixels)
    assert y.shape == (60, 16) and ratio.max() / ratio.min() < 1.001
    assert y.square().mean().item() == pytest.approx(1, abs=1e-4)
    assert torch.equal(described(torch.zeros(5, 3, 40, 20, dtype=torch.uint8)), torch.zeros(5, 32))


def test_students_learn_what_codes_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganguard.queries.choosing.students.STEPS", 120)
    codes = 3 + 2 * normal(0, "z", range(250), 2)
    images = (128 + 20 * (codes - 3)).clamp(0, 255).to(torch.uint8).view(-1, 1, 1, 2)
    learnt = teach(codes[:200], images[:200], students=2, seed=0)
    # Descriptions turn with the images that they are of: distances are compared.
    told, true = learnt.describe(codes), images.flatten(1).float()
    near, far = (torch.corrcoef(torch.stack([torch.pdist(told), torch.pdist(true)]))[0, 1], 0.98)
    assert near > far
    again = teach(codes[:200], images[:200], students=2, seed=0)
    assert torch.equal(again.answers(codes), learnt.answers(codes))
    assert learnt.disagreement(10 * codes).mean() > 5 * learnt.disagreement(codes).mean()


def test_disagreement_is_the_variance_of_the_answers() -> None:
    class Says(torch.nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, z: Tensor) -> Tensor:
            return self.factor * z

    students = Students((Says(1.0), Says(3.0)), torch.zeros(2), torch.tensor(1.0))
    codes = torch.tensor([[1.0, 0.0], [1.0, 2.0]])
    assert students.disagreement(codes).tolist() == [1.0, 5.0]
    assert students.describe(codes).tolist() == [[2.0, 0.0], [2.0, 4.0]]


def store_of(target: Any, directory: Path, ask: Ask, codes: Any = "client") -> Store:
    return Store(directory, target.identity, "us", 6, codes, ask=ask)


@pytest.mark.parametrize("choice", ["coreset", "uncertainty"])
def test_chosen_codes_are_the_same_however_they_were_asked_for(
    tmp_path: Path, target: Any, choice: Any
) -> None:
    ask = Ask(choose=choice, pilot=PILOT)
    whole = store_of(target, tmp_path / "whole", ask)
    images, codes = harvest(target, whole, 40), whole.read_codes(40)
    assert torch.equal(images, target.generate(codes)) and len(codes.unique(dim=0)) == 40
    assert torch.equal(codes[:PILOT], target.draw_latents(range(PILOT), seed=6))
    assert not torch.equal(codes, target.draw_latents(range(40), seed=6))
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.ensure_account("us", 40)
    cut = store_of(target, tmp_path / "cut", ask)
    for count in (5, PILOT, 13, 40, 40):  # a smaller budget is a prefix of a larger one
        assert torch.equal(harvest(meter(target, ledger, "us"), cut, count), images[:count])
    assert torch.equal(cut.read_codes(40), codes) and ledger.balance("us").reserved == 40
    with pytest.raises(BudgetError):
        harvest(meter(target, ledger, "us"), cut, 41)


def test_a_run_that_lost_images_asks_for_the_same_codes(tmp_path: Path, target: Any) -> None:
    """Even if it would choose others now: what was chosen is kept, and counts once."""
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.ensure_account("us", 32)
    store = store_of(target, tmp_path / "store", Ask(choose="coreset", pilot=PILOT))
    images = harvest(meter(target, ledger, "us"), store, 32)
    for start, _, file in store.shards():
        if start >= PILOT:
            file.unlink()
    with pytest.MonkeyPatch.context() as others:
        others.setattr("ganguard.queries.choosing.rounds.k_centre", None)
        assert torch.equal(harvest(meter(target, ledger, "us"), store, 32), images)
    assert ledger.balance("us").reserved == 32


def test_what_was_chosen_and_is_damaged_is_chosen_again(tmp_path: Path, target: Any) -> None:
    store = store_of(target, tmp_path / "store", Ask(choose="uncertainty", pilot=PILOT))
    images = harvest(target, store, 32)
    (file,) = (store.directory / "chosen").glob(f"*{2 * PILOT}.safetensors")
    file.write_bytes(b"damaged")
    next(file for start, _, file in store.shards() if start == 2 * PILOT).unlink()
    assert torch.equal(harvest(target, store, 32), images)


def test_uncertain_codes_are_those_that_students_know_least(tmp_path: Path, target: Any) -> None:
    """Two networks agree where they have learnt, and codes far out are where they have not."""
    store = store_of(target, tmp_path / "store", Ask(choose="uncertainty", pilot=PILOT))
    harvest(target, store, 2 * PILOT)
    norms = store.read_codes(2 * PILOT).norm(dim=1)
    assert norms[PILOT:].mean() > norms[:PILOT].mean()


def test_codes_are_chosen_by_the_client_alone(tmp_path: Path, target: Any) -> None:
    store = store_of(target, tmp_path / "store", ask_of("coreset"), "provider")
    with pytest.raises(SpecError, match=r"choose is of codes that the client sends.* Set codes: client"):
        harvest(target, store, 300)
    assert not (tmp_path / "store" / "data").exists()


def test_conditions_that_are_covered_worst_are_asked_for_more_often(tmp_path: Path) -> None:
    ask = Ask(choose="conditions", pilot=100)
    whole = Store(tmp_path / "whole", "varied", "a", 3, ask=ask)
    images = harvest(Varied(), whole, 1300)
    names = whole.read_conditions(1300)
    assert 35 < Counter(names[:100])["wild"] < 65
    assert Counter(names[100:])["wild"] > 1000
    cut = Store(tmp_path / "cut", "varied", "a", 3, ask=ask)
    for count in (40, 100, 150, 700, 1300):
        assert torch.equal(harvest(Varied(), cut, count), images[:count])
    assert cut.read_conditions(1300) == names


def test_coverage_is_the_mean_distance_to_the_nearest_other_image() -> None:
    seen = torch.tensor([[0.0], [1.0], [3.0], [0.0], [6.0], [9.0], [7.0]])
    asked = torch.tensor([0, 0, 0, 1, 1, 2, 3])
    # Of condition 0: 1, 1 and 2; of 1: 6 and 6; of 2 and 3 there is one image, and of 4 none.
    wanted = torch.tensor([4 / 3, 6.0, 6.0, 6.0, 6.0])
    assert shares_by_coverage(seen, asked, 5).tolist() == pytest.approx((wanted / wanted.sum()).tolist())
    assert shares_by_coverage(seen[:1], asked[:1], 2).tolist() == [0.5, 0.5]
    assert shares_by_coverage(torch.zeros(4, 1), torch.tensor([0, 0, 1, 1]), 2).tolist() == [0.5, 0.5]
