"""Images of 16 bits a channel, rounded to 8: level v becomes the byte nearest to v / 257, so that black and
white stay what they are.

Pillow keeps 16 bits of grey images only. Of colour it reads the upper byte of each level, or, if its reader
is told that the file's bytes lie the other way round, the lower one. An image is read in both ways here, and
the levels are put together.
"""

import sys
from collections.abc import Callable

import numpy as np
from PIL import Image

from ganguard.base.errors import DataError

SIXTEEN_BITS = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})  # Pillow's grey of more than 8 bits
_SCALED = ("PNG", "PPM")  # formats whose grey in mode I Pillow scales to 16 bits
_OTHER_WAY = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_GREY_WITH_ALPHA = "LA;16B"  # Pillow opens it as RGBA


def is_grey_with_alpha(image: Image.Image) -> bool:
    """Return whether an image that was opened, but not loaded, is grey of 16 bits with transparency."""
    return _raw_mode(image) == _GREY_WITH_ALPHA


def eight_bits(
    image: Image.Image, again: Callable[[], Image.Image], name: str, *, opacity: bool = False
) -> Image.Image:
    """Return an opened image with 8 bits a channel.

    Args:
        image: the image, not loaded yet.
        again: opens it once more.
        name: its name in messages.
        opacity: whether the opacity of an image of 16 bits is kept.

    Raises DataError if the file does not say in which range its levels lie.
    """
    if image.mode == "F" or (image.mode == "I" and image.format not in _SCALED):
        levels = "floating-point" if image.mode == "F" else "32-bit"
        raise DataError(
            f"{name}: {levels} levels, and the file does not say which one is white. Convert it to 8 or 16 "
            "bits first."
        )
    if image.mode in SIXTEEN_BITS:
        return _of_grey(image, name)
    raw = _raw_mode(image)
    if raw == _GREY_WITH_ALPHA:
        both = _read_as(again(), "RGBA")  # bytes of grey, then bytes of opacity, each the upper one first
        last = 4 if opacity else 2
        return _nearest(both[:, :, 0:last:2], both[:, :, 1:last:2])
    if raw[:-1] not in ("RGB;16", "RGBA;16", "RGBX;16"):
        return image
    last = 4 if opacity and raw.startswith("RGBA") else 3
    upper = np.asarray(image)[:, :, :last]
    lower = _read_as(again(), raw[:-1] + _OTHER_WAY[raw[-1]])[:, :, :last]
    return _nearest(upper, lower)


def _of_grey(image: Image.Image, name: str) -> Image.Image:
    levels = np.asarray(image)
    if levels.min() < 0 or levels.max() > 65535:
        raise DataError(
            f"{name}: levels from {levels.min()} to {levels.max()}; at most 16 bits can be read. Scale it "
            "down first."
        )
    return Image.fromarray(_rounded(levels.astype(np.int32)))


def _nearest(upper: np.ndarray, lower: np.ndarray) -> Image.Image:
    """Return an image from the upper and lower bytes, each (H, W, C), of its levels."""
    levels = upper.astype(np.int32) * 256 + lower
    rounded = _rounded(levels)
    return Image.fromarray(rounded[:, :, 0] if rounded.shape[2] == 1 else rounded)


def _rounded(levels: np.ndarray) -> np.ndarray:
    # levels / 257 never lies half way between two bytes, so adding 128 rounds it to the nearest.
    return ((levels + 128) // 257).astype(np.uint8)


def _raw_mode(image: Image.Image) -> str:
    """Return how the file's bytes are laid out, in Pillow's words; empty if Pillow does not say."""
    tile = getattr(image, "tile", None)
    if not tile:
        return ""
    arguments = tile[0][3]
    found = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return found if isinstance(found, str) else ""


def _read_as(image: Image.Image, raw_mode: str) -> np.ndarray:
    """Return the pixels of an opened image, read as if the file's bytes were laid out in another way."""
    with image:
        tiles = image.tile  # pyright: ignore[reportAttributeAccessIssue]
        image.tile = [tile._replace(args=_with(tile.args, raw_mode)) for tile in tiles]  # pyright: ignore[reportAttributeAccessIssue]
        return np.asarray(image)


def _with(arguments: object, raw_mode: str) -> object:
    return (raw_mode, *arguments[1:]) if isinstance(arguments, tuple) else raw_mode
