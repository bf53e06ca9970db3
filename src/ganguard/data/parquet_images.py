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
from ganguard.base.errors import DataError
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import one_line
from ganguard.data.dataset import RealImages
from ganguard.data.encoded import Encoded, EncodedImages, Found, load_encoded
from ganguard.data.image_folder import file_state
from ganguard.data.parquet import columns_of, opened_parquet, rows_held, rows_with
from ganguard.data.stray import is_stray, stray_files


class ParquetImages(EncodedImages):
    """The images of the Parquet files at `path`, in the order of the file names: a struct column, see
    `data.parquet`.

    Attributes:
        path: a file, a folder of .parquet files, or a pattern such as `data/train-*.parquet`. Stray files
            (`ganguard.data.stray`) of a folder are left out.
        image_column: column of the images. None takes `image`, or `img` if there is no `image` and it is the
            only column of images.
        label_column: column of the classes: whole numbers (a ClassLabel's have names) or texts. None takes no
            labels.
    """

    kind: Literal["parquet"] = "parquet"
    image_column: str | None = None
    label_column: str | None = None

    def fingerprint(self) -> str:
        """Return a text that changes with any file's path, size or times of change. Raises DataError if there
        is no file."""
        return content_key(files=[file_state(file) for file in _files(self.path)])

    def load(self, progress: Progress = silent) -> RealImages:
        """Return all images, with labels if a column is named and holds two or more. Raises DataError."""
        real = load_encoded(self, self.fingerprint(), self._opened, progress)
        return replace(real, stray=stray_files(Path(self.path)) if Path(self.path).is_dir() else 0)

    @contextmanager
    def _opened(self) -> Generator[Found]:
        files, column = _files(self.path), self.label_column
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
    found = parquet_below(Path(path)) if Path(path).is_dir() else map(Path, glob.glob(path, recursive=True))
    # A link to nothing stays in, so that reading it fails with its name.
    if not (files := sorted(file for file in found if file.is_file() or not file.exists())):
        raise DataError(
            f"{path}: no Parquet file. Give a file, a folder of .parquet files, or a pattern that matches "
            "some."
        )
    return files


def parquet_below(folder: Path, pattern: str = "**/*.parquet") -> Iterator[Path]:
    """Yield the Parquet files below a folder, without stray ones."""
    return (file for file in folder.glob(pattern) if not is_stray(file.relative_to(folder).parts))


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
