"""Images as tensors, and their conversion between bytes and floats.

Nothing else in the package converts them.
Images are ``(N, C, H, W)`` uint8 tensors in [0, 255] wherever they pass between packages; C is 1 or 3. A
network sees float32 in [-1, 1]. Byte b is the float b / 127.5 - 1, so both ends are exact, and a float
becomes the nearest byte.
"""

import math
import os
from collections.abc import Sequence

import torch
from torch import Tensor

from ganguard.base.errors import DataError, InputError
from ganguard.base.image_rows import Images

CHANNELS = (1, 3)


def to_float(images: Tensor) -> Tensor:
    """Convert bytes (N, C, H, W) in [0, 255] to float32 in [-1, 1], on the same device."""
    return images.to(torch.float32).div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """Convert floats (N, C, H, W) in [-1, 1] to the nearest bytes; values outside the range are clamped."""
    return images.detach().to(torch.float32).add(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def in_channels(images: Tensor, channels: int) -> Tensor:
    """Return images (N, C, H, W) uint8 with 1 channel or 3, C of 1 or 3.

    Grey is repeated in each channel. Colour becomes its luma (ITU-R BT.601), rounded as Pillow rounds it, so
    grey that was repeated comes back as it was.
    """
    if images.shape[1] == channels:
        return images
    if channels == 3:
        return images.expand(-1, 3, -1, -1).contiguous()
    red, green, blue = images.to(torch.int32).unbind(1)
    return ((19595 * red + 38470 * green + 7471 * blue + (1 << 15)) >> 16).to(torch.uint8)[:, None]


def shape_of(images: Images) -> tuple[int, int, int]:
    """Return the shape (C, H, W) of images (N, C, H, W)."""
    _, channels, height, width = images.shape
    return channels, height, width


def require_images(images: Tensor, name: str, error: type[InputError] = InputError) -> Tensor:
    """Return `images` if they are (N, C, H, W) uint8 with C of 1 or 3. Raises `error` otherwise."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in CHANNELS:
        raise error(
            f"{name} must be a uint8 tensor (N, C, H, W) with C of 1 or 3; got {images.dtype} "
            f"{tuple(images.shape)}."
        )
    return images


def room_for(count: int, image_shape: Sequence[int], name: str) -> Tensor:
    """Return uninitialised memory for `count` images, (count, C, H, W) uint8.

    Raises DataError, which calls the images `name`, if this machine does not have that much.
    """
    needed, there = count * math.prod(image_shape), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        if needed <= there:
            return torch.empty(count, *image_shape, dtype=torch.uint8)
    except RuntimeError:  # torch raises this if the memory cannot be allocated
        pass
    channels, height, width = image_shape
    raise DataError(
        f"{name}: {count:,} images of {width}x{height} pixels and {channels} channels take "
        f"{needed / 1e9:,.0f} GB; this machine has {there / 1e9:,.0f} GB of memory. Take fewer or smaller "
        "images."
    )
