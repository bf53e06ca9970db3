"""The data set interface: frozen settings that can load their images."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Protocol, cast

from pydantic import BeforeValidator, Field, SerializeAsAny
from torch import Tensor

from ganguard.base.cache import tensor_digest
from ganguard.base.errors import SpecError
from ganguard.base.labels import Labels
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import MOST_SIDE, Positive, Sparse, shortened
from ganguard.data import DATASETS
from ganguard.data.pooling import pooled, pooled_shape


@dataclass(frozen=True)
class Skipped:
    """Images that could not be read and were left out.

    Attributes:
        count: how many.
        listed: name and reason of the first of them.
    """

    count: int
    listed: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class RealImages:
    """The images of a data set.

    The images may be a map of a file that is larger than memory: they are read a few at a time, and never
    written to.

    Attributes:
        images: (N, C, H, W) uint8.
        labels: (N,) int64, or None.
        classes: names of the classes, in the order of the labels.
        groups: (N,) int64, numbered from 0. Images of one group, such as crops of one photograph, are not
            independent and go to the same split. None if every image is a group of its own.
        held_out: (N,) bool, the images that are the reference split, if the data set decides that itself;
            None if it is chosen by a hash.
        indices: (N,) int64, the images' numbers in the larger data set that they were chosen from, whose
            split they keep. None if they are all of it.
        skipped: bad images of the data set that are not among these; None if there were none.
        names: name of each image within the set, by which it can be paired with one of another set; None if
            images are known by their place alone.
        stray: how many hidden files, and files of operating systems, were left out.
        made_rgb: how many of the images are grey in their files, and were made RGB because others have
            colour.
        decided: what was decided about files and folders that can be taken in several ways, a sentence each,
            and what decides otherwise.
    """

    images: Tensor
    labels: Tensor | None
    classes: tuple[str, ...]
    groups: Tensor | None = None
    held_out: Tensor | None = None
    indices: Tensor | None = None
    skipped: Skipped | None = None
    names: tuple[str, ...] | None = None
    stray: int = 0
    made_rgb: int = 0
    decided: tuple[str, ...] = ()

    def labels_of(self, rows: Tensor) -> Labels | None:
        """Return the classes of some images; None if the data set has none."""
        return None if self.labels is None else Labels(self.labels[rows], self.classes)

    def digest(self) -> str:
        """Return the SHA-256 of the images, labels and groups, and of which are held out."""
        parts = {"images": self.images, "labels": self.labels, "groups": self.groups}
        parts |= {"held_out": self.held_out}
        return tensor_digest({name: part for name, part in parts.items() if part is not None})


class DatasetSettings(Sparse):
    """Base of a data set's settings; `kind` is its name in the table.

    Attributes:
        pool: the mean of each square of so many pixels a side is one pixel of what is loaded. 1 leaves images
            as they are. Their sides must be multiples of it.
    """

    unsaid: ClassVar[frozenset[str]] = frozenset({"pool"})
    kind: str
    pool: Annotated[Positive, Field(le=MOST_SIDE)] = 1

    def own_shape(self) -> tuple[int, int, int] | None:
        """Return (C, H, W) of the images before they are pooled, if that can be told without reading one."""
        return None

    def image_shape(self) -> tuple[int, int, int] | None:
        """Return (C, H, W) of the images, if that can be told without reading one. Raises DataError if `pool`
        does not divide its sides."""
        own = self.own_shape()
        return None if own is None else pooled_shape(own, self.pool, self.kind)


class Dataset(Protocol):
    """What every data set's settings can do."""

    def fingerprint(self) -> str: ...
    def load(self, progress: Progress = silent) -> RealImages: ...


def parse_dataset(value: object) -> DatasetSettings:
    """Return the settings of a data set from its name ("digits"), from the path of its files, or from a
    mapping with `kind`. Raises SpecError."""
    if isinstance(value, str) and value not in DATASETS.table():
        from ganguard.data.at_path import kind_at, not_found  # imports the kinds, which import this

        if not value.strip() or (kind := kind_at(Path(value).expanduser())) is None:
            raise SpecError(not_found(value))
        value = {"kind": kind, "path": value}
    if isinstance(value, Mapping) and "kind" not in value:
        raise SpecError(
            "unknown data set: its mapping must have the key `kind`, such as {kind: image_folder, path: x}, "
            f"with a space after each colon; got {shortened(dict(cast(Mapping[str, object], value)))}."
        )
    return value if isinstance(value, DatasetSettings) else DATASETS.parse(value)


def _under_a_key(value: object) -> DatasetSettings:
    """Return the settings of a data set that a key of a spec names.

    Raises ValueError, before which the key is put, if a text names nothing, and SpecError as `parse_dataset`.
    """
    try:
        return parse_dataset(value)
    except SpecError as problem:
        if isinstance(value, str):
            raise ValueError(str(problem)) from None
        raise


DatasetField = Annotated[SerializeAsAny[DatasetSettings], BeforeValidator(_under_a_key)]


def fingerprint(settings: DatasetSettings) -> str:
    """Return a text that changes whenever what `load_dataset` would read may have changed. It is cheap to
    compute. Raises DataError."""
    return cast(Dataset, settings).fingerprint()


def load_dataset(settings: DatasetSettings, progress: Progress = silent) -> RealImages:
    """Read the images that `settings` describe, and pool them. Raises DataError."""
    settings.image_shape()  # what cannot be pooled is refused before it is read, where it can be told
    real = cast(Dataset, settings).load(progress)
    return (
        real
        if settings.pool == 1
        else replace(real, images=pooled(real.images, settings.pool, settings.kind))
    )
