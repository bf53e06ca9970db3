"""Cropping and resizing: the named crops that every format of image files shares."""

import re
from typing import Annotated, Literal

import numpy as np
import torch
from PIL import Image
from pydantic import BeforeValidator, Field
from torch import Tensor

from ganguard.base.errors import DataError
from ganguard.base.images import has_opacity
from ganguard.base.settings import MOST_SIDE, Positive, shortened

Side = Annotated[Positive, Field(le=MOST_SIDE)]
_SIDES = re.compile(r"([0-9]{1,5})[xX*]([0-9]{1,5})")  # width, height


def sides_of(value: object) -> tuple[int, int] | None:
    """Return (height, width) in pixels of a side, or of WIDTHxHEIGHT as text; None if it is neither."""
    found = _SIDES.fullmatch(value) if isinstance(value, str) else None
    width, height = (int(found[1]), int(found[2])) if found else (value, value)
    if type(width) is not int or type(height) is not int:
        return None
    return (height, width) if all(1 <= side <= MOST_SIDE for side in (height, width)) else None


def _size(value: object) -> object:
    """Return a side, or a size as WIDTHxHEIGHT; a square's is its side. Raises ValueError otherwise."""
    if (named := sides_of(value.strip() if isinstance(value, str) else value)) is None:
        raise ValueError(
            f"must be a side of 1 to {MOST_SIDE} pixels, or WIDTHxHEIGHT of such sides, as in 80x48; got "
            f"{shortened(value)}"
        )
    height, width = named
    return width if width == height else f"{width}x{height}"


Size = Annotated[int | str, BeforeValidator(_size)]
"""The size of images in pixels: the side of squares, or WIDTHxHEIGHT."""


def sides(size: int | str) -> tuple[int, int]:
    """Return (height, width) of a size."""
    if isinstance(size, int):
        return size, size
    width, height = size.split("x")
    return int(height), int(width)


Crop = Literal["centre", "celeba", "celeba_pggan", "none"]
CELEBA_SIDE = 178  # width of the aligned faces, which have 178x218 pixels
PGGAN_ROWS, PGGAN_COLUMNS = slice(57, 185), slice(25, 153)


def prepare(image: Tensor, crop: Crop, size: int | str | None, name: str) -> Tensor:
    """Crop an image (C, H, W) uint8 and resize it with an antialiased Lanczos filter. Without a size, return
    the crop as it is.

    Args:
        image: (C, H, W) uint8.
        crop: "centre" takes the largest centred part with the proportions of the size, or without a size the
            whole image. "celeba" takes the centred 178x178 of CelebA's aligned faces, on which mimicry's
            SNGANs were trained (data_utils.py; it resizes bilinearly). "celeba_pggan" takes rows 57 to 185
            and columns 25 to 153 of them, on which pytorch_GAN_zoo's PGGANs were trained (datasets.py).
            "none" takes the whole image. All but "centre" change the proportions to those of the size.
        size: size of the result in pixels, see `Size`, or None.
        name: name of the image in messages.

    Raises:
        DataError: the image is smaller than the crop.
    """
    wanted = None if size is None else sides(size)
    taken = _taken(image, crop, wanted, name)
    return taken.contiguous() if wanted is None else resize(taken, wanted)


def _taken(image: Tensor, crop: Crop, wanted: tuple[int, int] | None, name: str) -> Tensor:
    _, height, width = image.shape
    if crop == "none" or (crop == "centre" and wanted is None):
        return image
    if crop == "centre":
        return _largest(image, wanted or (1, 1))
    needed = (CELEBA_SIDE, CELEBA_SIDE) if crop == "celeba" else (PGGAN_ROWS.stop, PGGAN_COLUMNS.stop)
    if height < needed[0] or width < needed[1]:
        raise DataError(
            f"{name}: {width}x{height} pixels, but crop {crop} is for CelebA's aligned faces of 178x218 "
            "pixels. Set `crop` to centre."
        )
    return centre(image, needed) if crop == "celeba" else image[:, PGGAN_ROWS, PGGAN_COLUMNS]


def centre(image: Tensor, taken: tuple[int, int]) -> Tensor:
    """Return the middle (C, *taken) of an image (C, H, W), as a view."""
    top, left = ((side - part) // 2 for side, part in zip(image.shape[1:], taken, strict=True))
    return image[:, top : top + taken[0], left : left + taken[1]]


def centre_crop_resize(image: Tensor, size: int | str) -> Tensor:
    """Crop the largest centred part of an image (C, H, W) uint8 that has the proportions of `size`, and
    resize it with an antialiased Lanczos filter."""
    wanted = sides(size)
    return resize(_largest(image, wanted), wanted)


def _largest(image: Tensor, wanted: tuple[int, int]) -> Tensor:
    """Return the largest centred part with the proportions of (height, width), as a view; to the nearest
    pixel."""
    _, height, width = image.shape
    if height * wanted[1] > width * wanted[0]:  # too tall
        return centre(image, (max(1, round(width * wanted[0] / wanted[1])), width))
    return centre(image, (height, max(1, round(height * wanted[1] / wanted[0]))))


def resize(image: Tensor, wanted: tuple[int, int]) -> Tensor:
    """Resize an image (C, H, W) uint8 to (C, *wanted) with an antialiased Lanczos filter. Colours count by
    their opacity, so that what transparency hid stays hidden."""
    if tuple(image.shape[1:]) == wanted:
        return image.contiguous()
    if has_opacity(len(image)):  # Pillow weighs colours by opacity if it knows which channel that is
        whole = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
        return _tensor(whole, wanted).permute(2, 0, 1).contiguous()
    return torch.stack([_tensor(Image.fromarray(plane.numpy()), wanted) for plane in image])


def _tensor(image: Image.Image, wanted: tuple[int, int]) -> Tensor:
    resized = image.resize((wanted[1], wanted[0]), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(resized))
