"""A zip file of images, read in place. Labels come from StyleGAN's dataset.json, or else the folders are
classes.

Nothing is unpacked to disk, so a member's name can lead nowhere. The size that a member claims is checked
before it is read, and only compressions are accepted that cannot expand data more than about a thousandfold.
"""

import re
import threading
import zipfile
import zlib
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

from ganguard.base.cache import content_key
from ganguard.base.codecs import of_reading, unreadable
from ganguard.base.errors import DataError
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import one_line
from ganguard.data.dataset import RealImages
from ganguard.data.dataset_json import LABELS, SaidClasses, said_labels
from ganguard.data.encoded import SUFFIXES, Encoded, Found, load_encoded, named_as_image
from ganguard.data.folder_classes import FolderClasses, folder_classes
from ganguard.data.folder_images import FolderImages
from ganguard.data.image_folder import file_state, hidden
from ganguard.data.stray import is_stray

MOST_BYTES = 256 << 20  # of one member, unpacked
# Control characters only: names may hold spaces of many widths, and joined emoji.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
ENCRYPTED = 1  # bit of a member's flags


class ImageZip(FolderImages):
    """Every image in the zip file at `path`, in the order of the names.

    If the zip holds a `dataset.json`, as StyleGAN2-ADA's dataset_tool writes it, that gives the classes, or
    says that there are none. Otherwise the first folder of each name is its class, unless the folders are
    splits or shards. `class_folders` decides before both. Stray files (`ganguard.data.stray`) are left out,
    whatever their state.
    """

    kind: Literal["image_zip"] = "image_zip"

    def fingerprint(self) -> str:
        """Return a text that changes with the file's path, size or times of change. Raises DataError if there
        is no such file."""
        return content_key(file=file_state(Path(self.path)))

    def load(self, progress: Progress = silent) -> RealImages:
        """Return all images, with labels if there are two or more classes. Raises DataError."""
        real = load_encoded(self, self.fingerprint(), self._opened, progress)
        with ExitStack() as stack:
            archive = _Archive(Path(self.path), stack)
            decided = self._classes(archive, {member.filename for member in _members(archive)}).decided
            said = (decided,) if decided else ()
            return replace(real, stray=_strays(archive), decided=(*said, *real.decided))

    @contextmanager
    def _opened(self) -> Generator[Found]:
        with ExitStack() as stack:
            archive = _Archive(Path(self.path), stack)
            members = _members(archive)
            labels = self._classes(archive, {member.filename for member in members}).labels
            images = [
                Encoded(
                    f"{self.path}: {one_line(member.filename, 120)}",
                    partial(archive.read, member),
                    labels[member.filename],
                    member.filename,
                )
                for member in members
            ]
            yield Found(images, len(images))

    def _classes(self, archive: "_Archive", names: set[str]) -> FolderClasses | SaidClasses:
        """Return the class of each image by its name: the one in dataset.json, or without such a file what
        the folders say."""
        found = [member for member in archive.members if member.filename == LABELS]
        if found and not self.class_folders:
            said = said_labels(archive.read(found[0]), f"{archive.path}: {LABELS}", names)
            return SaidClasses(said)
        return folder_classes(names, self.class_folders, self.path)


class _Archive:
    """A zip file that several threads read, each through its own opened file. `stack` closes these files."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path, self._stack, self._own, self._lock = path, stack, threading.local(), threading.Lock()
        self.members = self._opened().infolist()

    def read(self, member: zipfile.ZipInfo) -> bytes:
        """Return the content of a member.

        Raises DataError if the member is damaged, encrypted, too large or of another compression, and another
        InputError if the file cannot be read.
        """
        name = f"{self.path}: {one_line(member.filename, 120)}"
        if member.flag_bits & ENCRYPTED:
            raise DataError(f"{name}: encrypted. Write the zip file without a password.")
        if member.compress_type not in COMPRESSIONS:
            raise DataError(
                f"{name}: its compression cannot be read. Write the zip file with deflate, or uncompressed."
            )
        if member.file_size > MOST_BYTES:
            raise DataError(
                f"{name}: {member.file_size:,} bytes unpacked; a member may have at most {MOST_BYTES:,}. "
                "Store smaller images."
            )
        try:
            return self._opened().read(member)  # zipfile reads no more than the size that the member claims
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


def _stray(member: zipfile.ZipInfo) -> bool:
    return is_stray(PurePosixPath(member.filename).parts)


def _strays(archive: _Archive) -> int:
    return sum(not member.is_dir() and _stray(member) for member in archive.members)


def _members(archive: _Archive) -> list[zipfile.ZipInfo]:
    """Return the image files of an archive, in the order of their names. Raises DataError if a name leads out
    of the archive or occurs twice."""
    members = [
        m
        for m in archive.members
        if not m.is_dir() and not _stray(m) and named_as_image(PurePosixPath(m.filename))
    ]
    if not members:
        raise DataError(
            f"{archive.path}: holds no image files ({', '.join(sorted(SUFFIXES))})"
            f"{hidden(_strays(archive))}. Give a zip file that holds some."
        )
    names = set[str]()
    for member in members:
        path = PurePosixPath(member.filename)
        if path.is_absolute() or ".." in path.parts or CONTROL.search(member.filename):
            raise DataError(
                f"{archive.path}: {one_line(repr(member.filename), 120)} is no relative path inside the zip. "
                "Write the zip file again."
            )
        if member.filename in names:
            raise DataError(
                f"{archive.path}: {one_line(member.filename, 120)} occurs twice. Write the zip file again."
            )
        names.add(member.filename)
    return sorted(members, key=lambda member: PurePosixPath(member.filename))
