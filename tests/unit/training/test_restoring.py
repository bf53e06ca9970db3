"""A flow behind a guessed defence: one step by hand, kills, and what is undone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ganguard.base.cache import file_digest
from ganguard.base.compute import Compute
from ganguard.base.images import to_float
from ganguard.base.labels import Labels
from ganguard.training.assembling import set_up
from ganguard.training.flow import FlowTraining
from ganguard.training.guess import Guess
from ganguard.training.initial_weights import RANDOM_WEIGHTS
from ganguard.training.loop import train_generator
from ganguard.training.processes import ONE_DEVICE, launched
from ganguard.training.restoring import STEPS, Restorer
from ganguard.training.settings import TrainingSettings
from ganguard.training.state import saved_step

IMAGES = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (20, 1, 8, 8), dtype=np.uint8))
LABELS = Labels(torch.arange(20) % 3, ("a", "b", "c"))


def halved(z: Tensor, generator: torch.Generator) -> Tensor:
    return z / 2


def noisy(images: Tensor, generator: torch.Generator) -> Tensor:
    return images + 0.3 * torch.randn(images.shape, generator=generator)


GUESS = Guess("halves codes, and adds noise", halved, noisy)


def settings(*, classes: int = 0, **values: object) -> TrainingSettings:
    architecture = {"kind": "flow", "width": 4, "solver_steps": 3, "classes": classes}
    said = {"architecture": architecture, "batch_size": 8, "steps": 4, "checkpoint_every": 2, **values}
    return TrainingSettings.model_validate(said)


def ready(how: TrainingSettings, guess: Guess, images: Tensor = IMAGES) -> FlowTraining:
    training = set_up(images, how, 0, launched("cpu", "32-true", ONE_DEVICE), RANDOM_WEIGHTS, guess)
    assert isinstance(training, FlowTraining)
    return training


def restorer_of(training: FlowTraining) -> Restorer:
    assert training.restorer is not None
    return training.restorer


@pytest.mark.parametrize("classes", [0, 3])
def test_one_step_restores_a_batch_and_learns_from_it(classes: int) -> None:
    """G's loss and the restorer's gradient, image by image, over the same draws."""
    training = ready(settings(classes=classes), GUESS)
    training.labels = LABELS.numbers if classes else None
    G, restorer = training.networks.generator, restorer_of(training)
    for seed, network in enumerate((G, restorer.network, restorer.ema.module)):
        weight = network.network.to_image.weight
        torch.nn.init.normal_(weight, std=0.1, generator=torch.Generator().manual_seed(seed))
    draws = torch.Generator()
    draws.set_state(training.generator.get_state())
    rows = torch.randint(20, (8,), generator=draws)
    times = torch.randn(8, generator=draws).sigmoid()
    z = torch.randn(8, 64, generator=draws).view(8, 1, 8, 8) / 2
    y = [LABELS.numbers[row : row + 1] if classes else None for row in rows.tolist()]
    clean = torch.stack(
        [restored(restorer, to_float(IMAGES[row]), of) for row, of in zip(rows, y, strict=True)]
    )
    between = torch.rand(8, generator=draws)
    defended = noisy(clean, draws)
    wanted = sum(loss(G, *line) for line in zip(clean, z, times, y, strict=True)).item() / 8
    bias = restorer.network.network.to_image.bias
    of_pairs = (
        sum(loss(restorer.network, *line) for line in zip(clean, defended, between, y, strict=True)) / 8
    )
    (gradient,) = torch.autograd.grad(of_pairs, bias)
    assert training.step(0).item() == pytest.approx(wanted, rel=1e-5)
    assert torch.allclose(bias.grad, gradient, atol=1e-5)
    assert gradient.abs() > 0.01


def restored(restorer: Restorer, image: Tensor, y: Tensor | None) -> Tensor:
    """One image (C, H, W), moved by Euler's method."""
    with torch.no_grad():
        for step in range(STEPS):
            velocity = restorer.ema.module.velocity(image[None], torch.tensor([step / STEPS]), y)
            image = image + velocity[0] / STEPS
    return image.clamp(-1, 1)


def loss(network: torch.nn.Module, x: Tensor, z: Tensor, t: Tensor, y: Tensor | None) -> Tensor:
    """The squared error of one line."""
    found = network.velocity(((1 - t) * z + t * x)[None], t[None], y)[0]
    return (found - (x - z)).square().mean()


def test_a_guess_about_codes_needs_no_restorer() -> None:
    training = ready(settings(), Guess("codes alone", codes=halved))
    assert training.restorer is None
    assert sorted(training.modules()) == ["ema", "generator"]
    assert training.step(0).isfinite().all()


@pytest.mark.parametrize("values", [{}, {"classes": 3, "precision": "bf16-mixed"}])
def test_a_killed_training_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, object]
) -> None:
    """Killed at step 3, after the state of 2: a step is done again."""
    how, labels = settings(**values), LABELS if "classes" in values else None

    def train(directory: Path) -> Path:
        return train_generator(IMAGES, how, directory, seed=0, compute=Compute(), guess=GUESS, labels=labels)

    whole, step = train(tmp_path / "whole"), FlowTraining.step

    def until(training: FlowTraining, number: int) -> Tensor:
        if number == 3:
            raise KeyboardInterrupt
        return step(training, number)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(FlowTraining, "step", until)
        train(tmp_path / "cut")
    assert saved_step(tmp_path / "cut" / "training.safetensors") == 2
    resumed = train(tmp_path / "cut")
    for file in whole.iterdir():
        assert file_digest(file) == file_digest(resumed / file.name)
    assert sorted(file.name for file in whole.iterdir()) == ["checkpoint.json", "generator.safetensors"]


@pytest.mark.slow
def test_a_blurred_gaussian_gets_its_covariance_back() -> None:
    """Pixels of a stripe pattern that a blur nearly wipes out, beside a constant that it keeps.

    x = (a + b s) / 4 with a, b ~ N(0, 1) and s the stripes; the blur multiplies b by 1/3. A flow without a
    guess would learn the blurred law.
    """
    random = torch.Generator().manual_seed(0)
    stripes = torch.tensor([1.0, -1.0]).repeat(4).expand(1, 8, 8)
    a, b = torch.randn(2, 512, 1, 1, 1, generator=random).unbind(0)

    def blurred(images: Tensor, generator: torch.Generator) -> Tensor:
        even, odd = images[..., ::2], images[..., 1::2]
        return torch.stack([2 * even + odd, even + 2 * odd], -1).flatten(-2) / 3

    bought = ((blurred((a + b * stripes) / 4, random) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    how = settings(steps=300, batch_size=32, learning_rate=4e-3)
    training = ready(how, Guess("blur", images=blurred), bought)
    for step in range(how.steps):
        training.step(step)
    with torch.no_grad():
        found = restorer_of(training).restored(to_float(bought), None)
    for pattern, before, wanted in ((stripes, 1 / 12, 1 / 4), (torch.ones(1, 8, 8), 1 / 4, 1 / 4)):
        assert spread(to_float(bought), pattern) == pytest.approx(before, rel=0.15)
        assert spread(found, pattern) == pytest.approx(wanted, rel=0.15)


def spread(images: Tensor, pattern: Tensor) -> float:
    """The deviation of a pattern's weight in images (N, C, H, W)."""
    return (images * pattern).mean((1, 2, 3)).std().item()
