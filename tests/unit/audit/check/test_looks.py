"""What a few images of a target tell."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganguard.audit.check import speeds
from ganguard.audit.check.looks import (
    Nearness,
    Pixels,
    drawn,
    impure,
    narrow,
    nearness,
    save_picture,
    some,
)
from ganguard.base.codecs import decode_image
from ganguard.base.compute import Compute
from ganguard.base.errors import MetricError
from ganguard.data.dataset import load_dataset, parse_dataset
from ganguard.metrics.features.network import load_features, parse_features


def test_pixels_tell_the_range() -> None:
    images = torch.full((1, 1, 10, 100), 100, dtype=torch.uint8)
    images[0, 0, 0, 0] = 7
    images[0, 0, 0, 1] = 250
    found = Pixels.of(images)
    assert found == Pixels(low=7, high=250, dark=100, light=100, levels=3)


def test_a_range_that_is_hardly_filled_is_said() -> None:
    real = Pixels(0, 255, 0, 250, 256)
    assert narrow(Pixels(0, 255, 10, 240, 256), real) == ""
    assert "120 to 140" in narrow(Pixels(0, 255, 120, 140, 256), real)
    grey = Pixels(100, 140, 100, 140, 41)
    assert narrow(grey, grey) == ""  # real images are like that


def test_a_pure_target_gives_the_same_images_again(ramp: Callable[..., Any]) -> None:
    target = ramp()
    images, seconds = drawn(target, 8, seed=1)
    assert len(images) == 8
    assert seconds >= 0
    assert impure(target, images, seed=1) == ""


@pytest.mark.parametrize("fault", ["time", "place", "size"])
def test_images_that_depend_on_the_request_are_found(ramp: Callable[..., Any], fault: str) -> None:
    """They depend on how often the target was asked, on the place in the request, or on its size."""

    class Impure:
        identity, image_shape, calls = "impure", (1, 4, 4), 0

        def sample(self, indices: range, *, seed: int) -> Tensor:
            self.calls += 1
            moved = {"time": self.calls, "size": len(indices)}
            places = range(len(indices))
            shifts = places if fault == "place" else [moved[fault]] * len(indices)
            return ramp().paint([(3 * i + shift) % 256 for i, shift in zip(indices, shifts, strict=True)])

    target = Impure()
    images, _ = drawn(target, 8, seed=0)
    assert "they must be the same" in impure(target, images, seed=0)


def test_real_images_are_near_and_noise_is_far(compute: Compute) -> None:
    digits = load_dataset(parse_dataset("digits")).images
    network = load_features(parse_features("random_network"), Path(), 1)
    near = nearness(digits[:64], digits[100:300], digits[300:500], ("random_network", network), compute)
    assert near.images == 64
    assert near.target[0] < near.noise[0] / 10
    assert not near.broken()
    noise = speeds.noise((1, 8, 8))
    assert nearness(noise, digits[100:300], digits[300:500], ("random_network", network), compute).broken()
    with pytest.raises(MetricError, match="at least 4"):
        nearness(digits[:2], digits[100:300], digits[300:500], ("random_network", network), compute)


def test_nearness_allows_for_its_errors() -> None:
    assert Nearness((1.0, 0.2), (1.1, 0.2), (0, 0.1), 64, "n").broken()
    assert not Nearness((0.1, 0.1), (1.1, 0.2), (0, 0.1), 64, "n").broken()


def test_some_images_are_spread_over_all() -> None:
    images = torch.arange(100, dtype=torch.uint8).view(100, 1, 1, 1)
    assert some(images, torch.arange(100), 4).flatten().tolist() == [0, 25, 50, 75]
    assert len(some(images, torch.arange(3), 4)) == 3


@pytest.mark.parametrize("channels", [(1, 1), (3, 1), (1, 3), (3, 3)])
def test_the_picture_shows_both_sides(tmp_path: Path, channels: tuple[int, int]) -> None:
    one, other = (torch.full((5, c, 8, 8), 200, dtype=torch.uint8) for c in channels)
    both = decode_image(save_picture(one, other, tmp_path), "check.png")
    alone = decode_image(save_picture(None, other, tmp_path), "check.png")
    assert both.shape[0] == max(channels)
    assert both.shape[2] > 2 * alone.shape[2]
