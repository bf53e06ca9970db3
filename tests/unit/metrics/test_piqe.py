from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.metrics.piqe import continued, gaussian_weights, normalised_contrast, piqe, weighted_sum

SAME = 1e-9  # of 100: float64, added up in another order


def _images(*shape: int, seed: int = 0) -> Tensor:
    """Noise on a coarse pattern: blocks that are active, and others that are not."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    coarse = torch.arange(shape[-1]) // 16 % 2 == 0
    return torch.where(coarse, noise, noise // 64 + 100)


@given(st.integers(0, 1000), st.sampled_from([1, 3]), st.integers(1, 70), st.integers(1, 70))
def test_images_are_scored_one_by_one(seed: int, channels: int, height: int, width: int) -> None:
    images = _images(4, channels, height, width, seed=seed)
    together, order = piqe(images), torch.tensor([2, 0, 3, 1])
    assert together.isfinite().all()
    assert torch.allclose(piqe(images[order]), together[order], rtol=0, atol=SAME)
    assert torch.allclose(torch.cat([piqe(image[None]) for image in images]), together, rtol=0, atol=SAME)


@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 40))
def test_grey_in_three_channels_is_grey(seed: int, height: int, width: int) -> None:
    grey = _images(2, 1, height, width, seed=seed)
    assert torch.equal(piqe(grey.expand(-1, 3, -1, -1)), piqe(grey))


@pytest.mark.parametrize("pixels_at_once", [1, 3 * 32 * 48, 10**9])
def test_the_size_of_a_chunk_changes_nothing(monkeypatch: pytest.MonkeyPatch, pixels_at_once: int) -> None:
    images = _images(7, 3, 32, 48)
    whole = piqe(images)
    monkeypatch.setattr(import_module("ganguard.metrics.piqe"), "PIXELS_AT_ONCE", pixels_at_once)
    assert torch.allclose(piqe(images), whole, rtol=0, atol=SAME)


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_an_image_without_active_blocks_scores_worst(level: int) -> None:
    assert piqe(torch.full((2, 3, 20, 40), level, dtype=torch.uint8)).tolist() == [100, 100]


def test_one_block_that_is_active_and_undistorted_halves_the_score() -> None:
    """(0 + 1) / (1 + 1)."""
    diagonals = torch.arange(16)[:, None] + torch.arange(16)
    ramps = (2 * diagonals % 16 * 17).to(torch.uint8)[None, None]
    assert piqe(ramps).item() == 50


def test_it_does_not_depend_on_brightness_at_full_scale() -> None:
    """The brightest level is stretched to 255: 51 times 5 is 255."""
    dark = _images(1, 1, 64, 64) // 5
    dark[0, 0, 0, 0] = 51
    assert piqe(dark).item() == pytest.approx(piqe(dark * 5).item(), abs=SAME)


@pytest.mark.parametrize(("before", "after"), [(0, 0), (3, 3), (0, 12), (9, 20)])
def test_an_image_is_continued_as_numpy_does(before: int, after: int) -> None:
    pixels = torch.arange(10.0).view(1, 2, 5)
    wanted = np.pad(pixels.numpy(), ((0, 0), (0, 0), (before, after)), mode="symmetric")
    assert np.array_equal(continued(pixels, 2, before, after).numpy(), wanted)


def test_weighted_sums_are_convolutions() -> None:
    pixels = torch.rand(2, 9, 14, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights = [0.5, -1.0, 2.0, 0.25]
    for step in (1, 2):
        wanted = torch.nn.functional.conv2d(
            pixels[:, None], torch.tensor(weights).double().view(1, 1, 1, 4), stride=(1, step)
        )
        assert torch.allclose(weighted_sum(pixels, weights, 2, step), wanted[:, 0], rtol=0, atol=1e-14)


def test_contrast_of_a_flat_place_is_nothing_at_all() -> None:
    """And not rounding errors, to which NIQE would fit a distribution."""
    grey = torch.full((1, 30, 30), 200, dtype=torch.float64)
    grey[0, 0, 0] = 3
    coefficients, deviation = normalised_contrast(grey)
    assert torch.count_nonzero(coefficients) == 16  # the window's reach, 4x4 in a corner
    assert deviation[0, 10:, 10:].max() < 1e-4


def test_weights_of_a_gaussian() -> None:
    weights = gaussian_weights(3, 7 / 6)
    assert sum(weights) == pytest.approx(1, abs=1e-15)
    assert weights == weights[::-1]
    assert weights[2] / weights[3] == pytest.approx(np.exp(-18 / 49))


def test_no_images_have_no_scores() -> None:
    assert piqe(_images(0, 3, 32, 32)).shape == (0,)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (torch.zeros(1, 3, 32, 32), "images must be a uint8 tensor"),
        (torch.zeros(3, 32, 32, dtype=torch.uint8), "images must be a uint8 tensor"),
        (torch.zeros(1, 5, 32, 32, dtype=torch.uint8), "C of 1 to 4"),
        (torch.zeros(1, 3, 32, 0, dtype=torch.uint8), r"H and W of at least 1; got \(1, 3, 32, 0\)"),
    ],
)
def test_what_are_no_images_is_refused(images: Tensor, said: str) -> None:
    with pytest.raises(MetricError, match=said):
        piqe(images)
