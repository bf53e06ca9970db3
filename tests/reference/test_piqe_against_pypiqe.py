"""PIQE against pypiqe, a port of MATLAB's own, on photographs that scikit-image and scikit-learn ship."""

import io
import warnings
from collections.abc import Callable
from importlib.metadata import version

import cv2
import numpy as np
import pypiqe
import pytest
import torch
from PIL import Image
from skimage import data
from sklearn.datasets import load_sample_image
from torch import Tensor

from ganguard.metrics.piqe import luma, piqe

PYPIQE = "1.2"
# of 100; both compute in float64, and no block of these images lies as near to a threshold as rounding
# reaches
SAME = 1e-6

PHOTOGRAPHS = {
    "astronaut": data.astronaut,
    "camera": data.camera,
    "chelsea": data.chelsea,
    "china": lambda: load_sample_image("china.jpg"),
    "coffee": data.coffee,
    "coins": data.coins,
    "flower": lambda: load_sample_image("flower.jpg"),
    "hubble": data.hubble_deep_field,
    "ihc": data.immunohistochemistry,
    "moon": data.moon,
    "motorcycle": lambda: data.stereo_motorcycle()[0],
    "page": data.page,
    "retina": data.retina,
    "rocket": data.rocket,
}


def _noisy(pixels: np.ndarray) -> np.ndarray:
    return (
        (pixels + np.random.default_rng(0).normal(0, 15, pixels.shape)).round().clip(0, 255).astype(np.uint8)
    )


def _through_jpeg(pixels: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=15)
    return np.array(Image.open(buffer))


DEGRADATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "clean": lambda pixels: pixels,
    "noise": _noisy,
    "blur": lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 2),
    "jpeg": _through_jpeg,
}


def _tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1).copy()).permute(2, 0, 1)[None]


def _theirs(pixels: np.ndarray) -> float:
    """It takes colours as OpenCV reads them, (B, G, R). Black images divide 0 by 0 in it."""
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        return float(pypiqe.piqe(np.ascontiguousarray(pixels[..., ::-1]) if pixels.ndim == 3 else pixels)[0])


def test_it_is_the_version_that_was_compared_with() -> None:
    assert version("pypiqe") == PYPIQE


@pytest.mark.parametrize("degradation", DEGRADATIONS)
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_they_agree_on_cuts_of_photographs(name: str, degradation: str) -> None:
    large = np.array(PHOTOGRAPHS[name]())[:300, :350]  # not whole blocks
    for pixels in (large, large[60:124, 80:144], large[7:50, 3:70]):
        changed = DEGRADATIONS[degradation](np.ascontiguousarray(pixels))
        assert piqe(_tensor(changed)).item() == pytest.approx(_theirs(changed), abs=SAME)


@pytest.mark.slow
@pytest.mark.parametrize("degradation", DEGRADATIONS)
def test_they_agree_on_whole_photographs(degradation: str) -> None:
    for name, photograph in PHOTOGRAPHS.items():
        changed = DEGRADATIONS[degradation](np.array(photograph()))
        assert piqe(_tensor(changed)).item() == pytest.approx(_theirs(changed), abs=SAME), name


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (8, 8), (15, 17), (16, 16), (33, 47)])
def test_they_agree_on_small_images(height: int, width: int) -> None:
    """Also where a side is continued further than it is long."""
    generator = np.random.default_rng(height)
    dots = np.where(generator.random((height, width)) < 0.1, 255, 20).astype(np.uint8)
    for pixels in (generator.integers(0, 200, (height, width, 3), dtype=np.uint8), dots, np.zeros_like(dots)):
        assert piqe(_tensor(pixels)).item() == pytest.approx(_theirs(pixels), abs=SAME)


def test_grey_is_rounded_as_by_opencv() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    assert np.array_equal(luma(_tensor(pixels))[0].numpy(), cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
