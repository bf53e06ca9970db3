"""Cropping and resizing: the named crops that every format of image files shares."""

from typing import Annotated, Literal

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from ganguard.base.errors import DataError
from ganguard.base.settings import MOST_SIDE, Positive

Side = Annotated[Positive, Field(le=MOST_SIDE)]
Crop = Literal["centre", "celeba", "celeba_pggan", "none"]
CELEBA_SIDE = 178  # width of the aligned faces, which have 178x218 pixels
PGGAN_ROWS, PGGAN_COLUMNS = slice(57, 185), slice(25, 153)


def prepare(image: Tensor, crop: Crop, size: int | None, name: str) -> Tensor:
    """Crop an image (C, H, W) uint8 and resize it to (C, size, size) with an antialiased Lanczos filter.
    Without a size, return the crop as it is.

    Args:
        image: (C, H, W) uint8.
        crop: "centre" takes the largest centred square, or without a size the whole image. "celeba" takes the
            centred 178x178 of CelebA's aligned faces, on which mimicry's SNGANs were trained (data_utils.py;
            it resizes bilinearly). "celeba_pggan" takes rows 57 to 185 and columns 25 to 153 of them, on
            which pytorch_GAN_zoo's PGGANs were trained (datasets.py). "none" takes the whole image; a size
            then changes its proportions.
        size: side of the result in pixels, or None.
        name: name of the image in messages.

    Raises:
        DataError: the image is smaller than the crop.
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
            f"{name}: {width}x{height} pixels, but crop {crop} is for CelebA's aligned faces of 178x218 "
            "pixels. Set `crop` to centre."
        )
    return centre(image, CELEBA_SIDE) if crop == "celeba" else image[:, PGGAN_ROWS, PGGAN_COLUMNS]


def centre(image: Tensor, side: int) -> Tensor:
    """Return the centred square (C, side, side) of an image (C, H, W), as a view."""
    _, height, width = image.shape
    top, left = (height - side) // 2, (width - side) // 2
    return image[:, top : top + side, left : left + side]


def centre_crop_resize(image: Tensor, size: int) -> Tensor:
    """Crop the largest centred square of an image (C, H, W) uint8 and resize it to (C, size, size) with an
    antialiased Lanczos filter."""
    return resize(centre(image, min(image.shape[1:])), size)


def resize(image: Tensor, size: int) -> Tensor:
    """Resize an image (C, H, W) uint8 to (C, size, size) with an antialiased Lanczos filter."""
    if tuple(image.shape[1:]) == (size, size):
        return image.contiguous()
    planes = [
        Image.fromarray(plane.numpy()).resize((size, size), Image.Resampling.LANCZOS) for plane in image
    ]
    return torch.stack(
        [torch.frombuffer(bytearray(plane.tobytes()), dtype=torch.uint8) for plane in planes]
    ).view(-1, size, size)
