"""Photographs that are stored lying on their side: `orient: exif` turns them, before they are cropped."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganguard.base.codecs import decode_image
from ganguard.base.errors import SpecError
from ganguard.base.settings import parse
from ganguard.data.image_folder import ImageFolder

UPRIGHT = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, 1),  # row 0 of the file is the right side of the picture
    7: lambda a: np.rot90(a, 2).T,
    8: lambda a: np.rot90(a, -1),
}
"""How a picture is stored under each orientation (EXIF 2.3, section 4.6.4)."""


def stored(orientation: int, kind: str = "PNG", upright: np.ndarray = UPRIGHT) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    pixels = np.ascontiguousarray(STORED.get(orientation, STORED[1])(upright))
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}
    Image.fromarray(pixels).save(buffer, format=kind, exif=exif, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", STORED)
def test_every_orientation_is_turned_upright(orientation: int, kind: str) -> None:
    wide = np.repeat(np.repeat(UPRIGHT, 16, 0), 16, 1)
    found = decode_image(stored(orientation, kind, wide), "x", 1, orient="exif")
    assert found.shape == (1, 32, 48)
    assert (found[0].int() - torch.from_numpy(wide).int()).abs().max() <= 3


def test_without_the_setting_pixels_are_as_they_are_stored() -> None:
    assert decode_image(stored(6), "x").shape == (1, 3, 2)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_is_none_turns_nothing(orientation: int) -> None:
    assert torch.equal(decode_image(stored(orientation), "x", orient="exif"), torch.from_numpy(UPRIGHT)[None])


def test_16_bits_and_colour_are_turned_too() -> None:
    levels = (UPRIGHT.astype(np.uint16) * 257)[::-1]
    exif = Image.Exif()
    exif[0x0112] = 4
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(levels)).save(buffer, format="PNG", exif=exif)
    assert torch.equal(decode_image(buffer.getvalue(), "x", orient="exif"), torch.from_numpy(UPRIGHT)[None])


def test_exif_that_cannot_be_read_turns_nothing() -> None:
    buffer = io.BytesIO()
    Image.fromarray(UPRIGHT).save(buffer, format="PNG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert torch.equal(decode_image(buffer.getvalue(), "x", orient="exif"), torch.from_numpy(UPRIGHT)[None])


def test_a_set_is_turned_before_it_is_cropped(tmp_path: Path) -> None:
    """Stored, the pictures have two sizes; upright, they have one."""
    for orientation in (1, 6):
        (tmp_path / f"{orientation}.png").write_bytes(stored(orientation))
    settings = {"path": str(tmp_path), "crop": "none", "orient": "exif"}
    images = parse(ImageFolder, settings, "real").load().images
    assert torch.equal(images, torch.from_numpy(UPRIGHT).expand(2, 1, -1, -1))
    with pytest.raises(SpecError, match=r"^real\.orient: "):
        parse(ImageFolder, {**settings, "orient": "upright"}, "real")
