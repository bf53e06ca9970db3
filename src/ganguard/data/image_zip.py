"""A zip file of images, read where it lies: labels as StyleGAN's dataset.json says, or else folders as
classes.

Nothing is unpacked to disk, so that names lead nowhere. What a member says of its size is looked at before it
is read, and only compressions are taken that cannot blow it up more than about a thousandfold.
"""

import re
import threading
import zipfile
import zlib
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

from ganguard.base.cache import content_key
from ganguard.base.codecs import of_reading, unreadable
from ganguard.base.errors import DataError
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import one_line
from ganguard.data.dataset import RealImages
from ganguard.data.dataset_json import LABELS, said_labels
from ganguard.data.encoded import (
    SUFFIXES,
    Encoded,
    EncodedImages,
    Found,
    folder_class,
    load_encoded,
    named_as_image,
)
from ganguard.data.image_folder import file_state

MOST_BYTES = 256 << 20  # of one member, unpacked
CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f]"
)  # and no other: names have spaces of many widths, and emoji that are joined
COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
ENCRYPTED = 1  # bit of a member's flags


class ImageZip(EncodedImages):
    """Every image in the zip file at `path`, in the order of its name.

    A `dataset.json` says the classes, or that there are none, as StyleGAN2-ADA's dataset_tool writes it;
    without one, the first folders of the names are classes.
    """

    kind: Literal["image_zip"] = "image_zip"

    def fingerprint(self) -> str:
        """Changes with the file's path, size or times of change. Raises DataError where there is none."""
        return content_key(file=file_state(Path(self.path)))

    def load(self, progress: Progress = silent) -> RealImages:
        """All images, and the labels where there are two or more classes. Raises DataError."""
        return load_encoded(self, self.fingerprint(), self._opened, progress)

    @contextmanager
    def _opened(self) -> Generator[Found]:
        with ExitStack() as stack:
            archive = _Archive(Path(self.path), stack)
            members = _members(archive)
            labels = _labels(archive, {member.filename for member in members})
            images = [
                Encoded(
                    f"{self.path}: {one_line(member.filename, 120)}",
                    partial(archive.read, member),
                    labels[member.filename],
                )
                for member in members
            ]
            yield Found(images, len(images))


class _Archive:
    """A zip file that several threads read, each through an opened file of its own; `stack` closes them."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path, self._stack, self._own, self._lock = path, stack, threading.local(), threading.Lock()
        self.members = self._opened().infolist()

    def read(self, member: zipfile.ZipInfo) -> bytes:
        """The bytes of a member. Raises DataError where it is damaged, encrypted, too large or of another
        compression; another InputError where the file cannot be read."""
        name = f"{self.path}: {one_line(member.filename, 120)}"
        if member.flag_bits & ENCRYPTED:
            raise DataError(f"{name}: encrypted. Write the zip file without a password.")
        if member.compress_type not in COMPRESSIONS:
            raise DataError(
                f"{name}: of a compression that is not read. Write the zip file with none, or with deflate."
            )
        if member.file_size > MOST_BYTES:
            raise DataError(
                f"{name}: {member.file_size:,} bytes unpacked; at most {MOST_BYTES:,} are read of one member."
            )
        try:
            return self._opened().read(member)  # never more than the size that it says
        except (
            zipfile.BadZipFile,
            zlib.error,
            OSError,
            EOFError,
            ValueError,
            RuntimeError,
            NotImplementedError,
        ) as problem:
            if isinstance(problem, OSError) and of_reading(problem):
                raise unreadable(str(self.path), problem) from None
            raise DataError(
                f"{name}: damaged ({one_line(problem, 120)}). Write the zip file again."
            ) from None

    def _opened(self) -> zipfile.ZipFile:
        opened: zipfile.ZipFile | None = getattr(self._own, "opened", None)
        if opened is None:
            try:
                opened = zipfile.ZipFile(self.path)
            except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as problem:
                if isinstance(problem, OSError) and of_reading(problem):
                    raise unreadable(str(self.path), problem) from None
                raise DataError(
                    f"{self.path}: not a zip file that can be read ({one_line(problem, 120)})."
                ) from None
            with self._lock:
                self._own.opened = self._stack.enter_context(opened)
        return opened


def _members(archive: _Archive) -> list[zipfile.ZipInfo]:
    """The image files of an archive, in order of name. Raises DataError for names that lead out of it, or
    come twice."""
    members = [m for m in archive.members if not m.is_dir() and named_as_image(PurePosixPath(m.filename))]
    if not members:
        raise DataError(
            f"{archive.path}: holds no image files ({', '.join(sorted(SUFFIXES))}). Give a zip file that "
            "does."
        )
    names = set[str]()
    for member in members:
        path = PurePosixPath(member.filename)
        if path.is_absolute() or ".." in path.parts or CONTROL.search(member.filename):
            raise DataError(
                f"{archive.path}: {one_line(repr(member.filename), 120)} is no relative path. Write the zip "
                "again."
            )
        if member.filename in names:
            raise DataError(
                f"{archive.path}: {one_line(member.filename, 120)} comes twice. Write the zip file again."
            )
        names.add(member.filename)
    return sorted(members, key=lambda member: PurePosixPath(member.filename))


def _labels(archive: _Archive, names: set[str]) -> Mapping[str, int | str | None]:
    """Name → class: what dataset.json says, or, without one, the first folder."""
    found = [member for member in archive.members if member.filename == LABELS]
    if found:
        return said_labels(archive.read(found[0]), f"{archive.path}: {LABELS}", names)
    return {name: folder_class(PurePosixPath(name).parts, str(archive.path)) for name in names}
