"""LSUN's databases: one LMDB per category, of keys and encoded images (Yu et al. 2015, arXiv 1506.03365).

A database is opened read-only and without its lock, so it may lie on a disk that cannot be written. The LMDB
library trusts the content of a database; only its head pages are checked here. Do not open a database that
may have been made to do harm.
"""

from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from ganguard.base.cache import content_key
from ganguard.base.errors import DataError, StepError
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import Positive, one_line
from ganguard.data.dataset import RealImages
from ganguard.data.encoded import Encoded, EncodedImages, Found, folder_class, load_encoded
from ganguard.data.image_folder import file_state
from ganguard.data.stray import is_stray, stray_files

if TYPE_CHECKING:
    from lmdb import Environment

FILE = "data.mdb"
HEAD, MAGIC = 16, 0xBEEFC0DE  # bytes of a page before its meta data, and the first word of the meta data


class LsunLmdb(EncodedImages):
    """A category's database (a folder with data.mdb, such as LSUN's `bedroom_train_lmdb`), or a folder of
    several, which are then the classes.

    Attributes:
        max_images: images of each category to take, the first by their keys; None takes all.
    """

    kind: Literal["lsun_lmdb"] = "lsun_lmdb"
    max_images: Positive | None = None

    def fingerprint(self) -> str:
        """Return a text that changes with any database's path, size or times of change. Raises DataError if
        there is none."""
        return content_key(files=[file_state(folder / FILE) for folder in _databases(Path(self.path))])

    def load(self, progress: Progress = silent) -> RealImages:
        """Return the images of each category in the order of their keys, with labels if there are several
        categories. Raises DataError."""
        real = load_encoded(self, self.fingerprint(), self._opened, progress)
        return replace(real, stray=stray_files(Path(self.path)))

    @contextmanager
    def _opened(self) -> Generator[Found]:
        with ExitStack() as stack:
            folders = _databases(Path(self.path))
            categories = [
                folder_class((folder / FILE).relative_to(self.path).parts, self.path) for folder in folders
            ]
            opened = [(folder, stack.enter_context(_environment(folder))) for folder in folders]
            counts = [
                min(_entries(environment), self.max_images or _entries(environment))
                for _, environment in opened
            ]

            def images() -> Iterator[Encoded]:
                for (folder, environment), count, category in zip(opened, counts, categories, strict=True):
                    yield from _images(folder, environment, count, category)

            if not sum(counts):
                raise DataError(f"{self.path}: holds no images. Give the path of an LSUN database.")
            yield Found(images(), sum(counts))


def _databases(folder: Path) -> list[Path]:
    if (folder / FILE).is_file():
        return [folder]
    found = sorted(file.parent for file in folder.glob(f"*/{FILE}") if not is_stray([file.parent.name]))
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

    _require_whole(folder / FILE)
    try:
        environment = lmdb.open(str(folder), readonly=True, lock=False, readahead=False, max_readers=1024)
    except (lmdb.Error, OSError) as problem:
        raise DataError(f"{folder}: not an LMDB that can be read ({one_line(problem, 120)}).") from None
    with environment:
        yield environment


def _require_whole(file: Path) -> None:
    """Raise DataError unless a database has all the pages that its newer head page counts. LMDB would read
    beyond the end of a truncated file, which kills the process."""
    heads, size = list[tuple[int, int]](), file.stat().st_size
    with file.open("rb") as opened:
        first = opened.read(HEAD + 136)
        page = int.from_bytes(first[HEAD + 24 : HEAD + 28], "little")
        opened.seek(page)
        for head in (first, opened.read(HEAD + 136)):
            if len(head) == HEAD + 136 and int.from_bytes(head[HEAD : HEAD + 4], "little") == MAGIC:
                last, transaction = (
                    int.from_bytes(head[HEAD + at : HEAD + at + 8], "little") for at in (120, 128)
                )
                heads.append((transaction, last))
    if len(heads) < 2 or (max(heads)[1] + 1) * page > size:
        raise DataError(f"{file}: not a whole LMDB: truncated, or another type of file. Copy it again.")


def _entries(environment: "Environment") -> int:
    return int(cast(Any, environment.stat())["entries"])


def _images(folder: Path, environment: "Environment", count: int, category: str | None) -> Iterator[Encoded]:
    import lmdb

    try:
        with environment.begin() as transaction, transaction.cursor() as cursor:
            for _, key in zip(range(count), cursor.iternext(keys=True, values=False), strict=False):
                text = bytes(key).decode(errors="backslashreplace")
                name, own = f"{folder}, key {one_line(text, 80)}", f"{category or ''}/{text}"
                yield Encoded(name, partial(_value, environment, bytes(key), name), category, own)
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
