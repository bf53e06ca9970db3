"""What an audit measures of two sets, and whether the spreads say how much the numbers really vary."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganguard.comparison.compare import (
    NEIGHBOURS,
    by_itself,
    compare,
    compare_pixels,
    compare_with_training,
    in_no_order,
    natural_model,
    pixel_bins,
)
from ganguard.comparison.embedding import as_probabilities
from ganguard.metrics import Balls
from ganguard.results.records import Measurement


def _rows(count: int, seed: int, shift: float = 0.0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, 4)) + shift)


def _compared(seed: int, count: int = 150, shift: float = 0.5) -> dict[str, Measurement]:
    a, b = (
        Balls.around(_rows(count, 2 * seed, shift), k=NEIGHBOURS),
        Balls.around(_rows(count, 2 * seed + 1), k=NEIGHBOURS),
    )
    return {m.metric: m for m in compare("substitute", a, b, "target", draw=3)}


def test_every_number_has_its_sizes_its_draw_and_a_spread() -> None:
    found = _compared(0)
    assert set(found) == {
        "frechet_distance",
        "frechet_distance_infinity",
        "kernel_distance",
        "precision",
        "recall",
        "density",
        "coverage",
    }
    for m in found.values():
        assert (m.images, m.compared, m.draw, m.against) == (150, 150, 3, "target")
        assert m.spread is not None and m.spread > 0


def test_the_spreads_are_of_the_size_of_what_repetition_shows() -> None:
    runs = [_compared(seed) for seed in range(12)]
    for metric in ("frechet_distance", "frechet_distance_infinity", "kernel_distance"):
        really = np.std([run[metric].value for run in runs], ddof=1)
        said = np.mean([run[metric].spread or math.nan for run in runs])
        assert 0.4 < said / really < 2.5, metric


def test_small_sets_lack_what_they_are_too_small_for() -> None:
    found = _compared(0, count=20)
    assert "frechet_distance_infinity" not in found
    assert found["frechet_distance"].spread is not None


def _images(count: int, seed: int, side: int = 4, darkest: int = 0) -> Tensor:
    return torch.randint(
        darkest, 256, (count, 1, side, side), generator=torch.Generator().manual_seed(seed)
    ).to(torch.uint8)


def test_pixels_of_another_distribution_fall_into_other_bins() -> None:
    same = {
        m.metric: m for m in compare_pixels("target", _images(600, 0), pixel_bins(_images(600, 1)), "target")
    }
    other = {
        m.metric: m
        for m in compare_pixels("target", _images(600, 0, darkest=90), pixel_bins(_images(600, 1)), "target")
    }
    assert other["jsd"].value > 2 * same["jsd"].value
    assert all(m.spread is None for m in other.values())  # no honest one is known
    assert compare_pixels("target", _images(499, 0), pixel_bins(_images(600, 1)), "target") == []
    assert (
        compare_pixels(
            "target", _images(600, 0), pixel_bins(_images(600, 1)[:1].expand(600, -1, -1, -1)), "target"
        )
        == []
    )


def test_a_copy_that_replays_its_purchase_shows() -> None:
    bought, fresh = _rows(80, 0), _rows(200, 1)
    replay = {m.metric: m for m in compare_with_training("substitute", bought.repeat(2, 1), bought, fresh)}
    honest = {m.metric: m for m in compare_with_training("substitute", _rows(200, 2), bought, fresh)}
    assert (replay["authenticity"].value, replay["nearest_distance_ratio"].value) == (0, 0)
    assert honest["authenticity"].value > 0.2
    assert honest["nearest_distance_ratio"].value == pytest.approx(1, abs=0.3)


def test_one_set_is_scored_where_it_can_be() -> None:
    probabilities = as_probabilities(torch.randn(50, 3).softmax(1))
    assert [m.metric for m in by_itself("target", _images(50, 0), probabilities, None)] == ["inception_score"]
    assert by_itself("target", _images(50, 0), None, None) == []
    large = by_itself("target", _images(3, 0, side=32), None, None)
    assert [(m.metric, m.against, m.compared) for m in large] == [("piqe", "nothing", 0)]


def _textured(count: int, seed: int, side: int = 32) -> Tensor:
    """Noise of several scales, as photographs have."""
    generator = torch.Generator().manual_seed(seed)
    scales = [torch.randn(count, 1, side >> k, side >> k, generator=generator) for k in range(4)]
    layers = [
        F.interpolate(s, side, mode="bilinear", align_corners=False) * 2**k for k, s in enumerate(scales)
    ]
    return (128 + 12 * sum(layers)).clamp(0, 255).to(torch.uint8)


def test_niqe_is_of_those_that_have_texture() -> None:
    natural = natural_model(_textured(80, 0))
    assert natural is not None and natural.block_size == 16
    images = _textured(50, 1)
    clear = by_itself("target", images, None, natural)[-1]
    images[:10] = 7
    some = by_itself("target", images, None, natural)[-1]
    noisy = by_itself("noise", torch.randint(0, 256, images.shape).to(torch.uint8), None, natural)[-1]
    assert [(m.metric, m.images) for m in (clear, some, noisy)] == [("niqe", 50), ("niqe", 40), ("niqe", 50)]
    assert noisy.value > 2 * clear.value
    assert clear.spread is not None and 0 < clear.spread < clear.value
    assert [
        m.metric for m in by_itself("target", torch.full((4, 1, 32, 32), 7, dtype=torch.uint8), None, natural)
    ] == ["piqe"]


@pytest.mark.parametrize(
    "images", [_images(60, 0, side=8), _textured(1, 0), torch.zeros(60, 1, 32, 32, dtype=torch.uint8)]
)
def test_there_is_no_niqe_of_small_few_or_flat_images(images: Tensor) -> None:
    assert natural_model(images) is None


def test_the_unbiased_distance_wants_many_rows_a_dimension() -> None:
    assert "frechet_distance_infinity" not in _compared(0, count=79)
    assert "frechet_distance_infinity" in _compared(0, count=80)


def test_one_image_alone_has_a_score_and_no_spread() -> None:
    one = by_itself("target", _images(1, 0, side=32), None, None)
    assert [(m.metric, m.spread) for m in one] == [("piqe", None)]


def test_an_order_by_class_is_undone_the_same_way_each_time() -> None:
    labels = torch.arange(10).repeat_interleave(20)
    mixed = in_no_order(labels)
    assert torch.equal(mixed, in_no_order(labels)) and torch.equal(mixed.sort().values, labels)
    assert min(len(part.unique()) for part in mixed.split(20)) > 5
