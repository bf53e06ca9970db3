"""Sorted fidelity extraction: how it sorts, in what shares it trains, and what it refuses."""

from collections import Counter
from pathlib import Path
from typing import cast

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.attacks.protocol import Knowledge, Needs, Workspace, parse_attack, run_attack
from ganguard.attacks.sorted_fidelity import SORTED, classes_like, evened
from ganguard.base.compute import Compute
from ganguard.base.errors import DataError, SpecError
from ganguard.base.images import to_uint8
from ganguard.base.labels import Labels
from ganguard.base.seeds import normal
from ganguard.queries.store import Store
from ganguard.training.held_out import hold_out

TINY = {
    "kind": "sorted_fidelity",
    "architecture": {"kind": "dcgan", "width": 4, "latent_dim": 4},
    "query_budget": 20,
    "steps": 4,
    "batch_size": 8,
}
KNOWN = torch.stack(
    [torch.full((1, 8, 8), level, dtype=torch.uint8) for level in (20, 30, 40, 200, 210, 220)]
)
CLASSES = Labels(torch.tensor([0, 0, 0, 1, 1, 1]), ("dark", "light"))


class MostlyDark:
    """A black box of flat images, of which one in ten is light."""

    identity = "mostly dark"
    image_shape = (1, 8, 8)
    asked = 0

    def sample(self, indices: range, *, seed: int) -> Tensor:
        self.asked += len(indices)
        levels = torch.tensor([210 if index % 10 == 0 else 30 for index in indices], dtype=torch.uint8)
        return levels.view(-1, 1, 1, 1).expand(-1, *self.image_shape).contiguous()


class Greys(MostlyDark):
    """A black box of flat images, of which no two are equal."""

    def sample(self, indices: range, *, seed: int) -> Tensor:
        levels = 12 * torch.tensor(list(indices), dtype=torch.uint8)
        return levels.view(-1, 1, 1, 1).expand(-1, *self.image_shape).contiguous()


def attack(target: MostlyDark, directory: Path, knowledge: Knowledge, **changes: object) -> Path:
    workspace = Workspace(directory, Store(directory / "store", target.identity, "adversary", 3), Compute())
    return run_attack(target, parse_attack({**TINY, **changes}), knowledge, workspace, seed=0).checkpoint


def test_images_are_sorted_as_the_known_ones_were() -> None:
    images = torch.stack([torch.full((1, 8, 8), level, dtype=torch.uint8) for level in (0, 90, 150, 255)])
    assert classes_like(images, KNOWN, CLASSES.numbers).tolist() == [0, 0, 1, 1]
    assert classes_like(images, KNOWN[3:4], CLASSES.numbers[3:4]).tolist() == [1] * 4


def test_a_known_image_stands_for_itself_moved_by_a_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = torch.zeros(8, 1, 8, 8, dtype=torch.uint8)
    bars[torch.arange(8), 0, :, torch.arange(8)] = 255  # bar i stands in column i
    known, classes = bars[[1, 4, 6]], torch.tensor([0, 1, 0])
    moved = bars[[0, 2, 3]]
    assert classes_like(moved, known, classes).tolist() == [0, 0, 1]
    monkeypatch.setattr("ganguard.attacks.sorted_fidelity.MOST_LEARNT", 3)  # too many to be moved
    assert len(set(classes_like(moved, known, classes).tolist())) == 1  # all are as far from each bar


def test_of_very_many_known_images_some_are_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganguard.attacks.sorted_fidelity.MOST_LEARNT", 4)
    assert classes_like(KNOWN, KNOWN.repeat(5, 1, 1, 1), CLASSES.numbers.repeat(5)).unique().numel() == 2


@pytest.mark.parametrize(("evenness", "rare"), [(0.0, 0.1), (0.5, 0.3), (1.0, 0.5)])
def test_shares_are_moved_towards_equal_ones(evenness: float, rare: float) -> None:
    classes = torch.tensor([0] * 90 + [2] * 10)  # nothing is of class 1
    rows = evened(classes, evenness)
    assert (classes[rows] == 2).double().mean().item() == pytest.approx(rare, abs=0.01)
    assert set(rows.tolist()) == set(range(100))
    assert len(set(Counter(rows.tolist()).values())) == (1 if evenness == 0 else 2)


def test_every_image_is_trained_on_however_frequent_its_class() -> None:
    classes = torch.cat([torch.zeros(5000, dtype=torch.long), torch.arange(1, 200)])
    assert len(evened(classes, 1.0).unique()) == 5199


def test_which_images_it_trains_on_is_written_for_those_who_measure_them(tmp_path: Path) -> None:
    known = Knowledge(KNOWN, lambda images: 0.0, real_labels=CLASSES)
    attack(MostlyDark(), tmp_path, known, evenness=1.0)
    rows = load_file(tmp_path / SORTED)["rows"]
    assert set(rows.tolist()) == set(range(20))
    light = (rows % 10 == 0).double().mean().item()
    assert light == pytest.approx(0.5, abs=0.01)


def test_a_copy_makes_more_of_what_was_rare(tmp_path: Path) -> None:
    """The target makes one light image in ten. A copy that is evened out ends up lighter."""
    long = {"steps": 100, "learning_rate": 4e-3, "ema_decay": 0.9}
    known, lightness = Knowledge(KNOWN, lambda images: 0.0, real_labels=CLASSES), list[float]()
    for evenness in (0.0, 1.0):
        made = attack(MostlyDark(), tmp_path / str(evenness), known, evenness=evenness, **long)
        with torch.inference_mode():
            images = load_checkpoint(made).networks.generator(normal(1, "latents", range(100), 4))
        lightness.append(to_uint8(images).float().mean().item())
    assert lightness[1] > lightness[0] + 20


def test_what_it_needs_and_how_it_is_called() -> None:
    settings = parse_attack({**TINY, "real_fraction": 0.25})
    assert settings.needs() == Needs(purchase=20, real_fraction=0.25, unjudged=True)
    assert settings.needs().knows() == ("real images",)
    assert settings.label() == "sorted fidelity dcgan, sorts by 25 % real"
    assert settings.trains_through()
    with pytest.raises(SpecError, match="query_budget must be at least 20 here; got 19"):
        parse_attack({**TINY, "architecture": "flow", "held_out": 0.1, "query_budget": 19})
    with pytest.raises(SpecError, match="these have none"):
        settings.require_real_classes(0)


def test_what_a_flow_holds_out_is_not_trained_on_though_images_repeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[tuple[Tensor, Tensor]] = []

    def noted(images: Tensor, *others: object, **named: object) -> object:
        divided = hold_out(images, *others, **named)  # pyright: ignore[reportArgumentType]
        assert divided.held_out is not None
        found.append((cast(Tensor, divided.images), cast(Tensor, divided.held_out.images)))
        return divided

    monkeypatch.setattr("ganguard.training.loop.hold_out", noted)
    flow = {"kind": "flow", "width": 4, "solver_steps": 1}
    known = Knowledge(KNOWN, lambda images: 0.0, real_labels=CLASSES)
    attack(Greys(), tmp_path, known, architecture=flow, held_out=0.2, steps=1)
    learnt, held = ({x.numpy().tobytes() for x in images} for images in found[0])
    assert learnt and held and learnt.isdisjoint(held)


@pytest.mark.parametrize(
    ("knowledge", "error", "said"),
    [
        (Knowledge(), SpecError, "needs real images"),
        (
            Knowledge(KNOWN, lambda images: 0.0),
            DataError,
            "sorts by the classes of real images, and these have none",
        ),
        (Knowledge(KNOWN[:, :, :4], lambda images: 0.0, real_labels=CLASSES), DataError, "real ones are"),
    ],
)
def test_what_it_lacks_is_said_before_anything_is_bought(
    tmp_path: Path, knowledge: Knowledge, error: type[Exception], said: str
) -> None:
    target = MostlyDark()
    with pytest.raises(error, match=said):
        attack(target, tmp_path, knowledge)
    assert target.asked == 0


def test_a_copy_with_classes_is_refused() -> None:
    with pytest.raises(SpecError, match="needs no sorting"):
        parse_attack({**TINY, "architecture": {"kind": "sngan", "classes": 2}})
