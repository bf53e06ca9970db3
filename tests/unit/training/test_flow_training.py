"""The training of a rectified flow: one step by hand, what it learns, kills, and what it refuses.

What it does behind a guessed defence is in test_restoring.py, and what it holds out in test_held_out.py.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import Tensor

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.base.cache import file_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError
from ganguard.base.labels import Labels
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.protocol import LatentTarget, WhiteBoxTarget
from ganguard.training.assembling import set_up
from ganguard.training.differential_privacy import PrivateTraining
from ganguard.training.early_stopping import Watch, best_step
from ganguard.training.flow import FlowTraining
from ganguard.training.initial_weights import RANDOM_WEIGHTS, InitialWeights
from ganguard.training.loop import train_generator
from ganguard.training.processes import ONE_DEVICE, launched
from ganguard.training.settings import TrainingSettings
from ganguard.training.state import saved_step

NAMES = ("dark", "grey", "bright")
IMAGES = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (20, 1, 8, 8), dtype=np.uint8))
LABELS = Labels(torch.arange(20) % 3, NAMES)


class Killed(Exception):
    """Raised by a test in place of a kill."""


def settings(*, classes: int = 0, **values: object) -> TrainingSettings:
    architecture = {
        "kind": "flow",
        "width": 4,
        "solver_steps": 3,
        **({"classes": classes} if classes else {}),
    }
    said = {"architecture": architecture, "batch_size": 8, "steps": 4, "checkpoint_every": 2, **values}
    return TrainingSettings.model_validate(said)


def train(directory: Path, how: TrainingSettings, *, of: Tensor = IMAGES, **options: object) -> Path:
    return train_generator(of, how, directory, seed=0, compute=Compute(), **options)  # pyright: ignore[reportArgumentType]


def ready(how: TrainingSettings) -> FlowTraining:
    training = set_up(IMAGES, how, 0, launched("cpu", "32-true", ONE_DEVICE), RANDOM_WEIGHTS)
    assert isinstance(training, FlowTraining)
    return training


@pytest.mark.parametrize("classes", [0, 3])
def test_one_step_is_that_of_the_papers(classes: int) -> None:
    """The loss, image by image, and the average after it, by plain loops over the same draws."""
    training = ready(settings(classes=classes, ema_decay=0.9))
    training.labels = LABELS.numbers if classes else None
    G = training.networks.generator
    torch.nn.init.normal_(G.network.to_image.weight, std=0.1, generator=torch.Generator().manual_seed(3))
    average = {key: value.clone() for key, value in training.ema.module.state_dict().items()}
    draws = torch.Generator()
    draws.set_state(training.generator.get_state())
    rows = torch.randint(20, (8,), generator=draws)
    times = torch.randn(8, generator=draws)
    noise = torch.randn(8, 1, 8, 8, generator=draws)
    wanted = 0.0
    with torch.no_grad():
        for row, time, z in zip(rows.tolist(), times, noise, strict=True):
            x, t = IMAGES[row].float() / 127.5 - 1, 1 / (1 + torch.exp(-time))
            y = LABELS.numbers[row : row + 1] if classes else None
            v = G.velocity(((1 - t) * z + t * x)[None], t[None], y)[0]
            wanted += float(((x - z) - v).square().mean()) / 8
    (loss,) = training.step(0).tolist()
    assert loss == pytest.approx(wanted, rel=1e-5)
    for key, value in training.ema.module.state_dict().items():
        moved = torch.lerp(average[key], G.state_dict()[key], 1 - 0.1)  # the decay of step 0 is 1/10
        assert torch.allclose(value, moved, atol=1e-6)


@pytest.mark.slow
def test_it_learns_each_class_as_such(tmp_path: Path) -> None:
    """Each class has another half of the image bright, beside noise."""
    y, random = torch.arange(3).repeat(32), torch.Generator().manual_seed(0)
    bright = torch.full((3, 1, 8, 8), 60.0)
    bright[0, :, :, :4] = bright[1, :, :, 4:] = bright[2, :, :4] = 200
    images = (bright[y] + 25 * torch.randn(96, 1, 8, 8, generator=random)).clamp(0, 255).to(torch.uint8)
    how = settings(classes=3, steps=400, learning_rate=4e-3, ema_decay=0.9, batch_size=24)
    target = CheckpointTarget(checkpoint=str(train(tmp_path, how, of=images, labels=Labels(y, NAMES)))).load(
        Compute()
    )
    asked = torch.arange(96) % 3
    made = target.sample(range(96), seed=1, conditions=asked).float()
    nearest = (made[:, None] - bright).square().sum((2, 3, 4)).argmin(1)
    assert (nearest == asked).double().mean() > 0.9


def killed_at(step: int, act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = FlowTraining.step

    def until(training: FlowTraining, number: int) -> Tensor:
        if number == step:
            raise Killed
        return whole(training, number)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(FlowTraining, "step", until)
        act()


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"classes": 3},
        {"precision": "bf16-mixed", "learning_rate_decay": "none"},
        {"channels_last": False, "ema_decay": 0},
    ],
)
def test_a_killed_training_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, object]
) -> None:
    """Killed at step 3, after the state of 2: a step is done again."""
    how = settings(**values)
    labels = {"labels": LABELS if "classes" in values else None}
    whole = train(tmp_path / "whole", how, **labels)
    killed_at(3, lambda: train(tmp_path / "cut", how, **labels), monkeypatch)
    assert saved_step(tmp_path / "cut" / "training.safetensors") == 2
    resumed = train(tmp_path / "cut", how, **labels)
    assert file_digest(whole / "generator.safetensors") == file_digest(resumed / "generator.safetensors")


def test_a_checkpoint_has_no_discriminator_and_is_no_white_box(tmp_path: Path, compute: Compute) -> None:
    path = train(tmp_path, settings())
    assert sorted(file.name for file in path.iterdir()) == ["checkpoint.json", "generator.safetensors"]
    assert load_checkpoint(path).networks.discriminator is None
    target = CheckpointTarget(checkpoint=str(path)).load(compute)
    assert isinstance(target, LatentTarget)
    assert not isinstance(target, WhiteBoxTarget)
    assert target.latent_dim == 64


def test_what_is_published_is_the_average(tmp_path: Path) -> None:
    path = train(tmp_path, settings(ema_decay=0.5, learning_rate=1e-2))
    state, published = load_file(tmp_path / "training.safetensors"), load_file(path / "generator.safetensors")
    assert all(torch.equal(value, state[f"ema/{key}"]) for key, value in published.items())
    assert not torch.equal(published["network.to_image.bias"], state["generator/network.to_image.bias"])
    assert not [key for key in state if key.startswith("discriminator")]


def test_a_judge_chooses_the_state_that_is_published(tmp_path: Path) -> None:
    scores = iter([3.0, 1.0, 2.0])
    watch = Watch(lambda images: next(scores), every=2, count=5)
    path = train(tmp_path, settings(), watch=watch)
    assert best_step(tmp_path) == 2
    assert load_checkpoint(path).networks.discriminator is None


class Notes:
    """A journal that keeps the losses."""

    def __init__(self) -> None:
        self.noted: list[tuple[int, dict[str, float]]] = []

    def begins(self, step: int) -> None:
        pass

    def losses(self, step: int, losses: Mapping[str, float], *, images_per_second: float) -> None:
        assert images_per_second > 0
        self.noted.append((step, dict(losses)))

    def judged(self, step: int, score: float) -> None:
        pass

    def samples(self, step: int, images: Tensor) -> None:
        assert images.shape == (64, 1, 8, 8)


def test_a_journal_gets_the_loss_of_the_velocity(tmp_path: Path) -> None:
    notes = Notes()
    train(tmp_path, settings(), journal=notes)
    ((step, losses),) = notes.noted
    assert (step, losses.keys()) == (4, {"velocity"})
    assert losses["velocity"] > 0


def test_it_goes_on_from_a_checkpoint_of_its_own(tmp_path: Path) -> None:
    first = train(tmp_path / "first", settings(learning_rate=1e-2))
    how = settings(steps=1, learning_rate=1e-9)
    second = train(tmp_path / "second", how, initial_weights=InitialWeights(checkpoint=first))
    before, after = (load_file(path / "generator.safetensors") for path in (first, second))
    assert all(torch.allclose(after[key], value, atol=1e-6) for key, value in before.items())


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"loss": "hinge"}, "loss belongs to the training of a GAN; flow has no D. Leave it out"),
        (
            {"n_dis": 2, "drift": 0.1},
            "n_dis, drift belong to the training of a GAN; flow has no D. Leave them",
        ),
        ({"penalty": "r1"}, "penalty belongs"),
        ({"augment": "diffaugment"}, "augment belongs"),
        ({"path_length_every": 2}, "path_length_every belongs"),
        ({"orthogonal_weight": 0.1}, "orthogonal_weight belongs"),
    ],
)
def test_settings_of_a_gan_are_refused(value: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        settings(**value)


def test_it_cannot_be_private() -> None:
    said = {"architecture": "flow", "differential_privacy": {"epsilon": 10}}
    with pytest.raises(ValidationError, match="flow has no D, whose updates would be private"):
        PrivateTraining.model_validate(said)


@pytest.mark.parametrize("weights", [InitialWeights(frozen=1), InitialWeights(discriminator=torch.nn.ReLU())])
def test_it_takes_over_no_discriminator(weights: InitialWeights) -> None:
    with pytest.raises(SpecError, match="flow has no D that could begin as the target's, or keep stages"):
        weights.require_fits(settings().architecture, (1, 8, 8))
