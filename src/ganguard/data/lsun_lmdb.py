"""LSUN's databases: one LMDB per category, of keys and encoded images (Yu et al. 2015, arXiv 1506.03365).

Databases that hold each picture in several sizes are read in one of them.

A database is opened read-only and without its lock, so it may lie on a disk that cannot be written. The LMDB
library trusts the content of a database; only its head pages are checked here. Do not open a database that
may have been made to do harm.
"""

import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from ganguard.base.cache import content_key
from ganguard.base.codecs import unreadable
from ganguard.base.errors import DataError, StepError
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import LARGEST, Positive, one_line
from ganguard.data.crops import sides
from ganguard.data.dataset import RealImages
from ganguard.data.encoded import Encoded, Found, load_encoded
from ganguard.data.folder_classes import FolderClasses, folder_classes
from ganguard.data.folder_images import FolderImages
from ganguard.data.image_folder import file_state
from ganguard.data.lmdb_files import FILE, keys_of_images, require_whole, sizes_held
from ganguard.data.walk import files_of

if TYPE_CHECKING:
    from lmdb import Environment

_LSUN_SPLIT = re.compile(r"[-_](train|val|test)([-_]lmdb)?$", re.IGNORECASE)


class LsunLmdb(FolderImages):
    """A category's database (a folder with data.mdb, such as LSUN's `bedroom_train_lmdb`), or a folder of
    several at any depth, which are then the classes.

    Attributes:
        max_images: images of each database to take, the first by their keys; None takes all.
        resolution: of databases that hold each picture in several sizes, the side in pixels that is read.
            None takes the least that is not below `size`; without `size`, or such a side, the largest.
    """

    kind: Literal["lsun_lmdb"] = "lsun_lmdb"
    max_images: Positive | None = None
    resolution: Positive | None = None

    def fingerprint(self) -> str:
        """Return a text that changes with any database's path, size or times of change. Raises DataError if
        there is none."""
        return content_key(files=[file_state(folder / FILE) for folder in _databases(Path(self.path))])

    def load(self, progress: Progress = silent) -> RealImages:
        """Return the images of each category in the order of their keys, with labels if there are several
        categories. Raises DataError."""
        real = load_encoded(self, self.fingerprint(), self._opened, progress)
        return self.described(real, self._classes().decided, self._read_size())

    @contextmanager
    def _opened(self) -> Generator[Found]:
        with ExitStack() as stack:
            labels = self._classes().labels
            opened = [
                (folder, stack.enter_context(_environment(folder))) for folder in _databases(Path(self.path))
            ]
            chosen = [self._chosen(folder, environment) for folder, environment in opened]
            counts = [min(held, self.max_images or held) for _, held in chosen]

            def images() -> Iterator[Encoded]:
                for (folder, environment), (size, _), count in zip(opened, chosen, counts, strict=True):
                    category = labels[(folder / FILE).relative_to(self.path).as_posix()]
                    yield from _images(folder, environment, size, count, category)

            if not sum(counts):
                raise DataError(f"{self.path}: holds no images. Give the path of an LSUN database.")
            yield Found(images(), sum(counts))

    def _classes(self) -> FolderClasses:
        """Return the category of each database by the relative path of its file."""
        files = [(folder / FILE).relative_to(self.path).as_posix() for folder in _databases(Path(self.path))]
        found = folder_classes(files, self.class_folders, self.path)
        return found if self.class_folders else FolderClasses(one_category(found.labels), found.decided)

    def _read_size(self) -> str:
        """Return which size of the pictures is read, and what reads another; empty if there is one only."""
        if self.resolution or find_spec("lmdb") is None:
            return ""
        folder = _databases(Path(self.path))[0]
        with _environment(folder) as environment:
            with _reading(folder), environment.begin() as transaction, transaction.cursor() as cursor:
                sizes = sizes_held(cursor)
            chosen, _ = self._chosen(folder, environment)
        if len(sizes) < 2:
            return ""
        held = ", ".join(map(str, sizes))
        other = next(size for size in sizes if size != chosen)
        return (
            f"every picture is held in the sizes {held}, and {chosen} is read. `resolution: {other}` of "
            f"{one_line(self.path, 200)} reads another"
        )

    def _chosen(self, folder: Path, environment: "Environment") -> tuple[int | None, int]:
        """Return the size of the pictures to read, None if keys name no sizes, and the most that there can
        be.

        Raises DataError if `resolution` names a size that is not there.
        """
        with _reading(folder), environment.begin() as transaction, transaction.cursor() as cursor:
            sizes = sizes_held(cursor)
        most = _entries(environment) // max(1, len(sizes))
        if self.resolution is None:
            least = LARGEST if self.size is None else max(sides(self.size))
            enough = [size for size in sizes if size >= least]
            return (enough[0] if enough else max(sizes, default=None)), most
        if self.resolution not in sizes:
            there = ", ".join(map(str, sizes)) or "one size, which its keys do not name"
            raise DataError(
                f"{folder}: holds no pictures of resolution {self.resolution}, but {there}. Leave resolution "
                "out, or name one of these."
            )
        return self.resolution, most


def one_category(labels: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """Return the categories of databases, without the splits in LSUN's names if some are splits of the same
    category: bedroom_train_lmdb and bedroom_val_lmdb are both "bedroom"."""
    short = {name: _LSUN_SPLIT.sub("", label) for name, label in labels.items() if label is not None}
    return (
        short
        if len(set(short.values())) < len(set(labels.values())) and len(short) == len(labels)
        else labels
    )


def _databases(folder: Path) -> list[Path]:
    if (folder / FILE).is_file():
        return [folder]
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of LMDBs. Give the path of a folder that exists.")
    try:
        found = sorted(file.parent for file in files_of(folder) if file.name == FILE)
    except OSError as problem:
        raise unreadable(str(problem.filename or folder), problem) from None
    if not found:
        raise DataError(
            f"{folder}: holds no LMDB ({FILE}), and no folder with one. Give the folder of an LSUN database."
        )
    return found


@contextmanager
def _environment(folder: Path) -> Generator["Environment"]:
    if find_spec("lmdb") is None:
        raise DataError(
            "lsun_lmdb needs the package lmdb, which is not installed. Run: pip install ganguard[lmdb]"
        )
    import lmdb

    require_whole(folder / FILE)
    try:
        environment = lmdb.open(str(folder), readonly=True, lock=False, readahead=False, max_readers=1024)
    except (lmdb.Error, OSError) as problem:
        raise DataError(f"{folder}: not an LMDB that can be read ({one_line(problem, 120)}).") from None
    with environment:
        yield environment


def _entries(environment: "Environment") -> int:
    return int(cast(Any, environment.stat())["entries"])


def _images(
    folder: Path, environment: "Environment", size: int | None, count: int, category: str | None
) -> Iterator[Encoded]:
    with _reading(folder), environment.begin() as transaction, transaction.cursor() as cursor:
        for _, key in zip(range(count), keys_of_images(cursor, size), strict=False):
            text = key.decode(errors="backslashreplace")
            name, own = f"{folder}, key {one_line(text, 80)}", f"{category or ''}/{text}"
            yield Encoded(name, partial(_value, environment, key, name), category, own)


@contextmanager
def _reading(folder: Path) -> Generator[None]:
    import lmdb

    try:
        yield
    except lmdb.Error as problem:
        raise DataError(
            f"{folder}: a damaged LMDB ({one_line(problem, 120)}). Copy the database again."
        ) from None


def _value(environment: "Environment", key: bytes, name: str) -> bytes:
    import lmdb

    try:
        with environment.begin() as transaction:
            return bytes(transaction.get(key) or b"")
    except (lmdb.DiskError, lmdb.MemoryError, lmdb.ReadersFullError) as problem:
        # These errors say nothing about the image.
        raise StepError(
            f"{name}: could not be read now ({one_line(problem, 120)}). Run the same again."
        ) from None
    except lmdb.Error as problem:
        raise DataError(f"{name}: damaged ({one_line(problem, 120)}). Copy the database again.") from None
