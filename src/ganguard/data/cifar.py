"""CIFAR-10 and CIFAR-100: 60,000 colour photographs each, 32x32 pixels, in 10 and in 100 classes (Krizhevsky
2009).

The official binary batches are read, from a folder, from the archive that they are published in, or from that
archive after a download. The archive with pickles, which has the same images, is refused.
"""

import tarfile
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import numpy as np
import torch
from pydantic import Field, field_validator, model_validator

from ganguard.base.cache import cache_directory, content_key
from ganguard.base.codecs import of_reading, unreadable
from ganguard.base.download import download
from ganguard.base.errors import DataError
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import absolute, one_line
from ganguard.data.dataset import DatasetSettings, RealImages
from ganguard.data.image_folder import file_state
from ganguard.data.room import room

R = TypeVar("R")
SIDE = 32  # pixels
PIXELS = 3 * SIDE * SIDE  # bytes of an image: its red, its green, its blue
SITE = "https://www.cs.toronto.edu/~kriz/"
PIECE = 1 << 20  # bytes that are read at once
MOST = 1 << 28  # bytes of a file; the largest has 154 million


@dataclass(frozen=True)
class CifarLayout:
    """How a set is published.

    Attributes:
        archive: name of the archive.
        sha256: its SHA-256.
        size: its bytes.
        train, test: names of the files.
        labels: for each byte that precedes an image, what it numbers, how many there are, and the file of
            their names.
    """

    archive: str
    sha256: str
    size: int
    train: tuple[str, ...]
    test: tuple[str, ...]
    labels: dict[str, tuple[int, str]]


LAYOUTS = {
    "cifar10": CifarLayout(
        "cifar-10-binary.tar.gz",
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        170_052_171,
        tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        ("test_batch.bin",),
        {"fine": (10, "batches.meta.txt")},
    ),
    "cifar100": CifarLayout(
        "cifar-100-binary.tar.gz",
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        168_513_733,
        ("train.bin",),
        ("test.bin",),
        {"coarse": (20, "coarse_label_names.txt"), "fine": (100, "fine_label_names.txt")},
    ),
}


class Cifar(DatasetSettings):
    """The photographs, in the order of their files.

    Attributes:
        set: "cifar10" or "cifar100".
        path: the folder of the batches (`data_batch_1.bin` ... and `test_batch.bin`, or `train.bin` and
            `test.bin`), or the archive that holds them; kept as an absolute path. None takes the archive in
            the user's cache, and downloads it if it is not there.
        part: "train" for the 50,000 photographs to train with, "test" for the other 10,000, "all" for both.
        labels: "fine" for the 10 or 100 classes, "coarse" for CIFAR-100's 20.
        url: where to download the archive, if not from its authors' site. Its SHA-256 must be the published
            one.
    """

    kind: Literal["cifar"] = "cifar"
    set: Literal["cifar10", "cifar100"] = "cifar10"
    path: str | None = None
    part: Literal["train", "test", "all"] = "train"
    labels: Literal["fine", "coarse"] = "fine"
    url: Annotated[str, Field(pattern=r"^https?://", max_length=2000)] | None = None

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str | None) -> str | None:
        return None if path is None else absolute(path)

    @model_validator(mode="after")
    def _fits(self) -> "Cifar":
        if self.labels not in LAYOUTS[self.set].labels:
            raise ValueError(f"labels {self.labels} are CIFAR-100's; got set {self.set}")
        if self.path is not None and self.url is not None:
            raise ValueError("set path or url, not both")
        return self

    def own_shape(self) -> tuple[int, int, int]:
        """Return (3, 32, 32)."""
        return 3, SIDE, SIDE

    def fingerprint(self) -> str:
        """Return a text that changes with the files' paths, sizes or times of change; of the download, its
        SHA-256, which nothing is downloaded for. Raises DataError if they are absent."""
        if self.path is None:
            return LAYOUTS[self.set].sha256
        path = Path(self.path)
        if not path.is_dir():
            return content_key(files=[file_state(path)])
        for name in self._names():
            self._require(lambda name: True if (path / name).is_file() else None, name)
        return content_key(files=[file_state(path / name) for name in self._names()])

    def load(self, progress: Progress = silent) -> RealImages:
        """Return the photographs (N, 3, 32, 32) uint8, with labels (N,) unless all are of one class.

        Raises DataError if the files are absent, damaged, or of another set, or cannot be downloaded.
        """
        with self._opened(progress) as read:
            columns = list(LAYOUTS[self.set].labels)
            records = [
                _records(self._require(read, name), len(columns), f"{self._place()}: {name}")
                for name in self._names()
            ]
            names = _names_of(read(LAYOUTS[self.set].labels[self.labels][1]))
        images = room(sum(map(len, records)), self.own_shape(), self._place())
        pixels = images.view(-1, PIXELS).numpy()  # the same memory
        np.concatenate([found[:, len(columns) :] for found in records], out=pixels)
        numbers = np.concatenate([found[:, columns.index(self.labels)] for found in records])
        progress(len(images), len(images), self.set)
        return self._labelled(images, torch.from_numpy(numbers).long(), names)

    def _labelled(self, images: torch.Tensor, numbers: torch.Tensor, names: list[str]) -> RealImages:
        """Return images with their classes' names, or their numbers if the names are not there."""
        count, _ = LAYOUTS[self.set].labels[self.labels]
        known = numbers.unique()
        if int(known[-1]) >= count:
            raise DataError(
                f"{self._place()}: a label is {int(known[-1])}, but {self.set} has {count} classes. Set "
                "`set` to the data set that these files are of, or copy them again."
            )
        if len(known) < 2:
            return RealImages(images, None, ())
        said = names if len(names) == len(set(names)) == count else list(map(str, range(count)))
        classes = tuple(said[number] for number in known.tolist())
        return RealImages(images, torch.searchsorted(known, numbers), classes)

    def _names(self) -> tuple[str, ...]:
        """Return the names of the files that are read."""
        layout = LAYOUTS[self.set]
        return {"train": layout.train, "test": layout.test, "all": layout.train + layout.test}[self.part]

    def _place(self) -> str:
        return self.set if self.path is None else one_line(self.path, 200)

    def _require(self, read: Callable[[str], R | None], name: str) -> R:
        """Return what `read` gives for the name of a file. Raises DataError if that is None: it is absent."""
        if (found := read(name)) is not None:
            return found
        pickles = read(name.removesuffix(".bin")) is not None
        other = next((kind for kind in LAYOUTS if kind != self.set and read(LAYOUTS[kind].train[0])), None)
        why = ", but the version for Python, whose pickles are not read" if pickles else ""
        why = f", but the batches of {other}: set `set: {other}`" if other and not pickles else why
        raise DataError(
            f"{self._place()}: holds no {name}{why}. Give {LAYOUTS[self.set].archive}, or the folder that it "
            "unpacks to."
        )

    @contextmanager
    def _opened(self, progress: Progress) -> "Generator[Read]":
        """Give a function that returns the content of a file."""
        path = self._downloaded(progress) if self.path is None else Path(self.path)
        try:
            if path.is_dir():
                yield lambda name: _of_folder(path / name)
                return
            with tarfile.open(path) as archive:
                members = {Path(member.name).name: member for member in archive if member.isfile()}
                yield lambda name: _of_archive(archive, members.get(name), path)
                while archive.fileobj and archive.fileobj.read(PIECE):
                    pass  # gzip tells at its end alone whether what was read is what was packed
        except (OSError, EOFError, zlib.error, tarfile.TarError) as problem:
            if isinstance(problem, OSError) and of_reading(problem):
                raise unreadable(str(path), problem) from None
            raise DataError(
                f"{one_line(path, 200)}: no folder of CIFAR's binary batches, and no whole archive of them "
                f"({one_line(problem, 120)}). Give {LAYOUTS[self.set].archive}, or the folder that it "
                "unpacks to."
            ) from None

    def _downloaded(self, progress: Progress) -> Path:
        layout = LAYOUTS[self.set]
        kept = cache_directory() / "datasets" / layout.archive
        url = self.url or SITE + layout.archive
        return download(url, kept, layout.sha256, layout.size, error=DataError, progress=progress)


Read = Callable[[str], bytes | None]
"""Returns the content of a file by its name; None if there is no such file. Raises DataError if it is too
large for one of CIFAR's."""


def _of_folder(file: Path) -> bytes | None:
    if not file.is_file():
        return None
    _require_small(file.stat().st_size, file)
    return file.read_bytes()


def _of_archive(archive: tarfile.TarFile, member: tarfile.TarInfo | None, path: Path) -> bytes | None:
    opened = None if member is None else archive.extractfile(member)
    if member is None or opened is None:
        return None
    _require_small(member.size, path)
    return opened.read()


def _require_small(size: int, file: Path) -> None:
    if size > MOST:
        raise DataError(
            f"{one_line(file, 200)}: holds a file of {size:,} bytes, too large for one of CIFAR's. Give "
            "another."
        )


def _records(content: bytes, labels: int, name: str) -> np.ndarray:
    """Return the records of a file (N, labels + 3072) uint8."""
    size = labels + PIXELS
    if not content or len(content) % size:
        raise DataError(
            f"{name}: {len(content):,} bytes are no whole number of records of {size:,} bytes. Copy "
            "it again, or set `set` to the data set that it is of."
        )
    return np.frombuffer(content, np.uint8).reshape(-1, size)


def _names_of(content: bytes | None) -> list[str]:
    """Return the lines of a file of class names that say something; [] for a file that is not there."""
    return [line.strip() for line in (content or b"").decode("utf-8", "replace").splitlines() if line.strip()]
