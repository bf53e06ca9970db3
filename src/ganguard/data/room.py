"""Room for images: in memory, or for sets that are large for it in a file without a name."""

import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ganguard.base.errors import DataError
from ganguard.base.images import room_for
from ganguard.data.cache_place import cache_place

MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
MOST_HELD = MEMORY // 4
"""Bytes of images that are held in memory: a quarter of it."""


def room(count: int, shape: Sequence[int], name: str, *, claimed: bool = True) -> Tensor:
    """Return uninitialised room for `count` images, (count, C, H, W) uint8, to be written and read.

    If they have more than MOST_HELD bytes, it is a map of a file beside the image cache, or in the directory
    for temporary files if there is no cache. The file has no name, and ends with the tensor.

    Args:
        count: how many images there are to be.
        shape: (C, H, W) of each.
        name: what a message calls them.
        claimed: whether only a file says how many there are. Then there may be no more than memory could
            hold, so that a false claim fills no disk.

    Raises:
        DataError: there is no such room.
    """
    size = count * math.prod(shape)
    if size <= MOST_HELD or (claimed and size > MEMORY):
        return room_for(count, shape, name)
    place = cache_place() or Path(tempfile.gettempdir())
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place, prefix=".images.") as file:
            if reserve := getattr(os, "posix_fallocate", None):  # absent on macOS
                # Without it, a disk that runs full would end the process when a page is written.
                reserve(file.fileno(), 0, size)
            return torch.from_file(file.name, shared=True, size=size, dtype=torch.uint8).view(count, *shape)
    except (OSError, RuntimeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "it cannot be mapped"
        raise DataError(
            f"{name}: {count:,} images take {size / 1e9:,.1f} GB, too much for memory, and a file of that "
            f"size cannot be made in {place} ({reason}). Make room there, set GANGUARD_IMAGE_CACHE or TMPDIR "
            "to another directory, or take fewer or smaller images."
        ) from None
