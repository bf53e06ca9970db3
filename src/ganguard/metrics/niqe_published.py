"""NIQE models published by others: the authors' own, and that of BasicSR.

Nothing is unpickled, and the files are not trusted.
"""

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganguard.base.errors import CheckpointError, MetricError
from ganguard.base.settings import one_line
from ganguard.metrics.arrays import as_path
from ganguard.metrics.niqe import PUBLISHED_BLOCK, NiqeModel, require_block_size
from ganguard.metrics.piqe import window

PUBLISHED_NAMES = ("mu_prisparam", "mu_pris_param", "cov_prisparam", "cov_pris_param", "gaussian_window")
DAMAGED = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    EOFError,
    SyntaxError,
)
DAMAGED_INSIDE = (zlib.error, zipfile.BadZipFile, tokenize.TokenError)  # subclasses of none of the above
MOST_BYTES = 1 << 20  # read of a MATLAB file, and unpacked from it; the published one has 10,000
MAT_NUMBERS = {1: "<i1", 2: "<u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8"}


def load_published_niqe(path: Path | str, *, block_size: int = PUBLISHED_BLOCK) -> NiqeModel:
    """Load a published model: the authors' `modelparameters.mat`, or `niqe_pris_params.npz` of BasicSR.

    Nothing is unpickled. Raises CheckpointError if the file is absent, of another format, or holds no such
    model, and MetricError for an unsuitable block size.

    Args:
        path: the file; one that ends in .npz is read as NumPy's format, any other as MATLAB's.
        block_size: side in pixels of the blocks that the model was made from, which the file does not say; 96
            for both of these models.
    """
    block_size, path = require_block_size(block_size), as_path(path)
    try:
        arrays = _read_npz(path) if path.suffix == ".npz" else _read_mat(path)
        if "gaussian_window" in arrays:
            _require_our_window(arrays["gaussian_window"])
        mean, covariance = (_one_of(arrays, name) for name in ("mu", "cov"))
        return NiqeModel(mean.flatten(), covariance, block_size)
    except (*DAMAGED, *DAMAGED_INSIDE, MetricError) as problem:
        raise CheckpointError(
            f"{path}: not a published NIQE model ({one_line(problem, 160)}). Download it again."
        ) from None


def _read_npz(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in PUBLISHED_NAMES if name in arrays}


def _read_mat(path: Path) -> dict[str, Any]:
    """Return the plain arrays of a MATLAB 5 file.

    The published format is read here, since SciPy's reader crashes Python on a damaged file.
    """
    with path.open("rb") as file:
        content = file.read(MOST_BYTES)
    if content[124:128] != b"\0\1IM":
        raise ValueError("it must be a little-endian MATLAB 5 file")
    arrays: dict[str, Any] = {}
    for kind, payload in _mat_elements(content[128:]):
        if kind == 15:  # compressed
            kind, payload = next(
                _mat_elements(zlib.decompressobj().decompress(payload, MOST_BYTES)), (0, b"")
            )
        if kind == 14:  # an array: flags, dimensions, name, and its numbers, column by column
            (_, flags), (_, shape), (_, name), (number, values) = list(_mat_elements(payload))[:4]
            if flags[0] == 6 and number in MAT_NUMBERS:  # doubles, stored in the smallest type that fits
                arrays[name.decode()] = np.frombuffer(values, MAT_NUMBERS[number]).reshape(
                    np.frombuffer(shape, "<i4"), order="F"
                )
    return arrays


def _mat_elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and content of each element.

    The tag of 8 bytes either holds up to 4 bytes of content itself, or precedes the content.
    """
    place = 0
    while place + 8 <= len(data):
        kind, size = struct.unpack_from("<II", data, place)
        if kind >> 16:
            yield kind & 0xFFFF, data[place + 4 : place + 4 + (kind >> 16)]
            place += 8
        else:
            yield kind, data[place + 8 : place + 8 + size]
            place += 8 + size + (0 if kind == 15 else -size % 8)


def _one_of(arrays: dict[str, Any], name: str) -> Tensor:
    """Return the array under the authors' name for it, or under BasicSR's."""
    known = [known for known in PUBLISHED_NAMES if known.startswith(name)]
    found = [key for key in known if key in arrays]
    if not found:
        raise ValueError(f"it must hold {' or '.join(known)}")
    return torch.from_numpy(np.array(arrays[found[0]], dtype=np.float64))


def _require_our_window(theirs: Any) -> None:
    """Raise ValueError if a model was made with another Gaussian window than ours."""
    ours = np.outer(window(), window())
    if np.shape(theirs) != ours.shape or not np.allclose(theirs, ours, atol=1e-6):
        raise ValueError("it was made with another Gaussian window than 7x7, sigma 7/6")
