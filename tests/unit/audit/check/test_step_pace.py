"""How fast this machine trains, makes and compares images."""

from typing import Any

import pytest
import torch

from ganguard.audit.check import pace
from ganguard.audit.check.pace import comparing_pace, pace_of, recipe_key
from ganguard.audit.check.speeds import Speeds, noise, untrained, with_features, with_trainings
from ganguard.audit.check.work import Work
from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError
from ganguard.metrics.features.network import parse_features
from ganguard.training.differential_privacy import PrivateTraining
from ganguard.training.settings import TrainingSettings

SMALL = {"architecture": {"kind": "dcgan", "width": 4}, "batch_size": 8, "n_dis": 1}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step tells enough."""
    monkeypatch.setattr(pace, "LONG_ENOUGH", 0.0)
    monkeypatch.setattr(pace, "COMPARED", 50)


def training(**values: Any) -> TrainingSettings:
    return TrainingSettings.model_validate({**SMALL, **values})


def test_what_costs_time_is_part_of_a_recipes_key() -> None:
    same = [training(steps=1), training(learning_rate=1e-5), training(ema_decay=0.5)]
    assert {recipe_key(each) for each in same} == {recipe_key(training())}
    others = [
        training(batch_size=16),
        training(n_dis=2),
        training(architecture={"kind": "dcgan", "width": 8}),
        training(penalty="r1"),
        training(augment="diffaugment"),
        training(precision="bf16-mixed"),
    ]
    assert len({recipe_key(each) for each in [training(), *others]}) == 1 + len(others)


@pytest.mark.parametrize("kind", ["acgan", "biggan", "dcgan", "flow", "sngan", "pggan", "stylegan2"])
def test_each_architecture_has_a_pace(kind: str, compute: Compute) -> None:
    own = {"n_dis": None} if kind == "flow" else {}
    codes = {} if kind == "flow" else {"latent_dim": 4}
    settings = training(architecture={"kind": kind, "width": 4, **codes}, steps=100, **own)
    step, image = pace_of(settings, noise((1, 8, 8)), compute)
    assert step > 0
    assert image > 0


@pytest.mark.parametrize("kind", ["acgan", "biggan", "flow", "sngan", "stylegan2"])
def test_each_conditional_architecture_has_a_pace(kind: str, compute: Compute) -> None:
    settings = training(architecture={"kind": kind, "width": 4, "classes": 3}, n_dis=None, steps=100)
    step, image = pace_of(settings, noise((1, 8, 8)), compute)
    assert step > 0
    assert image > 0


@pytest.mark.parametrize("kind", ["acgan", "biggan", "sngan", "stylegan2"])
def test_a_training_of_classes_has_a_pace(kind: str, compute: Compute) -> None:
    settings = training(architecture={"kind": kind, "width": 4, "latent_dim": 8, "classes": 3}, steps=100)
    assert min(pace_of(settings, noise((1, 8, 8)), compute)) > 0


def test_a_private_training_has_a_pace(compute: Compute) -> None:
    private = {"differential_privacy": {"epsilon": 10}}
    architecture = {"kind": "dcgan", "width": 4, "discriminator_norm": "group"}
    settings = PrivateTraining.model_validate({**SMALL, "architecture": architecture, **private})
    plain = training(architecture=architecture)
    assert recipe_key(settings) != recipe_key(plain)
    assert pace_of(settings, noise((1, 8, 8)), compute)[0] > 0


def test_a_step_that_takes_long_is_judged_by_a_small_batch(
    compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def timed(settings: object, batch_size: int, images: object, compute: object) -> tuple[float, float]:
        seen.append(batch_size)
        return 2.0, 1.0

    monkeypatch.setattr(pace, "_timed", timed)
    assert pace_of(training(batch_size=64), noise((1, 8, 8)), compute) == (32.0, 1.0)
    assert seen == [4]


def test_growth_is_timed_at_each_of_its_sizes(compute: Compute, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PGGAN of 16 pixels has three sizes; the smallest has half as many steps as each other one."""
    steps: list[list[tuple[int, float]]] = []

    def mean(typical: list[tuple[int, float]], step: object, compute: object) -> float:
        steps.append(typical)
        return 0.0

    monkeypatch.setattr(pace, "_mean_of", mean)
    pace_of(training(architecture={"kind": "pggan", "width": 4}, steps=500), noise((1, 16, 16)), compute)
    assert steps[-1] == [(50, 0.2), (150, 0.2), (250, 0.2), (350, 0.2), (450, 0.2)]


def test_penalties_that_come_seldom_weigh_little(compute: Compute, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[list[tuple[int, float]]] = []
    monkeypatch.setattr(pace, "_mean_of", lambda typical, step, compute: found.append(typical) or 0.0)
    pace_of(training(penalty="r1", penalty_every=16), noise((1, 8, 8)), compute)
    assert found[-1] == [(0, 1 / 16), (1, 15 / 16)]


def test_an_architecture_that_cannot_make_the_images_is_refused(compute: Compute) -> None:
    with pytest.raises(SpecError, match="published widths"):
        pace_of(
            training(architecture={"kind": "sngan", "width_factor": 1}),
            torch.zeros(8, 1, 8, 12, dtype=torch.uint8),
            compute,
        )


def test_what_is_known_is_not_measured_again(compute: Compute) -> None:
    said: list[str] = []
    speeds = Speeds(device="cpu", threads=1, image_shape=(1, 8, 8))
    once = with_trainings(speeds, [Work(training=training(), steps=1)], compute, said.append)
    again = with_trainings(once, [Work(training=training(steps=7), steps=7)], compute, said.append)
    assert again == once
    assert len(said) == 1


def test_features_have_a_speed_and_a_classifier_one_of_its_training(compute: Compute) -> None:
    speeds = Speeds(device="cpu", threads=1, image_shape=(1, 8, 8))
    for kind, learns in (("random_network", False), ("classifier", True)):
        settings = parse_features(kind)
        found = with_features(speeds, settings, untrained(settings, 1), compute)
        assert found.embedding
        assert bool(found.classifying) == learns
        assert found.dimensions == 64


def test_larger_sets_take_longer_to_compare(compute: Compute) -> None:
    assert comparing_pace(50, 8, compute) < comparing_pace(100_000, 8, compute)
