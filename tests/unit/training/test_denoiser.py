"""The denoiser on a known signal with known noise, and the law of clamped noise."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from ganguard.base.compute import Compute
from ganguard.base.errors import StepError
from ganguard.base.images import to_float, to_uint8
from ganguard.base.seeds import torch_generator
from ganguard.training.denoiser import (
    GRID,
    Denoiser,
    DenoiserSettings,
    NoiseLaw,
    clamped_moments,
    denoise,
    filled,
    hidden_pixels,
)

NOISE = 0.3
COMPUTE = Compute(device="cpu")
BRIEF = DenoiserSettings(steps=150, width=8, batch_size=32, learning_rate=6e-3)


def waves(count: int, height: int = 8, width: int = 12) -> torch.Tensor:
    """Smooth images (count, 1, height, width) in [-1, 1], each a plane wave of its own direction."""
    generator = torch_generator(0, "waves")
    y, x = torch.meshgrid(torch.arange(height) / 8, torch.arange(width) / 8, indexing="ij")
    a, b, phase = (torch.rand(3, count, 1, 1, generator=generator) * 2).unbind(0)
    return 0.7 * torch.sin(a * x + b * y + 3 * phase)[:, None]


def noisy(clean: torch.Tensor, seed: int = 1) -> torch.Tensor:
    return to_uint8(clean + NOISE * torch.randn(clean.shape, generator=torch_generator(seed, "noise")))


def error(images: torch.Tensor, clean: torch.Tensor) -> float:
    return (to_float(images) - clean).square().mean().item()


@pytest.mark.parametrize("known", [0.0, NOISE])
def test_less_noise_is_left_of_a_known_signal(known: float) -> None:
    clean = waves(300)
    bought = noisy(clean)
    found = denoise(bought, BRIEF.model_copy(update={"noise": known}), seed=0, compute=COMPUTE)
    assert found.images.shape == bought.shape
    assert found.images.dtype == torch.uint8
    assert error(found.images, clean) < 0.6 * error(bought, clean)
    assert found.error > error(found.images, clean)


def test_two_answers_teach_more_than_their_mean() -> None:
    clean = waves(300)
    one, other = noisy(clean), noisy(clean, seed=2)
    settings = BRIEF.model_copy(update={"noise": NOISE})
    found = denoise(one, settings, seed=0, compute=COMPUTE, others=other)
    mean = to_uint8((to_float(one) + to_float(other)) / 2)
    assert error(found.images, clean) < 0.7 * error(mean, clean)
    assert found.error > error(found.images, clean)


def test_the_same_seed_gives_the_same_images_and_no_global_numbers_are_drawn() -> None:
    bought, settings = noisy(waves(40)), BRIEF.model_copy(update={"steps": 3})
    state = torch.get_rng_state()
    one, again, other = (denoise(bought, settings, seed=seed, compute=COMPUTE) for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.images, again.images)
    assert not torch.equal(one.images, other.images)


@pytest.mark.parametrize("shape", [(2, 3, 1, 5), (3, 4, 40, 33)])
def test_any_shape_comes_back(shape: tuple[int, int, int, int]) -> None:
    bought = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch_generator(0, "any"))
    settings = DenoiserSettings(steps=2, width=2, batch_size=2, noise=0.5)
    assert denoise(bought, settings, seed=0, compute=COMPUTE).images.shape == shape


def test_one_image_is_too_few() -> None:
    with pytest.raises(StepError, match="2 images or more; got 1"):
        denoise(torch.zeros(1, 1, 4, 4, dtype=torch.uint8), BRIEF, seed=0, compute=COMPUTE)


def test_a_hidden_pixel_does_not_change_its_own_prediction() -> None:
    """J-invariance, for every set J; together the sets are all pixels, each once."""
    network, images = Denoiser(2, 4), torch.randn(1, 2, 7, 9, generator=torch_generator(0, "pixels"))
    covered = torch.zeros(1, 1, 7, 9)
    for phase in range(GRID * GRID):
        hidden = hidden_pixels(torch.tensor([phase]), images)
        covered += hidden
        changed = torch.where(hidden > 0, images + 5, images)
        one, other = (network(filled(each, hidden)) for each in (images, changed))
        assert torch.equal(one[0] * hidden, other[0] * hidden)
        assert torch.equal(one[1] * hidden, other[1] * hidden)
    assert torch.equal(covered, torch.ones_like(covered))


@pytest.mark.parametrize("level", [-1.0, -0.2, 0.9])
def test_the_moments_of_clamped_noise_are_those_of_its_density(level: float) -> None:
    def moment(power: int) -> float:
        inside, _ = quad(lambda v: v**power * norm.pdf(v, level, NOISE), -1, 1, points=[level])
        return inside + (-1) ** power * norm.cdf(-1, level, NOISE) + norm.sf(1, level, NOISE)

    mean, variance = clamped_moments(np.array([level]), NOISE)
    assert mean[0] == pytest.approx(moment(1), abs=1e-8)
    assert variance[0] == pytest.approx(moment(2) - moment(1) ** 2, abs=1e-8)


def test_the_clamping_of_noise_is_undone() -> None:
    levels = torch.linspace(-1, 1, 101)
    means = torch.from_numpy(clamped_moments(levels.double().numpy(), NOISE)[0]).float()
    assert (means - levels).abs().max() > 0.1
    assert torch.allclose(NoiseLaw(NOISE).unclamped(means), levels, atol=1e-3)
    assert torch.equal(NoiseLaw(0.0).unclamped(levels), levels)
