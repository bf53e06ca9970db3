"""A cache of decoded images, kept as raw bytes on disk and mapped into memory, so that a million images need
not fit in memory.

An entry is a directory that is named by a key of all that its pixels depend on. It holds `images`, the bytes
of (N, C, H, W); `labels`, int64, and `names`, with a NUL between two, if there are any; and
`description.json`. It appears by rename, so several processes may make the same entry; the first one to
finish wins. Entries lie in $GANGUARD_IMAGE_CACHE, by
default in $XDG_CACHE_HOME/ganguard/images or ~/.cache/ganguard/images; `off` keeps none. Removing the
directory clears the cache.
"""

import hashlib
import json
import math
import mmap
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ganguard.base.cache import TEMPORARY, file_digest, publish_directory
from ganguard.base.errors import DataError
from ganguard.base.settings import Positive, Settings, read_record
from ganguard.data.cache_place import cache_place
from ganguard.data.dataset import RealImages, Skipped

SMALLEST_KEPT = 32 << 20  # bytes; a smaller set is decoded in a second or two, and fits any memory
BLOCK, BLOCKS = 1 << 16, 64  # bytes of a piece, and number of pieces, that are checked on opening an entry
LABEL = "<i8"  # type of a label on disk
_NAMES = ("utf-8", "surrogateescape")  # names of files need not be UTF-8
_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)


class Entry(Settings):
    """The content of an entry's description.json.

    Attributes:
        shape: (N, C, H, W) of the images.
        labelled: whether there is a file of labels.
        classes: names of the classes.
        skipped: how many bad images were left out.
        listed: name and reason of the first of them.
        named: whether there is a file of names.
        made_rgb: how many grey images were made RGB.
        decided: what was decided when they were decoded, a sentence each.
        checked: SHA-256 of the labels and names, and of evenly spaced pieces of the images.
    """

    shape: tuple[Positive, Positive, Positive, Positive]
    labelled: bool
    classes: tuple[str, ...]
    skipped: Annotated[int, Field(ge=0)]
    listed: tuple[tuple[str, str], ...]
    named: bool
    made_rgb: Annotated[int, Field(ge=0)]
    decided: tuple[str, ...]
    checked: str


def worth_keeping(count: int, shape: tuple[int, ...]) -> bool:
    """Return whether a set of `count` images (C, H, W) is large enough to keep, and the cache is on."""
    return cache_place() is not None and count * math.prod(shape) >= SMALLEST_KEPT


def cached_images(key: str) -> RealImages | None:
    """Return the images that were kept under `key`, or None. A damaged entry is removed and gives None
    too."""
    place = cache_place()
    if place is None or not (place / key).is_dir():
        return None
    try:
        return _opened(place / key)
    except (DataError, OSError, ValueError):
        with suppress(OSError):  # another process removed it already, or this user may not change the cache
            doomed = Path(tempfile.mkdtemp(dir=place, suffix=TEMPORARY))
            (place / key).rename(doomed / key)  # renamed as a whole, so that nobody opens half of it
            shutil.rmtree(doomed, ignore_errors=True)
        return None


def keep_images(
    key: str,
    shape: tuple[int, ...],
    images: Iterable[Tensor],
    described: Callable[[Tensor], RealImages],
    name: str,
) -> RealImages:
    """Write images under `key` and return them mapped into memory.

    Args:
        key: name of the entry.
        shape: (C, H, W) of every image.
        images: images (C, H, W) uint8.
        described: adds labels to the images once all are written.
        name: name of the data set in messages.

    Raises:
        DataError: the images cannot be written.
    """
    place = cache_place()
    if place is None:
        raise ValueError("no image cache")
    try:
        place.mkdir(parents=True, exist_ok=True)
        directory = Path(tempfile.mkdtemp(dir=place, prefix=f".{key[:16]}.", suffix=TEMPORARY))
    except OSError as problem:
        raise _cannot(name, place, problem) from None
    try:
        count = 0
        with (directory / "images").open("wb", buffering=1 << 20) as file:
            for image in images:
                file.write(image.numpy().data)
                count += 1
        _describe(directory, described(_mapped(directory / "images", (count, *shape))))
        publish_directory(directory, place / key)
    except OSError as problem:
        raise _cannot(name, place, problem) from None
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return _opened(place / key)


def _cannot(name: str, place: Path, problem: OSError) -> DataError:
    return DataError(
        f"{name}: its decoded images cannot be written to {place} ({problem.strerror}). Make room there, or "
        f"set GANGUARD_IMAGE_CACHE to another directory, or to off."
    )


def _describe(directory: Path, real: RealImages) -> None:
    skipped = real.skipped or Skipped(0, ())
    if real.labels is not None:
        (directory / "labels").write_bytes(real.labels.numpy().astype(LABEL).tobytes())
    if real.names is not None:
        (directory / "names").write_bytes("\0".join(real.names).encode(*_NAMES))
    content = {
        "shape": tuple(real.images.shape),
        "labelled": real.labels is not None,
        "classes": real.classes,
        "skipped": skipped.count,
        "listed": skipped.listed,
        "named": real.names is not None,
        "made_rgb": real.made_rgb,
        "decided": real.decided,
        "checked": _checked(directory),
    }
    (directory / "description.json").write_text(json.dumps(content))


def _opened(directory: Path) -> RealImages:
    entry = read_record(directory / "description.json", Entry, DataError)
    size = (directory / "images").stat().st_size
    if size != math.prod(entry.shape) or _checked(directory) != entry.checked:
        raise DataError(f"{directory}: damaged.")
    return RealImages(
        _mapped(directory / "images", entry.shape),
        torch.from_numpy(np.fromfile(directory / "labels", LABEL).astype(np.int64))
        if entry.labelled
        else None,
        entry.classes,
        skipped=Skipped(entry.skipped, entry.listed) if entry.skipped else None,
        names=tuple((directory / "names").read_bytes().decode(*_NAMES).split("\0")) if entry.named else None,
        made_rgb=entry.made_rgb,
        decided=entry.decided,
    )


def _checked(directory: Path) -> str:
    others = (directory / name for name in ("labels", "names"))
    digest = hashlib.sha256("".join(file_digest(file) for file in others if file.is_file()).encode())
    size = (directory / "images").stat().st_size
    with (directory / "images").open("rb") as opened:
        for piece in range(BLOCKS):
            opened.seek(max(0, size - BLOCK) * piece // (BLOCKS - 1))
            digest.update(opened.read(BLOCK))
    return digest.hexdigest()


def _mapped(file: Path, shape: tuple[int, ...]) -> Tensor:
    """Map a file as a tensor of images. Pages are read when they are used, and changes of the tensor never
    reach the file."""
    with file.open("rb") as opened:
        # The map may be larger than memory, so the system must not reserve memory for all of it.
        private = mmap.MAP_PRIVATE | _NO_RESERVE
        mapped = mmap.mmap(opened.fileno(), math.prod(shape), private, mmap.PROT_READ | mmap.PROT_WRITE)
    return torch.frombuffer(mapped, dtype=torch.uint8).view(shape)
