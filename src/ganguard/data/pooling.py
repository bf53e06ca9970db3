"""Pooling: the mean of each square of pixels becomes one pixel."""

import torch
from torch import Tensor

from ganguard.base.errors import DataError
from ganguard.base.images import has_opacity
from ganguard.data.room import room

AT_ONCE = 1 << 22  # numbers of images that are pooled at once, so that a set of any size needs little memory


def pooled_shape(shape: tuple[int, int, int], pool: int, name: str) -> tuple[int, int, int]:
    """Return the shape (C, H, W) of images after pooling.

    Raises DataError if a side is no multiple of `pool`.

    Args:
        shape: (C, H, W) before.
        pool: side of a square, in pixels.
        name: what a message calls the images.
    """
    channels, height, width = shape
    if height % pool or width % pool:
        raise DataError(
            f"{name}: pool {pool} does not divide images of {width}x{height} pixels. Set `pool` to a number "
            "that divides both sides, or crop the images by `size` first, where their kind has it."
        )
    return channels, height // pool, width // pool


def pooled(images: Tensor, pool: int, name: str) -> Tensor:
    """Return images (N, C, H / pool, W / pool) uint8, each pixel the mean of a square, rounded.

    Colours count by their opacity, so that what transparency hid stays hidden.

    Args:
        images: (N, C, H, W) uint8.
        pool: side of a square, in pixels.
        name: what a message calls the images.

    Raises:
        DataError: a side is no multiple of `pool`, or there is no room for the result.
    """
    channels, height, width = pooled_shape((images.shape[1], images.shape[2], images.shape[3]), pool, name)
    made = room(len(images), (channels, height, width), name)
    step = max(1, AT_ONCE // (channels * height * width * pool * pool))
    for start in range(0, len(images), step):
        squares = images[start : start + step].view(-1, channels, height, pool, width, pool).double()
        made[start : start + step] = _means(squares).round().to(torch.uint8)
    return made


def _means(squares: Tensor) -> Tensor:
    """Return the mean of each square of (N, C, H, pool, W, pool) float64: (N, C, H, W)."""
    if not has_opacity(squares.shape[1]):
        return squares.mean((3, 5))
    opacity = squares[:, -1:]
    total = opacity.sum((3, 5))
    colours = (squares[:, :-1] * opacity).sum((3, 5)) / total.clamp(min=1)
    return torch.cat([colours, opacity.mean((3, 5))], 1)
