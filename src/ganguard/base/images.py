"""Images as tensors, and their conversion between bytes and floats.

Nothing else in the package converts them.
Images are ``(N, C, H, W)`` uint8 tensors in [0, 255] wherever they pass between packages. C is 1 (grey), 2
(grey and opacity), 3 (RGB) or 4 (RGB and opacity); an opacity of 255 hides what lies behind. A network sees
float32 in [-1, 1]. Byte b is the float b / 127.5 - 1, so both ends are exact, and a float becomes the nearest
byte.
"""

import math
import os
from collections.abc import Sequence

import torch
from torch import Tensor

from ganguard.base.errors import DataError, InputError
from ganguard.base.image_rows import Images

CHANNELS = (1, 2, 3, 4)
BACKGROUND = 255  # level of what lies behind images that are not opaque: white, as in a browser
_VALUES_AT_ONCE = 1 << 24  # that are composed at once, as numbers of four bytes


def to_float(images: Tensor) -> Tensor:
    """Convert bytes (N, C, H, W) in [0, 255] to float32 in [-1, 1], on the same device."""
    return images.to(torch.float32).div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """Convert floats (N, C, H, W) in [-1, 1] to the nearest bytes; values outside the range are clamped."""
    return images.detach().to(torch.float32).add(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def has_opacity(channels: int) -> bool:
    """Return whether the last of so many channels is opacity."""
    return channels % 2 == 0


def colours_of(channels: int) -> int:
    """Return how many of so many channels are colours: 1 or 3."""
    return channels - has_opacity(channels)


def composed(images: Tensor, background: int = BACKGROUND) -> Tensor:
    """Return images (N, C, H, W) uint8 before a background of one level, without their opacity: C of 2
    becomes 1, and C of 4 becomes 3. Others are returned as they are."""
    if not has_opacity(images.shape[1]):
        return images
    at_once = max(1, _VALUES_AT_ONCE // max(1, math.prod(images.shape[1:])))
    return torch.cat([_composed(part, background) for part in images.split(at_once)])


def _composed(images: Tensor, background: int) -> Tensor:
    colours, opacity = images[:, :-1].to(torch.int32), images[:, -1:].to(torch.int32)
    return ((colours * opacity + background * (255 - opacity) + 127) // 255).to(torch.uint8)


def composed_floats(images: Tensor) -> Tensor:
    """Return what `composed` does of float images (N, C, H, W) in [-1, 1], without rounding. Gradients flow
    through it."""
    if not has_opacity(images.shape[1]):
        return images
    background = BACKGROUND / 127.5 - 1
    return background + (images[:, :-1] - background) * (images[:, -1:] + 1) / 2


def in_channels(images: Tensor, channels: int) -> Tensor:
    """Return images (N, C, H, W) uint8 with another number of channels, 1 to 4.

    Grey is repeated in each colour. Colour becomes its luma (ITU-R BT.601), rounded as Pillow rounds it, so
    grey that was repeated comes back as it was. Opacity that is not wanted is composed; opacity that an image
    lacks is full.
    """
    if images.shape[1] == channels:
        return images
    if not has_opacity(channels):
        return _coloured(composed(images), channels)
    known = images[:, -1:] if has_opacity(images.shape[1]) else torch.full_like(images[:, :1], 255)
    colours = images[:, :-1] if has_opacity(images.shape[1]) else images
    return torch.cat([_coloured(colours, channels - 1), known], 1)


def _coloured(images: Tensor, channels: int) -> Tensor:
    """Return images (N, 1 or 3, H, W) uint8 with 1 channel or 3."""
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
    """Return `images` if they are (N, C, H, W) uint8 with C of 1 to 4. Raises `error` otherwise."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in CHANNELS:
        raise error(
            f"{name} must be a uint8 tensor (N, C, H, W) with C of 1 to 4; got {images.dtype} "
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
