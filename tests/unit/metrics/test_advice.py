"""What the messages of `ganguard.metrics` advise works when it is done."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from ganguard import metrics
from ganguard.base.errors import MetricError

IMAGES = np.random.default_rng(0).integers(0, 256, size=(12, 1, 64, 64), dtype=np.uint8)


def _refused(function: Callable[..., Any], *given: Any, **named: Any) -> str:
    with pytest.raises(MetricError) as refusal:
        function(*given, **named)
    return str(refusal.value)


def test_bins_that_are_advised_are_taken_and_none_are_advised_for_equal_rows() -> None:
    for different in (2, 3, 7):
        rows = np.arange(different)[:, None].repeat(3, axis=1).repeat(50, axis=0)
        said = _refused(metrics.ndb_jsd, rows, rows, bins=100)
        advised = int(said.partition("at most ")[2].partition(",")[0])
        assert metrics.ndb_jsd(rows, rows, bins=advised).bins == different
    assert "Set bins" not in _refused(metrics.ndb_jsd, np.ones((200, 3)), np.ones((200, 3)), bins=100)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (63, 40), (20, 90), (16, 16), (90, 16)])
def test_a_block_size_that_is_advised_for_fitting_also_serves_judging(height: int, width: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(80, 1, height, width), dtype=np.uint8)
    said = _refused(metrics.fit_niqe, images, block_size=96)
    advised = int(said.partition("at most ")[2].partition(",")[0])
    assert metrics.niqe(images, metrics.fit_niqe(images, block_size=advised)).isfinite().all()


@pytest.mark.parametrize("images", [3, 20, 36])
def test_as_many_images_as_are_advised_make_a_model(images: int) -> None:
    many = np.random.default_rng(0).integers(0, 256, size=(2000, 1, 16, 16), dtype=np.uint8)
    said = _refused(metrics.fit_niqe, many[:images], block_size=16)
    advised = int(said.partition("Give ")[2].partition(" such")[0])
    assert metrics.fit_niqe(many[:advised], block_size=16).block_size == 16
    assert "not flat" in _refused(metrics.fit_niqe, np.zeros((5, 1, 32, 32), np.uint8), block_size=16)


def test_images_without_texture_are_left_out_as_advised() -> None:
    model, images = metrics.fit_niqe(IMAGES, block_size=16), IMAGES.copy()
    images[2] = 9
    assert "has_texture" in _refused(metrics.niqe, images, model)
    assert len(metrics.niqe(torch.from_numpy(images)[metrics.has_texture(images, model)], model)) == 11
