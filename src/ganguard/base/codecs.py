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

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError, features
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ganguard.base.errors import DataError, InputError, StepError
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
_MODES = {1: "L", 3: "RGB"}
_SIXTEEN_BITS = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})  # Pillow's grey of more than 8 bits
_GREY = frozenset({"1", "L", "LA", "La", *_SIXTEEN_BITS})
_SCALED = ("PNG", "PPM")  # formats whose grey in mode I Pillow scales to 16 bits
_ONE_LARGE = threading.Lock()


def images_a_task(image_shape: Sequence[int]) -> int:
    """Return how many images (C, H, W) to give to a thread of a pool at once."""
    return max(1, PIXELS_A_TASK // max(1, image_shape[-1] * image_shape[-2]))


def encode_png(image: Tensor) -> bytes:
    """Encode one image (C, H, W) uint8, with C of 1 or 3, as the bytes of a PNG file."""
    array = image.cpu().numpy()
    pixels = array[0] if array.shape[0] == 1 else array.transpose(1, 2, 0)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def decode_image(source: bytes | Path, name: str, channels: int | None = None) -> Tensor:
    """Decode an image to (C, H, W) uint8.

    Args:
        source: bytes or path of an image in one of `FORMATS`, whatever its name says. Of an animation, the
            first image is read.
        name: name of the image in messages.
        channels: 1 or 3 converts; None keeps grey images grey and makes all others RGB.

    Raises:
        DataError: the bytes are no whole image, or the header says more than `MAX_PIXELS`.
        InputError: the file could not be read. This says nothing about the image.
        StepError: there was too little memory. This says nothing about the image either.
    """
    try:
        with (
            _without_warnings(),
            Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image,
        ):
            size = image.width * image.height
            if not 0 < size <= MAX_PIXELS:
                raise DataError(
                    f"{name}: {image.width}x{image.height} pixels; 1 to {MAX_PIXELS:,} can be read. Scale "
                    "the image to such a size first."
                )
            mode = _MODES[channels] if channels else ("L" if image.mode in _GREY else "RGB")
            with _ONE_LARGE if size > LARGE_PIXELS else nullcontext():
                return _tensor(image, mode, name)
    except DataError:
        raise
    except Exception as problem:  # noqa: BLE001 - Pillow's readers raise any error on a damaged file
        said = _why_not(problem, name)
    raise DataError(f"{name}: not an image that can be read ({said}). Remove the file or replace it.")


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


def _tensor(image: Image.Image, mode: str, name: str) -> Tensor:
    """Return the pixels of an opened image and close it. Each copy is released before the next one is
    made."""
    converted = _eight_bits(image, name)
    if converted.mode != mode:
        converted = converted.convert(mode)
    if converted is not image:
        image.close()
    pixels = np.asarray(converted)
    converted.close()
    return torch.from_numpy(pixels[None].copy() if pixels.ndim == 2 else pixels.transpose(2, 0, 1).copy())


def _eight_bits(image: Image.Image, name: str) -> Image.Image:
    """Scale 16-bit grey to 8 bits, where Pillow's own conversion would clip it; return any other image as it
    is. Raises DataError if the file does not say in which range its levels lie."""
    if image.mode == "F" or (image.mode == "I" and image.format not in _SCALED):
        levels = "floating-point" if image.mode == "F" else "32-bit"
        raise DataError(
            f"{name}: {levels} levels, and the file does not say which one is white. Convert it to 8 or 16 "
            "bits first."
        )
    if image.mode not in _SIXTEEN_BITS:
        return image
    levels = np.asarray(image)
    if levels.min() < 0 or levels.max() > 65535:
        raise DataError(
            f"{name}: levels from {levels.min()} to {levels.max()}; at most 16 bits can be read. Scale it "
            "down first."
        )
    # levels / 257 never lies half way between two bytes, so adding 128 rounds it to the nearest.
    nearest = (levels.astype(np.int32) + 128) // 257
    return Image.fromarray(nearest.astype(np.uint8))


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
