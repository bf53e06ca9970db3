"""Parquet files of images in the Hugging Face layout, and harvests, as a data set: a file, a folder of files,
or a pattern."""

import glob
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from ganguard.base.cache import content_key
from ganguard.base.codecs import unreadable
from ganguard.base.errors import DataError
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import one_line
from ganguard.data.dataset import RealImages
from ganguard.data.encoded import Encoded, EncodedImages, Found, load_encoded
from ganguard.data.held import held
from ganguard.data.image_folder import file_state
from ganguard.data.parquet import (
    SHARD_NAME,
    columns_of,
    opened_parquet,
    read_texts,
    rows_held,
    rows_of_images,
    rows_with,
)
from ganguard.data.stray import stray_files
from ganguard.data.walk import files_of


class ParquetImages(EncodedImages):
    """The images of the Parquet files at `path`, in the order of the file names: a struct column, see
    `data.parquet`.

    Attributes:
        path: a file, a folder of .parquet files at any depth, or a pattern such as `data/train-*.parquet`.
            Stray files (`ganguard.data.stray`) of a folder are left out, and so are files without images if
            others hold some.
        image_column: column of the images. None takes `image`, or `img` if there is no `image` and it is the
            only column of images.
        label_column: column of the classes: whole numbers (a ClassLabel's have names) or texts. None takes no
            labels.
    """

    kind: Literal["parquet"] = "parquet"
    image_column: str | None = None
    label_column: str | None = None

    def keeps_opacity(self) -> bool:
        """Return whether opacity is kept as a channel: a harvest's images are taken as they were bought."""
        bought = self.alpha is None and all(SHARD_NAME.fullmatch(file.name) for file in self._files())
        return bought or super().keeps_opacity()

    def first_asked(self, column: str) -> str | None:
        """Return what the first image of a harvest was asked for, by a column that all its files have.

        Return None if these are no files of a harvest, or have no such column. Raises DataError if there is
        no file.
        """
        files = self._files()
        if not all(SHARD_NAME.fullmatch(file.name) for file in files):
            return None
        for file in files:
            with opened_parquet(file) as opened:
                if column not in opened.schema_arrow.names:
                    return None
        return next(iter(read_texts(files[0], column)), None)

    def fingerprint(self) -> str:
        """Return a text that changes with any file's path, size or times of change. Raises DataError if there
        is no file."""
        return content_key(files=[file_state(file) for file in self._files()])

    def load(self, progress: Progress = silent) -> RealImages:
        """Return all images, with labels if a column is named and holds two or more. Raises DataError."""
        real = load_encoded(self, self.fingerprint(), self._opened, progress)
        folder = Path(self.path)
        if not folder.is_dir():
            return real
        decided = (*held(folder).beside(self.kind, self.path), *_of_several(self._files(), self.path))
        return replace(real, stray=stray_files(folder), decided=(*decided, *real.decided))

    def _files(self) -> list[Path]:
        """Return the files, those of a folder without those that hold no images if others do."""
        files = _files(self.path)
        if len(files) == 1 or not Path(self.path).is_dir():
            return files
        with_images = [file for file in files if rows_of_images(file, self.image_column) is not None]
        return with_images or files

    @contextmanager
    def _opened(self) -> Generator[Found]:
        files, column = self._files(), self.label_column
        names: Mapping[int, str] = {} if column is None else _class_names(files, column)
        count = rows_held(files)
        if count == 0:
            raise DataError(f"{files[0]}: no image in the Parquet files. Give files that hold some.")
        yield Found(_images(files, self.image_column, column), count, names)


def _images(files: list[Path], image_column: str | None, label_column: str | None) -> Iterator[Encoded]:
    """Yield the images of the files. Raises DataError if there is a column of labels, and an image has
    none."""
    for file in files:
        for rows in rows_with(file, image_column, label_column):
            for cell, label, name, path in rows:
                if label_column is not None and label is None and cell is not None:
                    column = one_line(label_column, 80)
                    raise DataError(
                        f"{name}: no label in column {column}. Label all images, or leave `label_column` out."
                    )
                yield Encoded(name, _giving(cell, name), label, path)


def _giving(cell: bytes | None, name: str) -> Callable[[], bytes]:
    def read() -> bytes:
        if cell is None:
            raise DataError(f"{name}: holds no bytes. Store the images themselves, not paths.")
        return cell

    return read


def _files(path: str) -> list[Path]:
    if Path(path).is_file():
        return [Path(path)]
    found = _parquet_below(Path(path)) if Path(path).is_dir() else map(Path, glob.glob(path, recursive=True))
    # A link to nothing stays in, so that reading it fails with its name.
    if not (files := sorted(file for file in found if file.is_file() or not file.exists())):
        raise DataError(
            f"{path}: no Parquet file. Give a file, a folder of .parquet files, or a pattern that matches "
            "some."
        )
    return files


def _parquet_below(folder: Path) -> list[Path]:
    """Return the Parquet files below a folder, without stray ones."""
    try:
        return [file for file in files_of(folder) if file.suffix.lower() == ".parquet"]
    except OSError as problem:
        raise unreadable(str(problem.filename or folder), problem) from None


def _of_several(files: list[Path], path: str) -> tuple[str, ...]:
    """Return that files of several folders are taken together, if they are."""
    folders = sorted({file.parent.relative_to(path).as_posix() for file in files})
    if len(folders) < 2:
        return ()
    shown = ", ".join(one_line(name, 40) for name in folders[:4]) + (", …" if len(folders) > 4 else "")
    one = one_line(str(Path(path) / folders[0] / "*.parquet"), 200)
    return (
        f"the Parquet files of {len(folders):,} folders ({shown}) are taken together. "
        f'`{{kind: parquet, path: "{one}"}}` takes those of one',
    )


def _class_names(files: list[Path], column: str) -> Mapping[int, str]:
    """Return the name of each class of a ClassLabel by its number, as the library `datasets` writes them into
    the schema; {} for other columns.

    Raises DataError if a file has no such column, or the column's type is not one of labels, or the files
    disagree about the names.
    """
    names: Mapping[int, str] | None = None
    for file in files:
        with opened_parquet(file) as opened:
            schema = opened.schema_arrow
        index = schema.get_field_index(column)
        if index < 0:
            raise DataError(
                f"{file}: has no column {one_line(column, 80)}; it has {columns_of(schema)}. Set "
                "`label_column` to one of them."
            )
        kind = schema.field(index).type
        if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise DataError(
                f"{file}: column {one_line(column, 80)} is {one_line(kind, 80)}; labels must be whole "
                "numbers or texts."
            )
        said = _said_names(schema.metadata, column)
        if names is not None and said != names:
            raise DataError(
                f"{file}: its classes differ from those of {files[0]}. Give files of one data set."
            )
        names = said
    return names or {}


def _said_names(metadata: Mapping[bytes, bytes] | None, column: str) -> Mapping[int, str]:
    try:
        value: Any = json.loads((metadata or {}).get(b"huggingface", b"{}"))
        names: Any = value["info"]["features"][column]["names"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    good = (
        isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and len(set(names)) == len(names)
    )
    return dict(enumerate(names)) if good else {}
