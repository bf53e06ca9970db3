"""Accuracy extraction: what the adversary does with real images and with D."""

import json
from pathlib import Path

import pytest
import torch
from accuracy_samples import KNOWLEDGE, TINY, Box, BrightnessD, WhiteBox, attack, bright, judge

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.attacks.protocol import Knowledge, parse_attack
from ganguard.attacks.real_images import mixed
from ganguard.attacks.subsampling.refinement_files import KEPT, REFINEMENT
from ganguard.base.codecs import read_tensors
from ganguard.base.compute import Compute
from ganguard.base.errors import DataError, SpecError, TargetError
from ganguard.targets.discriminator import ModuleDiscriminator
from ganguard.training.early_stopping import JUDGED


@pytest.mark.parametrize("schedule", ["fine_tune", "mix"])
@pytest.mark.parametrize("kind", ["accuracy_partial_black_box", "accuracy_white_box"])
def test_it_buys_once_trains_by_the_schedule_and_goes_on(tmp_path: Path, kind: str, schedule: str) -> None:
    target = WhiteBox()
    refining = {"refining": {"steps": 20}} if kind == "accuracy_white_box" else {}
    first = attack(target, tmp_path, kind=kind, schedule=schedule, **refining)
    assert (target.asked, first.queries) == (200, 200)
    looks = json.loads((tmp_path / JUDGED).read_text())
    assert [step for step, _ in looks] == [0, 2, 4]
    first_training = "generated" if kind == "accuracy_white_box" else "stolen"
    folders = {"fine_tune": {first_training, "real"}, "mix": {"mixed"}}[schedule]
    assert {p.name for p in tmp_path.iterdir() if p.is_dir()} == {*folders, "checkpoint", "store"}
    digest = load_checkpoint(first.checkpoint).digest()
    again = attack(target, tmp_path, kind=kind, schedule=schedule, **refining)
    assert target.asked == 200
    assert load_checkpoint(again.checkpoint).digest() == digest


def test_the_white_box_refines_towards_the_real_images(tmp_path: Path) -> None:
    attack(WhiteBox(), tmp_path, kind="accuracy_white_box", refining={"steps": 100, "ratio": "logistic"})
    bought = WhiteBox().sample(range(200), seed=0).double().mean((1, 2, 3))
    tensors, _ = read_tensors(tmp_path / KEPT)
    said = json.loads((tmp_path / REFINEMENT).read_text())
    assert abs(bought[tensors["kept"]].mean() - 170) < abs(bought.mean() - 170)
    assert [tried["power"] for tried in said["tried"]] == [0, 0.25, 0.5, 0.75, 1]
    assert said["chosen"] == min(said["tried"], key=lambda tried: tried["score"])["power"] > 0
    assert said["plain"]["kind"] == "logistic" and said["plain"]["power"] == 1
    assert sum(said["log_ratios"]["before"]) == sum(said["log_ratios"]["after"]) == 200
    rates = [tried["acceptance_rate"] for tried in said["tried"]]
    assert 0 < rates[4] < rates[1] < 1 == rates[0]
    assert said["tried"][4]["distinct"] < 200 == said["tried"][0]["distinct"]


@pytest.mark.parametrize("start", ["target", "random"])
def test_the_copys_discriminator_can_begin_as_the_targets(tmp_path: Path, start: str) -> None:
    """A learning rate of next to nothing leaves it there."""
    own = build_networks(parse_architecture(TINY["architecture"]), (1, 8, 8)).discriminator
    settings = {"start_discriminator": start, "learning_rate": 1e-12, "refining": {"steps": 5}}
    found = attack(
        WhiteBox(ModuleDiscriminator(own, Compute())), tmp_path, kind="accuracy_white_box", **settings
    )
    trained = load_checkpoint(found.checkpoint).networks.discriminator.parameters()
    alike = [torch.allclose(a, b, atol=1e-6) for a, b in zip(trained, own.parameters(), strict=True)]
    assert all(alike) is (start == "target")


def test_a_target_without_discriminator_is_refused_before_an_image_is_bought(tmp_path: Path) -> None:
    target = Box()
    with pytest.raises(
        TargetError, match="accuracy_white_box needs the target's discriminator, and this target has none"
    ):
        attack(target, tmp_path, kind="accuracy_white_box")
    assert target.asked == 0


@pytest.mark.parametrize(
    ("changes", "knowledge", "message"),
    [
        ({}, Knowledge(), "needs real images and a judge"),
        ({}, Knowledge(bright(0), judge), "needs real images and a judge"),
        ({"D": BrightnessD(nan=True)}, KNOWLEDGE, "the discriminator gave NaN or infinity"),
        (
            {"start_discriminator": "target"},
            KNOWLEDGE,
            "the target's discriminator has another architecture",
        ),
    ],
)
def test_what_it_refuses(
    tmp_path: Path, changes: dict[str, object], knowledge: Knowledge, message: str
) -> None:
    target = WhiteBox(changes.pop("D", None))
    with pytest.raises(SpecError, match=message):
        attack(target, tmp_path, knowledge, kind="accuracy_white_box", **changes)
    assert target.asked == 0


def test_real_images_of_another_shape_are_refused_before_an_image_is_bought(tmp_path: Path) -> None:
    target = WhiteBox()
    large = Knowledge(bright(30).repeat(1, 1, 2, 2), judge)
    for kind in ("accuracy_partial_black_box", "accuracy_white_box"):
        with pytest.raises(
            DataError, match=r"images \(1, 8, 8\) \(C, H, W\), the adversary's real ones are \(1, 16, 16\)"
        ):
            attack(target, tmp_path, large, kind=kind)
    assert target.asked == 0


def test_mixing_gives_the_real_images_their_share() -> None:
    both = mixed(bright(200), bright(10), 0.5)
    assert len(both) == 400
    assert (
        len(mixed(bright(200), bright(10), 0.01)) == 5 * 200 + 10
    )  # real images that come too often are outnumbered


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"real_fraction": 0}, "real_fraction"),
        ({"real_fraction": 1.5}, "real_fraction"),
        ({"refining": {"steps": 0}}, "refining.steps"),
        ({"refining": {"count": 0}}, "refining.count"),
        ({"refining": {"powers": []}}, "refining.powers"),
        ({"refining": {"powers": [2]}}, "refining.powers"),
        ({"refining": {"ratio": "isotonc"}}, "did you mean 'isotonic'"),
    ],
)
def test_settings_out_of_range_are_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_attack({"kind": "accuracy_white_box", "architecture": "sngan", "query_budget": 10, **values})


def test_only_attacks_that_hold_real_images_say_how_many() -> None:
    holds = parse_attack({"kind": "accuracy_partial_black_box", **TINY, "real_fraction": 0.2})
    assert holds.needs().real_fraction == 0.2
    assert parse_attack({"kind": "fidelity", **TINY}).needs().real_fraction is None
