"""MNIST's format, idx: grey images in one file and their labels in another, each compressed with gzip or not
(LeCun, Cortes & Burges 1998; EMNIST, KMNIST and Fashion-MNIST have it too).

Numbers are big-endian: two bytes 0, a type (8 is uint8), the number of dimensions, the size of each, and then
the data. A file must have just the bytes that its header says, and a gzip may not claim more than its bytes
can hold, so a small file fills no memory.
"""

import gzip
import math
import zlib
from pathlib import Path
from typing import IO, Any, Literal, cast

import numpy as np
import torch
from pydantic import field_validator
from torch import Tensor

from ganguard.base.cache import content_key
from ganguard.base.codecs import of_reading, unreadable
from ganguard.base.errors import DataError
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import MOST_SIDE, absolute, one_line
from ganguard.data.crops import Size, centre_crop_resize, sides
from ganguard.data.dataset import DatasetSettings, RealImages
from ganguard.data.image_folder import file_state
from ganguard.data.room import room

UINT8 = 8
GZIP = b"\x1f\x8b"
MOST_EXPANDED = 1032  # bytes that a byte of gzip can stand for
PART = 16 << 20  # bytes that are read at once


class IdxImages(DatasetSettings):
    """The images of an idx file, such as `train-images-idx3-ubyte.gz`, in their order, in grey.

    Attributes:
        path: the file, kept as an absolute path.
        labels: the file of the labels. None takes the one beside it whose name says `labels` and `idx1` where
            the images' says `images` and `idx3`, if there is one.
        size: side in pixels, or WIDTHxHEIGHT, as that of image folders. None takes the
            images as they are.
    """

    kind: Literal["idx"] = "idx"
    path: str
    labels: str | None = None
    size: Size | None = None

    @field_validator("path", "labels")
    @classmethod
    def _absolute(cls, path: str | None) -> str | None:
        return None if path is None else absolute(path)

    def own_shape(self) -> tuple[int, int, int] | None:
        """Return (1, H, W) if there is a size; None otherwise."""
        return None if self.size is None else (1, *sides(self.size))

    def fingerprint(self) -> str:
        """Return a text that changes with the files' paths, sizes or times of change. Raises DataError if one
        is absent."""
        return content_key(files=[file_state(file) for file in self._files()])

    def load(self, progress: Progress = silent) -> RealImages:
        """Return all images (N, 1, H, W), with labels if their file holds two or more. Raises DataError."""
        path, *beside = self._files()
        images = _read(path, 3)[:, None]
        if self.size is not None:
            images = _resized(images, self.size, progress)
        progress(len(images), len(images), "idx")
        if not beside:
            return RealImages(images, None, ())
        found = _read(beside[0], 1)
        if len(found) != len(images):
            raise DataError(
                f"{beside[0]}: {len(found):,} labels, but {path.name} has {len(images):,} images. Give the "
                "files of one set."
            )
        known = found.unique()
        if len(known) < 2:
            return RealImages(images, None, ())
        return RealImages(
            images, torch.searchsorted(known, found), tuple(str(label) for label in known.tolist())
        )

    def _files(self) -> list[Path]:
        """Return the file of the images and, if there is one, that of the labels."""
        path = Path(self.path)
        if self.labels is not None:
            return [path, Path(self.labels)]
        name = path.name.replace("images", "labels").replace("idx3", "idx1")
        names = (name, name.removesuffix(".gz"), f"{name}.gz") if name != path.name else ()
        return [path, *[path.with_name(name) for name in names if path.with_name(name).is_file()][:1]]


def _resized(images: Tensor, size: int | str, progress: Progress) -> Tensor:
    resized = room(len(images), (1, *sides(size)), "idx")
    for number, image in enumerate(images):
        resized[number] = centre_crop_resize(image, size)
        if number % 1000 == 999:
            progress(number + 1, len(images), "resizing")
    return resized


def _read(path: Path, dimensions: int) -> Tensor:
    """Return the content of an idx file of uint8 with that many dimensions. Raises DataError."""
    try:
        with path.open("rb") as raw:
            size, zipped = path.stat().st_size, raw.read(2) == GZIP
            raw.seek(0)
            if zipped:
                with gzip.open(raw) as opened:
                    return _content(cast(IO[bytes], opened), dimensions, path, most=size * MOST_EXPANDED)
            return _content(raw, dimensions, path, most=size)
    except (OSError, EOFError, zlib.error) as problem:
        if isinstance(problem, OSError) and of_reading(problem):
            raise unreadable(str(path), problem) from None
        raise DataError(f"{path}: damaged ({one_line(problem, 120)}). Copy it again.") from None


def _content(opened: IO[bytes], dimensions: int, path: Path, most: int) -> Tensor:
    head = opened.read(4 + 4 * dimensions)
    if not head:
        raise DataError(f"{path}: empty. Copy it again.")
    if head[:4] != bytes((0, 0, UINT8, dimensions)) or len(head) < 4 + 4 * dimensions:
        what = "images (idx3)" if dimensions == 3 else "labels (idx1)"
        raise DataError(
            f"{path}: not an idx file of {what} in bytes: it must begin with 0, 0, {UINT8}, {dimensions}; it "
            f"begins with {', '.join(map(str, head[:4]))}. Give another file."
        )
    shape = tuple(int(side) for side in np.frombuffer(head[4:], ">u4"))
    count, sides, wanted = shape[0], shape[1:], math.prod(shape)
    if count == 0 or not all(0 < side <= MOST_SIDE for side in sides):
        raise DataError(
            f"{path}: {count:,} entries of {'x'.join(map(str, sides)) or 'a byte'}; there must be some, of 1 "
            f"to {MOST_SIDE} pixels a side. Copy it again."
        )
    if wanted > most:
        raise DataError(f"{path}: claims {wanted:,} bytes, more than it can hold: cut short. Copy it again.")
    content = room(count, (1, *(sides or (1, 1))), str(path))
    into, held = cast(Any, content.view(-1).numpy()).data, 0
    while held < wanted:
        part = opened.read(min(PART, wanted - held))
        if not part:
            raise EOFError(f"{held:,} of {wanted:,} bytes")
        into[held : held + len(part)] = part
        held += len(part)
    if opened.read(1):
        raise DataError(f"{path}: holds more than the {wanted:,} bytes that its header says. Copy it again.")
    return content.view(shape)
