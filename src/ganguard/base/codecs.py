"""Conversion of files to pixels and tensors: PNG and other image formats, and safetensors. PNG is lossless,
so a substitute is trained on exactly the images that were bought.

The files may come from anybody. A file's header is checked before memory is spent on its content, and nothing
in it is executed.
"""

import errno
import io
import logging
import threading
import warnings
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError, features
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ganguard.base.bit_depth import SIXTEEN_BITS, eight_bits, is_grey_with_alpha
from ganguard.base.errors import DataError, InputError, StepError
from ganguard.base.images import has_opacity, in_channels
from ganguard.base.lfs_pointers import PULL, is_lfs_pointer
from ganguard.base.png_texts import refused_for_texts, without_texts
from ganguard.base.settings import one_line

# Pixels of one image. That many take 0.5 GB to decode; a larger image is taken for a decompression bomb.
MAX_PIXELS = 8192 * 6144
# Pixels that a thread decodes or encodes at once. Handing over fewer takes longer than the work itself.
PIXELS_A_TASK = 1 << 18
LARGE_PIXELS = 4_000_000  # larger images are decoded one at a time, whatever the number of threads
MOST_HEADER = 4 << 20  # bytes of the header of a safetensors file: some 40,000 tensors
# Pillow knows AVIF from 11.3 on. A Pillow that was built without the library for it cannot read AVIF.
_AVIF = ("AVIF",) if "avif" in features.modules else ()
# Pillow's other formats are left out: one of them is PostScript, which is a program.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", *_AVIF)
_MODES = {1: "L", 2: "RGBA", 3: "RGB", 4: "RGBA"}
_GREY = frozenset({"1", "L", "LA", "La", *SIXTEEN_BITS})
Orient = Literal["none", "exif"]
Opacity = Literal["dropped", "held", "always"]
_ORIENTATION = 0x0112  # EXIF's tag
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How an image is turned upright, by its EXIF orientation (EXIF 2.3, section 4.6.4)."""
_ONE_LARGE = threading.Lock()


def images_a_task(image_shape: Sequence[int]) -> int:
    """Return how many images (C, H, W) to give to a thread of a pool at once."""
    return max(1, PIXELS_A_TASK // max(1, image_shape[-1] * image_shape[-2]))


def encode_png(image: Tensor) -> bytes:
    """Encode one image (C, H, W) uint8, with C of 1 to 4, as the bytes of a PNG file."""
    array = image.cpu().numpy()
    pixels = array[0] if array.shape[0] == 1 else array.transpose(1, 2, 0)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def decode_image(
    source: bytes | Path,
    name: str,
    channels: int | None = None,
    *,
    orient: Orient = "none",
    opacity: Opacity = "dropped",
) -> Tensor:
    """Decode an image to (C, H, W) uint8.

    Args:
        source: bytes or path of an image in one of `FORMATS`, whatever its name says. Of an animation, the
            first image is read.
        name: name of the image in messages.
        channels: 1 or 3 colours; None keeps grey images grey and makes all others RGB.
        orient: "exif" turns and mirrors the image as its EXIF data say. Pillow does that to a TIFF anyway.
        opacity: "dropped" leaves it out, and what lies under transparent pixels shows; "held" adds it as the
            last channel if the file has any; "always" adds it, full for a file without any.

    Raises:
        DataError: the bytes are no whole image, or the header says more than `MAX_PIXELS`.
        InputError: the file could not be read. This says nothing about the image.
        StepError: there was too little memory. This says nothing about the image either.
    """
    try:
        return _decoded(source, name, channels, orient, opacity)
    except DataError:
        raise
    except Exception as problem:  # noqa: BLE001 - Pillow's readers raise any error on a damaged file
        said = PULL if is_lfs_pointer(source) else _why_not(problem, name)
        lean = without_texts(source) if refused_for_texts(problem) else None
    if lean is not None:
        return decode_image(lean, name, channels, orient=orient, opacity=opacity)
    raise DataError(f"{name}: not an image that can be read ({said}). Remove the file or replace it.")


def _decoded(
    source: bytes | Path, name: str, channels: int | None, orient: Orient, opacity: Opacity
) -> Tensor:
    def opened() -> Image.Image:
        return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)

    with _without_warnings(), opened() as image:
        size = image.width * image.height
        if not 0 < size <= MAX_PIXELS:
            raise DataError(
                f"{name}: {image.width}x{image.height} pixels; 1 to {MAX_PIXELS:,} can be read. Scale "
                "the image to such a size first."
            )
        grey = image.mode in _GREY or is_grey_with_alpha(image)
        wanted = channels or (1 if grey else 3)
        wanted += opacity == "always" or (opacity == "held" and image.has_transparency_data)
        with _ONE_LARGE if size > LARGE_PIXELS else nullcontext():
            converted = eight_bits(image, opened, name, opacity=has_opacity(wanted))
            turn = _turn(image) if orient == "exif" else None
            pixels = _tensor(image, converted, _MODES[wanted], turn)
    return in_channels(pixels[None], wanted)[0]


def _turn(image: Image.Image) -> Image.Transpose | None:
    """Return how an image is turned upright; None if it is, or does not say."""
    try:
        image.load()  # a PNG may say it after its pixels, and a TIFF is turned when it is loaded
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except OSError:
        raise
    except Exception:  # noqa: BLE001 - EXIF data that cannot be read say nothing; the pixels may be whole
        return None


def _why_not(problem: Exception, name: str) -> str:
    """Return what is wrong with an image on which Pillow raised `problem`. Raises the other errors of
    `decode_image`."""
    if isinstance(problem, Image.DecompressionBombError):  # Pillow's own limit, which lies above ours
        raise DataError(
            f"{name}: far more than the {MAX_PIXELS:,} pixels that can be read. Scale it down first."
        ) from None
    if isinstance(problem, MemoryError):
        raise too_little_memory(name) from None
    if isinstance(problem, UnidentifiedImageError):
        return "its format is none of " + ", ".join(FORMATS)
    if isinstance(problem, OSError) and of_reading(problem):
        raise unreadable(name, problem) from None
    return one_line(problem, 120) or type(problem).__name__


def too_little_memory(name: str) -> StepError:
    """Return the error for an image that could not be read for want of memory. It says nothing about the
    image."""
    return StepError(f"{name}: too little memory to read it. Free some memory, and run the same again.")


def of_reading(problem: OSError) -> bool:
    """Return whether the system failed to read a file (no permission, a failing disk), and not a decoder that
    read it.

    A decoder's errors carry no number. The exception is EINVAL: a damaged file can send its decoder to a
    position before the file's start.
    """
    return problem.errno not in (None, errno.EINVAL)


def unreadable(name: str, problem: OSError) -> InputError:
    """Return the error for a file that could not be read. It says nothing about the file's content."""
    return InputError(
        f"{name}: cannot be read ({problem.strerror}). Check that it exists, that you may read it, and that "
        "its disk works."
    )


def _tensor(image: Image.Image, converted: Image.Image, mode: str, turn: Image.Transpose | None) -> Tensor:
    """Return the pixels of an opened image and close it. Each copy is released before the next one is made.

    Args:
        image: the image.
        converted: the same with 8 bits a channel; it may be the image itself.
        mode: Pillow's name of the wanted channels.
        turn: how it is turned, or None.
    """
    if converted.mode != mode:
        converted = converted.convert(mode)
    if converted is not image:
        image.close()
    if turn is not None:
        converted = converted.transpose(turn)
    pixels = np.asarray(converted)
    converted.close()
    return torch.from_numpy(pixels[None].copy() if pixels.ndim == 2 else pixels.transpose(2, 0, 1).copy())


class _Silence:
    """Silence warnings from the time the first thread enters until the last one leaves. Pillow gives many of
    them on odd files, and `warnings.catch_warnings` alone is not safe with threads.

    Pillow's log messages go to the application's handlers, and not to standard error.
    """

    def __init__(self) -> None:
        self._lock, self._threads, self._silenced = threading.Lock(), 0, ExitStack()
        logging.getLogger("PIL").addHandler(logging.NullHandler())

    @contextmanager
    def __call__(self) -> Generator[None]:
        with self._lock:
            if self._threads == 0:
                self._silenced.enter_context(warnings.catch_warnings(action="ignore"))
            self._threads += 1
        try:
            yield
        finally:
            with self._lock:
                self._threads -= 1
                if self._threads == 0:
                    self._silenced.close()


_without_warnings = _Silence()


def read_tensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a safetensors file, on CPU, and the texts in its header.

    Raises ValueError if it is no whole safetensors file; the message gives the reason, but not the file's
    name.
    """
    with _opened(file) as opened:
        names = opened.keys()
        return {name: opened.get_tensor(name) for name in names}, dict(opened.metadata() or {})


def tensor_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor by its name, from a safetensors file's header alone. Raises ValueError
    as `read_tensors` does."""
    with _opened(file) as opened:
        names = opened.keys()
        return {name: tuple(opened.get_slice(name).get_shape()) for name in names}


@contextmanager
def _opened(file: Path) -> Generator[safe_open]:
    try:
        with file.open("rb") as raw:
            header = int.from_bytes(raw.read(8), "little")
        if header > MOST_HEADER:
            raise ValueError(f"its header claims {header:,} bytes; at most {MOST_HEADER:,} can be read")
        with safe_open(file, framework="pt") as opened:
            yield opened
    except (SafetensorError, OSError, RuntimeError, TypeError, KeyError, AttributeError) as problem:
        raise ValueError(one_line(problem, 120)) from None


def require_finite(tensors: dict[str, Tensor]) -> None:
    """Raise ValueError, with the name of the first such tensor, if any of `tensors` holds NaN or infinity."""
    for name, value in tensors.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ValueError(f"tensor {one_line(name, 80)!r} holds NaN or infinity")
