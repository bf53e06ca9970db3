"""What a folder holds: pictures, Parquet tables, LMDBs, or several of them, and which are its data set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ganguard.base.lfs_pointers import is_lfs_pointer
from ganguard.base.settings import one_line
from ganguard.data.encoded import named_as_image
from ganguard.data.lmdb_files import entries_claimed, is_lmdb
from ganguard.data.parquet import rows_of_images
from ganguard.data.walk import files_of

HeldKind = Literal["image_folder", "lsun_lmdb", "parquet"]


@dataclass(frozen=True)
class Held:
    """The content of a folder and those below it, without stray files.

    Attributes:
        pictures: number of files that are named as images.
        databases: files that hold an LMDB, and how many entries these claim in all.
        tables: Parquet files with a column of images, or that cannot be read, and their rows in all.
        others: Parquet files without images.
        pointers: whether Parquet files are pointers of Git LFS, and none is a file.
    """

    pictures: int
    databases: tuple[list[Path], int]
    tables: tuple[list[Path], int]
    others: list[Path]
    pointers: bool = False

    @property
    def kind(self) -> HeldKind:
        """The kind of data set that most of its images are of."""
        counts: dict[HeldKind, int] = {
            "lsun_lmdb": self.databases[1],
            "parquet": self.tables[1],
            "image_folder": self.pictures,
        }
        if self.pointers and not self.databases[1]:
            return "parquet"  # of a clone whose pictures are those of its page; reading it says what to do
        if any(counts.values()):
            return max(counts, key=lambda kind: counts[kind])
        # Nothing can be counted: what reads the files says what is wrong with them.
        if self.databases[0]:
            return "lsun_lmdb"
        return "parquet" if self.tables[0] or self.others else "image_folder"

    def beside(self, kind: HeldKind, path: str) -> tuple[str, ...]:
        """Return what is left out if the folder at `path` is taken as that kind, and how to take it."""
        counted: dict[HeldKind, tuple[int, str]] = {
            "image_folder": (self.pictures, "picture files"),
            "parquet": (self.tables[1], "images in Parquet files"),
            "lsun_lmdb": (self.databases[1], "entries of LMDBs"),
        }
        place = one_line(path, 200)
        found = [
            f"left out beside them: {what}, {count:,} in all. `{{kind: {other}, path: {place}}}` takes them"
            for other, (count, what) in counted.items()
            if other != kind and count
        ]
        if kind == "parquet" and self.others:
            found.append(f"left out: Parquet files without a column of images, {len(self.others):,} in all")
        return tuple(found)


def held(folder: Path) -> Held:
    """Return what a folder holds. Only the last bytes of Parquet files, and the first of LMDBs, are read.

    Raises OSError if a folder cannot be read.
    """
    pictures, databases, parquet = 0, list[Path](), list[Path]()
    for file in files_of(folder):
        if file.suffix.lower() == ".parquet":
            parquet.append(file)
        elif named_as_image(file):
            pictures += 1
        elif is_lmdb(file):
            databases.append(file)
    rows = {file: rows_of_images(file) for file in sorted(parquet)}
    tables = [file for file, count in rows.items() if count is not None]
    entries = sum(map(entries_claimed, databases))
    return Held(
        pictures,
        (sorted(databases), entries),
        (tables, sum(rows[file] or 0 for file in tables)),
        [file for file, count in rows.items() if count is None],
        bool(tables) and not any(rows[file] for file in tables) and any(map(is_lfs_pointer, tables)),
    )
