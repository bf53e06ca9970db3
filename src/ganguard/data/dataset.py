"""What a data set is: frozen settings that can load themselves."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, cast

import torch
from pydantic import BeforeValidator, SerializeAsAny
from torch import Tensor

from ganguard.base.cache import tensor_digest
from ganguard.base.errors import DataError
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import Settings
from ganguard.data import DATASETS


@dataclass(frozen=True)
class Skipped:
    """Images that could not be read and were left out: how many, and name and reason of the first of them."""

    count: int
    listed: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class RealImages:
    """Images (N, C, H, W) uint8; labels (N,) int64, or None; the names of the classes in label order.

    groups: (N,) int64, numbered from 0; images of one group, such as crops of one photograph, are not
        independent, and go to the same split. None where every image stands for itself.
    indices: (N,) int64, the images' numbers in a larger data set that they are chosen from, whose split they
        keep. None where they are all of it.
    skipped: bad images of the data set that are not among these; None where there were none.

    The images may be a map of a file that is larger than memory: they are read a few at a time, and not
    written to.
    """

    images: Tensor
    labels: Tensor | None
    classes: tuple[str, ...]
    groups: Tensor | None = None
    indices: Tensor | None = None
    skipped: Skipped | None = None

    def digest(self) -> str:
        """SHA-256 of the images, labels and groups."""
        parts = {"images": self.images, "labels": self.labels, "groups": self.groups}
        return tensor_digest({name: part for name, part in parts.items() if part is not None})


class DatasetSettings(Settings):
    """Base of a data set's settings; `kind` is its name in the table."""

    kind: str


class Dataset(Protocol):
    """What every data set's settings can do."""

    def fingerprint(self) -> str: ...
    def load(self, progress: Progress = silent) -> RealImages: ...


def parse_dataset(value: object) -> DatasetSettings:
    """A name ("digits") or a mapping with `kind` to the settings of that data set. Raises SpecError."""
    return value if isinstance(value, DatasetSettings) else DATASETS.parse(value)


DatasetField = Annotated[SerializeAsAny[DatasetSettings], BeforeValidator(parse_dataset)]


def fingerprint(settings: DatasetSettings) -> str:
    """Changes whenever what `load_dataset` would read may have changed; cheap. Raises DataError."""
    return cast(Dataset, settings).fingerprint()


def load_dataset(settings: DatasetSettings, progress: Progress = silent) -> RealImages:
    """Read the images that `settings` describe. Raises DataError."""
    return cast(Dataset, settings).load(progress)


def room_for(count: int, image_shape: Sequence[int], name: str) -> Tensor:
    """Memory for `count` images: (count, C, H, W) uint8, to be filled. Raises DataError where this machine
    has not as much."""
    needed, there = count * math.prod(image_shape), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        if needed <= there:
            return torch.empty(count, *image_shape, dtype=torch.uint8)
    except RuntimeError:  # torch's word for memory that is not to be had
        pass
    channels, height, width = image_shape
    raise DataError(
        f"{name}: {count:,} images of {width}x{height} pixels and {channels} channels take "
        f"{needed / 1e9:,.0f} GB; this machine has {there / 1e9:,.0f} GB of memory. Take fewer or smaller "
        "images."
    )
