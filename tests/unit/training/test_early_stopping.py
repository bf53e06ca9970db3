"""A judge's looks: the best is published, and a killed training sees what a whole one saw."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.base.cache import file_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError, SpecError, StepError
from ganguard.training.early_stopping import JUDGED, Watch, best_step
from ganguard.training.initial_weights import InitialWeights
from ganguard.training.loop import train_generator
from ganguard.training.settings import TrainingSettings

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (20, 1, 8, 8), dtype=np.uint8))


class Killed(Exception):
    """Raised by a test in place of a kill."""


def settings(**values: object) -> TrainingSettings:
    architecture = {"kind": "dcgan", "width": 4, "latent_dim": 4}
    return TrainingSettings.model_validate(
        {"architecture": architecture, "batch_size": 8, "steps": 60, **values}
    )


def scripted(*scores: float) -> tuple[Watch, list[Tensor]]:
    """Return a judge that gives these scores in turn, whatever it sees, and the list of what it saw."""
    seen: list[Tensor] = []

    def judge(images: Tensor) -> float:
        seen.append(images)
        return scores[len(seen) - 1]

    return Watch(judge, every=20, count=70), seen


def by_brightness(images: Tensor) -> float:
    return abs(images.double().mean().item() - 131)


def train(directory: Path, compute: Compute, watch: Watch | None, **options: object) -> Path:
    return train_generator(
        IMAGES, settings(checkpoint_every=15), directory, seed=3, compute=compute, watch=watch, **options
    )


def test_the_state_with_the_least_score_is_published(tmp_path: Path, compute: Compute) -> None:
    watch, seen = scripted(5, 2, 2, 4)  # before the first step, and after 20, 40 and 60
    best = train(tmp_path / "watched", compute, watch)
    assert [images.shape for images in seen] == [(70, 1, 8, 8)] * 4
    assert json.loads((tmp_path / "watched" / JUDGED).read_text()) == [[0, 5], [20, 2], [40, 2], [60, 4]]
    assert best_step(tmp_path / "watched") == 20
    last = train(tmp_path / "last", compute, None)
    worst, _ = scripted(9, 8, 7, 6)
    assert (
        load_checkpoint(train(tmp_path / "falling", compute, worst)).digest()
        == load_checkpoint(last).digest()
    )
    assert load_checkpoint(best).digest() != load_checkpoint(last).digest()


def test_the_last_step_is_judged_too(tmp_path: Path, compute: Compute) -> None:
    watch = Watch(scripted(9, 5, 1)[0].judge, every=40, count=10)
    train(tmp_path, compute, watch)
    assert json.loads((tmp_path / JUDGED).read_text()) == [[0, 9], [40, 5], [60, 1]]


def test_training_on_may_not_help_at_all(tmp_path: Path, compute: Compute) -> None:
    start = train(tmp_path / "start", compute, None)
    watch, _ = scripted(1, 2, 3, 4)
    after = train(tmp_path / "on", compute, watch, initial_weights=InitialWeights(checkpoint=start))
    one, other = (load_checkpoint(path).networks.generator.state_dict() for path in (start, after))
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("moment", [10, 16, 31, 47, 59])
def test_a_killed_training_publishes_what_a_whole_one_does(
    tmp_path: Path, compute: Compute, moment: int
) -> None:
    watch = Watch(by_brightness, every=4, count=40)
    whole = train(tmp_path / "whole", compute, watch)
    looks = 0

    def until(images: Tensor) -> float:
        nonlocal looks
        looks += 1
        if looks > moment // 4 + 1:
            raise Killed
        return by_brightness(images)

    with pytest.raises(Killed):
        train(tmp_path / "killed", compute, Watch(until, every=4, count=40))
    again = train(tmp_path / "killed", compute, watch)
    assert (tmp_path / "killed" / JUDGED).read_text() == (tmp_path / "whole" / JUDGED).read_text()
    for file in whole.iterdir():
        assert file_digest(file) == file_digest(again / file.name)


def test_a_judge_that_gives_no_number_stops_the_training(tmp_path: Path, compute: Compute) -> None:
    with pytest.raises(StepError, match="the judge of a training gave nan at step 20"):
        train(tmp_path, compute, scripted(1, math.nan)[0])


def test_a_damaged_record_is_refused(tmp_path: Path, compute: Compute) -> None:
    (tmp_path / JUDGED).write_text("[[1]]")
    with pytest.raises(CheckpointError, match=r"judged.json: not a record of a judge's looks"):
        train(tmp_path, compute, scripted(1)[0])
    with pytest.raises(CheckpointError, match="no training was judged here"):
        best_step(tmp_path / "elsewhere")


def test_a_training_begins_from_a_checkpoint_or_a_discriminator(tmp_path: Path, compute: Compute) -> None:
    start = load_checkpoint(train(tmp_path / "start", compute, None))
    D = start.networks.discriminator
    plain = load_checkpoint(train(tmp_path / "plain", compute, None)).digest()
    with_D = load_checkpoint(
        train(tmp_path / "with D", compute, None, initial_weights=InitialWeights(discriminator=D))
    ).digest()
    assert plain == start.digest() != with_D
    one_step = {"initial_weights": InitialWeights(discriminator=D), "seed": 3, "compute": compute}
    after = train_generator(IMAGES, settings(steps=1, learning_rate=1e-9), tmp_path / "one", **one_step)
    for key, value in load_checkpoint(after).networks.discriminator.named_parameters():
        assert torch.allclose(value, dict(D.named_parameters())[key], atol=1e-6)


def test_weights_of_another_architecture_are_refused(tmp_path: Path, compute: Compute) -> None:
    start = train(tmp_path / "start", compute, None)
    other = settings(architecture={"kind": "dcgan", "width": 8, "latent_dim": 4})
    for weights, said in (
        (InitialWeights(checkpoint=start), "its generator has another architecture"),
        (
            InitialWeights(discriminator=load_checkpoint(start).networks.discriminator),
            "the target's discriminator has another architecture",
        ),
    ):
        with pytest.raises(SpecError, match=said):
            train_generator(
                IMAGES, other, tmp_path / "other", seed=0, compute=compute, initial_weights=weights
            )


def test_a_state_with_other_initial_weights_is_refused(tmp_path: Path, compute: Compute) -> None:
    D = load_checkpoint(train(tmp_path / "start", compute, None)).networks.discriminator
    with pytest.raises(CheckpointError, match="belongs to a training with other settings, data or seed"):
        train(tmp_path / "start", compute, None, initial_weights=InitialWeights(discriminator=D))
