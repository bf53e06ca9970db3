"""Crop and resize of a data set against Pillow's own, on the whole image at once."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from ganguard.data.crops import centre_crop_resize


def _with_pillow(pixels: np.ndarray, size: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    square = Image.fromarray(pixels).crop((left, top, left + side, top + side))
    return np.asarray(square.resize((size, size), Image.Resampling.LANCZOS))


@pytest.mark.parametrize(("height", "width"), [(40, 40), (31, 50), (50, 31), (20, 21)])
@pytest.mark.parametrize("size", [8, 20, 32, 64])
def test_colour_images(height: int, width: int, size: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    found = centre_crop_resize(torch.from_numpy(pixels).permute(2, 0, 1), size)
    assert np.array_equal(found.permute(1, 2, 0).numpy(), _with_pillow(pixels, size))


def test_grey_images() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 44), dtype=np.uint8)
    found = centre_crop_resize(torch.from_numpy(pixels)[None], 16)
    assert np.array_equal(found[0].numpy(), _with_pillow(pixels, 16))


def test_even_margins_agree_with_pillows_fit() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48), dtype=np.uint8)
    fitted = ImageOps.fit(Image.fromarray(pixels), (32, 32), method=Image.Resampling.LANCZOS)
    assert np.array_equal(
        centre_crop_resize(torch.from_numpy(pixels)[None], 32)[0].numpy(), np.asarray(fitted)
    )
