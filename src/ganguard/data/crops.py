"""Which part of an image is taken, and how it is brought to a side: the named crops of every format of image
files."""

from typing import Annotated, Literal

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from ganguard.base.errors import DataError
from ganguard.base.settings import MOST_SIDE, Positive

Side = Annotated[Positive, Field(le=MOST_SIDE)]
Crop = Literal["centre", "celeba", "celeba_pggan", "none"]
CELEBA_SIDE = 178  # of the aligned faces, 178x218
PGGAN_ROWS, PGGAN_COLUMNS = slice(57, 185), slice(25, 153)


def prepare(image: Tensor, crop: Crop, size: int | None, name: str) -> Tensor:
    """(C, H, W) uint8 to (C, size, size), resized with an antialiased Lanczos filter; without a size, the
    crop as it is.

    crop: "centre", the largest centred square, or without a size the whole image. "celeba", the centred
        178x178 of CelebA's aligned faces, as mimicry's SNGANs were trained on (data_utils.py; it resizes
        bilinearly). "celeba_pggan", rows 57 to 185 and columns 25 to 153 of them, as pytorch_GAN_zoo's PGGANs
        were (datasets.py). "none", the whole image, whose proportions a size changes.

    Raises DataError, with `name` in it, where the image is smaller than the crop.
    """
    taken = _taken(image, crop, size, name)
    return taken.contiguous() if size is None else resize(taken, size)


def _taken(image: Tensor, crop: Crop, size: int | None, name: str) -> Tensor:
    _, height, width = image.shape
    if crop == "none" or (crop == "centre" and size is None):
        return image
    if crop == "centre":
        return centre(image, min(height, width))
    needed = (CELEBA_SIDE, CELEBA_SIDE) if crop == "celeba" else (PGGAN_ROWS.stop, PGGAN_COLUMNS.stop)
    if height < needed[0] or width < needed[1]:
        raise DataError(
            f"{name}: {width}x{height} pixels, but crop {crop} is for CelebA's aligned faces, of 178x218. "
            "Set `crop` to centre."
        )
    return centre(image, CELEBA_SIDE) if crop == "celeba" else image[:, PGGAN_ROWS, PGGAN_COLUMNS]


def centre(image: Tensor, side: int) -> Tensor:
    """The centred (C, side, side) of (C, H, W), a view."""
    _, height, width = image.shape
    top, left = (height - side) // 2, (width - side) // 2
    return image[:, top : top + side, left : left + side]


def centre_crop_resize(image: Tensor, size: int) -> Tensor:
    """(C, H, W) uint8 to (C, size, size): the largest centred square, resized with an antialiased Lanczos
    filter."""
    return resize(centre(image, min(image.shape[1:])), size)


def resize(image: Tensor, size: int) -> Tensor:
    """(C, H, W) uint8 to (C, size, size) with an antialiased Lanczos filter."""
    if tuple(image.shape[1:]) == (size, size):
        return image.contiguous()
    planes = [
        Image.fromarray(plane.numpy()).resize((size, size), Image.Resampling.LANCZOS) for plane in image
    ]
    return torch.stack(
        [torch.frombuffer(bytearray(plane.tobytes()), dtype=torch.uint8) for plane in planes]
    ).view(-1, size, size)
