"""Images to PNG bytes and back. PNG is lossless: what was bought is what is trained on."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganguard.base.errors import DataError

MAX_PIXELS = 64_000_000  # one image; above it a file is taken for a decompression bomb
_MODES = {1: "L", 3: "RGB"}
_SIXTEEN_BITS = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})  # Pillow's modes of grey with more than 8 bits
_GREY = frozenset({"1", "L", "LA", "La", *_SIXTEEN_BITS})


def encode_png(image: Tensor) -> bytes:
    """One image (C, H, W) uint8, C of 1 or 3, to the bytes of a PNG file."""
    array = image.cpu().numpy()
    pixels = array[0] if array.shape[0] == 1 else array.transpose(1, 2, 0)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def decode_image(source: bytes | Path, name: str, channels: int | None = None) -> Tensor:
    """Bytes or file of any raster format that Pillow reads, to (C, H, W) uint8.

    channels: 1 or 3 converts; None keeps grey images grey and makes all others RGB.
    Raises DataError, with `name` in it, where the bytes are no image or the image is larger than `MAX_PIXELS`.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(
                    f"{name}: {image.width}x{image.height} pixels; at most {MAX_PIXELS} are read. Scale it down first."
                )
            mode = _MODES[channels] if channels else ("L" if image.mode in _GREY else "RGB")
            pixels = np.array(_eight_bits(image, name).convert(mode))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as problem:
        raise DataError(
            f"{name}: not an image that can be read ({problem}). Remove it or replace it by a sound file."
        ) from None
    return torch.from_numpy(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1).copy())


def _eight_bits(image: Image.Image, name: str) -> Image.Image:
    """16-bit grey scaled to 8 bits (Pillow's own conversion would clip it); all other images as they are."""
    if image.mode not in _SIXTEEN_BITS:
        return image
    levels = np.asarray(image).astype(np.int64)
    if levels.min() < 0 or levels.max() > 65535:
        raise DataError(f"{name}: levels from {levels.min()} to {levels.max()}; at most 16 bits are read. Scale it down first.")
    return Image.fromarray(np.round(levels / 257).astype(np.uint8))
