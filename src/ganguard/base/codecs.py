"""Files to pixels and tensors: PNG and other images, and safetensors. PNG is lossless: what was bought is
what is trained on.

What is read may come from anybody: its header is checked before memory is spent on it, and nothing in it is
run.
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

MAX_PIXELS = (
    8192 * 6144
)  # one image, which takes 0.5 GB to decode; above it a file is taken for a decompression bomb
PIXELS_A_TASK = (
    1 << 18
)  # that a thread is given to decode or encode at once: with less, handing it over takes longer
LARGE_PIXELS = 4_000_000  # images larger than this are decoded one at a time, whatever the number of threads
MOST_HEADER = 4 << 20  # bytes of the header of a safetensors file: some 40,000 tensors
_AVIF = (
    ("AVIF",) if "avif" in features.modules else ()
)  # Pillow knows it from 11.3 on; one without its library reads none
FORMATS = (
    "PNG",
    "JPEG",
    "BMP",
    "GIF",
    "WEBP",
    "TIFF",
    "PPM",
    *_AVIF,
)  # among Pillow's others is PostScript, a program
_MODES = {1: "L", 3: "RGB"}
_SIXTEEN_BITS = frozenset(
    {"I", "I;16", "I;16L", "I;16B", "I;16N"}
)  # Pillow's modes of grey with more than 8 bits
_GREY = frozenset({"1", "L", "LA", "La", *_SIXTEEN_BITS})
_SCALED = ("PNG", "PPM")  # formats whose grey in mode I Pillow scales to 16 bits
_ONE_LARGE = threading.Lock()


def images_a_task(image_shape: Sequence[int]) -> int:
    """How many images (C, H, W) a thread of a pool should be given at once."""
    return max(1, PIXELS_A_TASK // max(1, image_shape[-1] * image_shape[-2]))


def encode_png(image: Tensor) -> bytes:
    """One image (C, H, W) uint8, C of 1 or 3, to the bytes of a PNG file."""
    array = image.cpu().numpy()
    pixels = array[0] if array.shape[0] == 1 else array.transpose(1, 2, 0)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def decode_image(source: bytes | Path, name: str, channels: int | None = None) -> Tensor:
    """Bytes or file of an image in one of `FORMATS`, whatever its name says, to (C, H, W) uint8.

    channels: 1 or 3 converts; None keeps grey images grey and makes all others RGB. Of an animation, the
    first image. Raises DataError, with `name` in it, where the bytes are no whole image, or its header says
    more than `MAX_PIXELS`; where the file could not be read, or memory was short, which says nothing of the
    image, another InputError, or StepError.
    """
    try:
        with (
            _without_warnings(),
            Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image,
        ):
            size = image.width * image.height
            if not 0 < size <= MAX_PIXELS:
                raise DataError(
                    f"{name}: {image.width}x{image.height} pixels; 1 to {MAX_PIXELS:,} are read. Scale it "
                    "to such a size first."
                )
            mode = _MODES[channels] if channels else ("L" if image.mode in _GREY else "RGB")
            with _ONE_LARGE if size > LARGE_PIXELS else nullcontext():
                return _tensor(image, mode, name)
    except DataError:
        raise
    except Exception as problem:  # noqa: BLE001 - on a damaged file, Pillow's readers raise whatever they stumble over
        said = _why_not(problem, name)
    raise DataError(
        f"{name}: not an image that can be read ({said}). Remove it or replace it by a sound file."
    )


def _why_not(problem: Exception, name: str) -> str:
    """What is wrong with an image at which Pillow raised. Raises what `decode_image` does beside that."""
    if isinstance(problem, Image.DecompressionBombError):  # Pillow's own limit, which lies above ours
        raise DataError(
            f"{name}: far more than the {MAX_PIXELS:,} pixels that are read. Scale it down first."
        ) from None
    if isinstance(problem, MemoryError):
        raise too_little_memory(name) from None
    if isinstance(problem, UnidentifiedImageError):
        return "of no format that is read, which are " + ", ".join(FORMATS)
    if isinstance(problem, OSError) and of_reading(problem):
        raise unreadable(name, problem) from None
    return one_line(problem, 120) or type(problem).__name__


def too_little_memory(name: str) -> StepError:
    """That an image could not be read for want of memory: no verdict on what is in it."""
    return StepError(f"{name}: too little memory to read it. Leave more of it free, and run the same again.")


def of_reading(problem: OSError) -> bool:
    """Whether the system failed to read (no permission, a disk that fails), rather than a decoder at what was
    read: decoders give no number of an error, and one that is sent before a file's beginning by what stands
    in it gets EINVAL."""
    return problem.errno not in (None, errno.EINVAL)


def unreadable(name: str, problem: OSError) -> InputError:
    """That a file could not be read: no verdict on what is in it."""
    return InputError(
        f"{name}: cannot be read ({problem.strerror}). See that it is there, may be read, and its disk is "
        "sound."
    )


def _tensor(image: Image.Image, mode: str, name: str) -> Tensor:
    """The pixels of an opened image, which is closed: what is no longer needed is let go before the next copy
    is made."""
    converted = _eight_bits(image, name)
    if converted.mode != mode:
        converted = converted.convert(mode)
    if converted is not image:
        image.close()
    pixels = np.asarray(converted)
    converted.close()
    return torch.from_numpy(pixels[None].copy() if pixels.ndim == 2 else pixels.transpose(2, 0, 1).copy())


def _eight_bits(image: Image.Image, name: str) -> Image.Image:
    """16-bit grey scaled to 8 bits (Pillow's own conversion would clip it); all other images as they are.
    Raises DataError where levels are of a range that the file does not say."""
    if image.mode == "F" or (image.mode == "I" and image.format not in _SCALED):
        levels = "floating-point" if image.mode == "F" else "32-bit"
        raise DataError(
            f"{name}: {levels} levels, of which nothing says what is white. Scale it to 8 or 16 bits first."
        )
    if image.mode not in _SIXTEEN_BITS:
        return image
    levels = np.asarray(image)
    if levels.min() < 0 or levels.max() > 65535:
        raise DataError(
            f"{name}: levels from {levels.min()} to {levels.max()}; at most 16 bits are read. Scale it down "
            "first."
        )
    nearest = (
        levels.astype(np.int32) + 128
    ) // 257  # of levels / 257, which never lies half way between two bytes
    return Image.fromarray(nearest.astype(np.uint8))


class _Silence:
    """No warnings, of which Pillow has many for odd files, from when the first thread enters until the last
    one leaves: `warnings.catch_warnings` alone is not for threads. What Pillow logs goes to who listens, and
    not to standard error."""

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
    """The tensors of a safetensors file, on CPU, and the texts of its header.

    Raises ValueError, which says why and not of which file, where it is no whole safetensors file.
    """
    with _opened(file) as opened:
        names = opened.keys()
        return {name: opened.get_tensor(name) for name in names}, dict(opened.metadata() or {})


def tensor_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Name → shape of every tensor, from the header of a safetensors file alone. Raises ValueError as
    `read_tensors` does."""
    with _opened(file) as opened:
        names = opened.keys()
        return {name: tuple(opened.get_slice(name).get_shape()) for name in names}


@contextmanager
def _opened(file: Path) -> Generator[safe_open]:
    try:
        with file.open("rb") as raw:
            header = int.from_bytes(raw.read(8), "little")
        if header > MOST_HEADER:
            raise ValueError(f"its header would be of {header:,} bytes; at most {MOST_HEADER:,} are read")
        with safe_open(file, framework="pt") as opened:
            yield opened
    except (SafetensorError, OSError, RuntimeError, TypeError, KeyError, AttributeError) as problem:
        raise ValueError(one_line(problem, 120)) from None


def require_finite(tensors: dict[str, Tensor]) -> None:
    """Raise ValueError that names the first of `tensors` that holds NaN or infinity."""
    for name, value in tensors.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ValueError(f"tensor {one_line(name, 80)!r} holds NaN or infinity")
