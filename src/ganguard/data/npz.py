"""NumPy's archives (.npz) as others publish them: images, and statistics of features.

ADM's guided-diffusion writes samples and reference batches as `arr_0`, images (N, H, W, C) uint8;
pytorch-fid and clean-fid write `mu` and `sigma`, mean and covariance of features. The files may come from
anybody: nothing is unpickled, an array must have the size that its header says, and images are read in parts.
"""

import math
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from ganguard.base.codecs import of_reading, unreadable
from ganguard.base.errors import DataError
from ganguard.base.images import CHANNELS
from ganguard.base.settings import MOST_SIDE, one_line

IMAGES, MEAN, COVARIANCE = "arr_0", "mu", "sigma"
MOST_DIMENSIONS = 8192  # of features: a covariance of 0.5 GB
_PART = 16 << 20  # bytes of images that are read at once
_COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    NotImplementedError,
    SyntaxError,
    MemoryError,
)


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class NpzImages:
    """The images in an archive.

    Attributes:
        path: the archive.
        name: the array's name.
        count: how many images there are.
        shape: (C, H, W) of each.
    """

    path: Path
    name: str
    count: int
    shape: tuple[int, int, int]

    def read(self, rows: Tensor | None = None) -> Iterator[Tensor]:
        """Yield images (n, C, H, W) uint8, in order and in parts: all, or those at ascending places (m,)
        int64. Raises DataError."""
        channels, height, width = self.shape
        taken = torch.ones(self.count, dtype=torch.bool)
        if rows is not None:
            taken = torch.zeros(self.count, dtype=torch.bool)
            taken[rows] = True
        size, start = math.prod(self.shape), 0
        step = max(1, _PART // size)
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{self.name}.npy") as member:
                _header(member)
                while start < self.count:
                    wanted = min(step, self.count - start)
                    content = _exactly(member, wanted * size)
                    part = torch.frombuffer(bytearray(content), dtype=torch.uint8)
                    images = part.view(wanted, height, width, channels).permute(0, 3, 1, 2)
                    if len(chosen := images[taken[start : start + wanted]]):
                        yield chosen.contiguous()
                    start += wanted
        except _DAMAGED as problem:
            raise _damaged(self.path, problem) from None


@dataclass(frozen=True)
class NpzMoments:
    """Mean (D,) and covariance (D, D) of features, float64, as an archive holds them."""

    mean: np.ndarray
    covariance: np.ndarray


def opened_npz(path: Path) -> NpzImages | NpzMoments:
    """Return what an archive holds: images if it has any, otherwise statistics.

    Raises DataError if it holds neither, or is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            headers = {
                member.filename.removesuffix(".npy"): _checked(archive, member, path)
                for member in archive.infolist()
                if member.filename.endswith(".npy")
            }
            images = [name for name, header in headers.items() if len(header.shape) == 4 or name == IMAGES]
            if IMAGES in images or len(images) == 1:
                name = IMAGES if IMAGES in images else images[0]
                return _images(path, name, headers[name])
            if MEAN in headers and COVARIANCE in headers:
                return _moments(path, headers)
    except DataError:
        raise
    except _DAMAGED as problem:
        raise _damaged(path, problem) from None
    held = ", ".join(one_line(name, 40) for name in sorted(headers)[:20]) or "no array"
    raise DataError(
        f"{path}: holds {held}; wanted {IMAGES}, images (N, H, W, C) uint8, or {MEAN} and {COVARIANCE}, mean "
        "and covariance of features. Write the arrays under these names."
    )


def _images(path: Path, name: str, header: _Header) -> NpzImages:
    count, height, width, channels = header.shape if len(header.shape) == 4 else (0, 0, 0, 0)
    if header.dtype != np.uint8 or channels not in CHANNELS or min(height, width) < 1 or count < 1:
        remedy = "Write images.transpose(0, 2, 3, 1) for images (N, C, H, W)"
        if len(header.shape) == 3:
            remedy = "Write images[..., None] for grey images (N, H, W)"
        raise DataError(
            f"{path}: {name} must be images (N, H, W, C) uint8 with C of 1 to 4; got {header.dtype} "
            f"{header.shape}. {remedy}, and levels of 0 to 255 as uint8."
        )
    if max(height, width) > MOST_SIDE:
        raise DataError(f"{path}: images of {width}x{height} pixels; a side may have at most {MOST_SIDE}.")
    if header.fortran and count > 1:
        raise DataError(
            f"{path}: {name} lies in Fortran's order. Write numpy.ascontiguousarray(images) instead."
        )
    return NpzImages(path, name, count, (channels, height, width))


def _moments(path: Path, headers: dict[str, _Header]) -> NpzMoments:
    mean, covariance = headers[MEAN], headers[COVARIANCE]
    width = math.prod(mean.shape)
    if len(mean.shape) != 1 or covariance.shape != (width, width) or not 0 < width <= MOST_DIMENSIONS:
        raise DataError(
            f"{path}: {MEAN} and {COVARIANCE} must be of shapes (D,) and (D, D), D at most "
            f"{MOST_DIMENSIONS:,}; got {mean.shape} and {covariance.shape}."
        )
    if mean.dtype.kind not in "fiu" or covariance.dtype.kind not in "fiu":
        raise DataError(
            f"{path}: {MEAN} and {COVARIANCE} must be real numbers; got {mean.dtype} and {covariance.dtype}."
        )
    with np.load(path, allow_pickle=False) as arrays:
        return NpzMoments(arrays[MEAN].astype(np.float64), arrays[COVARIANCE].astype(np.float64))


def _checked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> _Header:
    """Return the header of an array. Raises DataError unless the member has just the bytes that the header
    says, and is compressed in a way that cannot expand without bound."""
    name = f"{path}: {one_line(member.filename, 80)}"
    if member.compress_type not in _COMPRESSIONS or member.flag_bits & 1:
        raise DataError(f"{name}: its compression cannot be read. Write it with numpy.savez_compressed.")
    with archive.open(member) as opened:
        header = _header(opened)
        start = opened.tell()
    if header.dtype.hasobject:
        raise DataError(f"{name}: Python objects, which would have to be unpickled. Write plain numbers.")
    if any(side < 0 for side in header.shape) or (
        start + math.prod(header.shape) * header.dtype.itemsize != member.file_size
    ):
        raise DataError(f"{name}: damaged: its size is not what its header says. Write it again.")
    return header


def _header(opened: IO[bytes]) -> _Header:
    version = np.lib.format.read_magic(opened)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return _Header(*read(opened))


def _exactly(opened: IO[bytes], size: int) -> bytes:
    content = opened.read(size)
    if len(content) != size:
        raise EOFError("it ends before its last image")
    return content


def _damaged(path: Path, problem: BaseException) -> Exception:
    if isinstance(problem, OSError) and of_reading(problem):
        return unreadable(str(path), problem)
    return DataError(f"{path}: not a NumPy archive that can be read ({one_line(problem, 120)}).")
