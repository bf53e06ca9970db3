"""Images from Parquet files in the Hugging Face `Image` layout: a struct column, `image`, of PNG bytes and a
path.

A few kilobytes of Parquet can claim to hold a terabyte. So rows are decoded a few at a time, and only until
there are enough, and compressions that can expand data a thousandfold are refused. Images do not need them
anyway.
"""

import hashlib
import re
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from ganguard.base.cache import file_digest
from ganguard.base.codecs import decode_image, images_a_task
from ganguard.base.compute import cores
from ganguard.base.errors import DataError
from ganguard.base.images import room_for
from ganguard.base.lfs_pointers import PULL, is_lfs_pointer
from ganguard.base.settings import TooLarge, one_line, read_bounded

IMAGE, OTHER = "image", "img"  # the column of the images, and what some data sets call it
COMPRESSIONS = frozenset({"UNCOMPRESSED", "SNAPPY"})
# Rows that are decoded at once. MOST_BYTES bounds them as if each row were as large as the whole file.
MOST_ROWS, MOST_BYTES = 64, 64 << 20
# Bytes of a shard that is checked and read in memory. Shards of 512 images seldom have more.
MOST_HELD = 256 << 20

SHARD_NAME = re.compile(r"(?P<start>[0-9]+)-(?P<stop>[0-9]+)-(?P<digest>[0-9a-f]{16})\.parquet")
"""The name of a harvest's file: which images it holds, and how its SHA-256 begins."""


def shard_name(start: int, stop: int, content: bytes) -> str:
    """Return the file name of a shard with the images start, start + 1 ... stop - 1."""
    return f"{start:010d}-{stop:010d}-{hashlib.sha256(content).hexdigest()[:16]}.parquet"


def read_parquet(files: list[Path], count: int | None = None) -> Tensor:
    """Return the first `count` images (all, if None) of the files in the given order: (N, C, H, W) uint8.

    Raises DataError, also if a file that is named as a shard is not the one that was written under that name.
    """
    images, held = torch.empty(0), 0

    def place(first: int, rows: list[tuple[bytes, str]]) -> None:
        for number, row in enumerate(rows, first):
            image = decode_image(*row, opacity="held")
            if image.shape != images.shape[1:]:
                raise DataError(
                    f"{row[1]}: images of {tuple(image.shape)} and {tuple(images.shape[1:])} in one store. "
                    "Give files with images of one shape."
                )
            images[number] = image

    with ThreadPoolExecutor(cores()) as pool:
        for file, rows in ((path, rows) for path in files for rows in _rows(path)):
            if held == 0:
                images = room_for(
                    rows_held(files, count), decode_image(*rows[0], opacity="held").shape, str(file)
                )
            wanted = rows[: len(images) - held]
            starts = range(0, len(wanted), images_a_task(images.shape[1:]))
            parts = [wanted[start : start + starts.step] for start in starts]
            list(pool.map(place, (held + start for start in starts), parts))
            held += len(wanted)
            if held == count:
                break
    if held == 0:
        where = f"{files[0]}: " if files else ""
        raise DataError(f"{where}no image in the Parquet files. Give a folder that holds a harvest.")
    return images[:held]


def has_column(file: Path, column: str) -> bool:
    """Return whether a file has a column. Raises DataError if it is no Parquet file, or damaged."""
    with opened_parquet(file) as opened:
        return column in opened.schema_arrow.names


def read_texts(file: Path, column: str) -> list[str]:
    """Return a column of texts. Raises DataError if there is none, or it holds anything but texts."""
    with opened_parquet(file) as opened:
        found = _read_column(opened, file, column).to_pylist()
    if not all(isinstance(text, str) for text in found):
        raise DataError(f"{file}: its column {column} must hold texts.")
    return found


def read_vectors(file: Path, column: str) -> Tensor:
    """Return a column of equally long lists of numbers, (N, D) float32.

    Raises DataError if there is none, or it holds anything else.
    """
    with opened_parquet(file) as opened:
        found = _read_column(opened, file, column)
        if (
            found.null_count
            or not pa.types.is_list(found.type)
            or not pa.types.is_float32(found.type.value_type)
        ):
            raise DataError(f"{file}: its column {column} must hold lists of float32 numbers.")
        numbers = found.combine_chunks().flatten()
        if not len(found) or numbers.null_count or len(numbers) != len(found) * len(found[0]):
            raise DataError(f"{file}: the lists of its column {column} must be equally long.")
        return torch.tensor(numbers.to_numpy(zero_copy_only=False)).view(len(found), -1)


def _read_column(opened: pq.ParquetFile, file: Path, column: str) -> pa.ChunkedArray:
    """Return a column. Raises DataError if there is none."""
    if column not in opened.schema_arrow.names:
        raise DataError(f"{file}: has no column {column}. Its columns: {columns_of(opened.schema_arrow)}.")
    _require_compression(opened, file)
    return opened.read([column]).column(column)


def stream_parquet(file: Path, count: int) -> Generator[Tensor]:
    """Yield the first `count` images of a file, (n, C, H, W) uint8, a few at a time. Raises DataError."""

    def decoded(rows: list[tuple[bytes, str]]) -> list[Tensor]:
        return [decode_image(*row, opacity="held") for row in rows]

    held = 0
    with ThreadPoolExecutor(cores()) as pool:
        for rows in _rows(file):
            wanted = rows[: count - held]
            size = -(-len(wanted) // cores()) or 1
            parts = (wanted[start : start + size] for start in range(0, len(wanted), size))
            images = [image for part in pool.map(decoded, parts) for image in part]
            if len({image.shape for image in images}) > 1:
                raise DataError(f"{file}: images of several shapes. Give files with images of one shape.")
            held += len(images)
            if images:
                yield torch.stack(images)
            if held >= count:
                return


def _rows(file: Path) -> Generator[list[tuple[bytes, str]]]:
    """Yield each image's bytes and its name in messages, a few rows at a time. No part is empty."""
    for rows in rows_with(file, IMAGE):
        yield [_cell(cell, name) for cell, _, name, _ in rows]


Label = int | str | None
Row = tuple[bytes | None, Label, str, str | None]


def rows_with(
    file: Path, image_column: str | None = None, label_column: str | None = None
) -> Generator[list[Row]]:
    """Yield each image's bytes (None if a row holds none), its label, its name in messages, and the path that
    the row gives (None if it gives none), a few rows at a time. No part is empty.

    Args:
        file: a Parquet file.
        image_column: column of the images. None takes `image`, or `img` if there is no `image` and it is the
            only column of images.
        label_column: column of the labels, or None.

    Raises:
        DataError: the file is no Parquet file of images, or has no such column.
    """
    number = 0
    with opened_parquet(file) as opened:
        images = _column_of(opened.schema_arrow, image_column, file)
        _require_compression(opened, file)
        at_once = max(1, min(MOST_ROWS, MOST_BYTES // max(1, file.stat().st_size)))
        columns = [images] if label_column is None else [images, label_column]
        for batch in opened.iter_batches(at_once, columns=columns):
            column: Any = batch.column(images)
            cells: list[bytes | None] = column.flatten()[column.type.get_field_index("bytes")].to_pylist()
            paths = _paths(column)
            labels: list[Label] = (
                [None] * len(cells) if label_column is None else batch.column(label_column).to_pylist()
            )
            rows = [
                (cell, label, f"{file}, row {number + row}", path)
                for row, (cell, label, path) in enumerate(zip(cells, labels, paths, strict=True))
            ]
            if rows:
                yield rows
            number += len(rows)


def _paths(column: Any) -> list[str | None]:
    """Return the text in the field `path` of each struct of a column, None if it is empty or no text."""
    field = column.type.get_field_index("path")
    if field < 0 or not (pa.types.is_string(column.type.field(field).type)):
        return [None] * len(column)
    return [path or None for path in column.flatten()[field].to_pylist()]


def rows_held(files: list[Path], count: int | None = None) -> int:
    """Return how many images the files claim to hold, but at most `count`."""
    held = 0
    for file in files:
        if count is None or held < count:
            with opened_parquet(file) as opened:
                held += opened.metadata.num_rows
    return held if count is None else min(held, count)


def rows_of_images(file: Path, column: str | None = None) -> int | None:
    """Return how many rows a file claims to hold, or None if it has no column of images.

    Only its footer is read. A file that cannot be read counts as one of images without rows: whoever reads it
    says why.

    column: the column that is to hold the images; None takes any.
    """
    try:
        found = pq.read_metadata(file)
        fields = found.schema.to_arrow_schema()
        if not any(_of_images(field.type) and column in (None, field.name) for field in fields):
            return None
        return found.num_rows
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, MemoryError):
        return 0


@contextmanager
def opened_parquet(file: Path) -> Generator[pq.ParquetFile]:
    """Open a Parquet file. A file that is named as a shard must be the one that was written under that name.
    Raises DataError."""
    try:
        with pq.ParquetFile(_checked(file), page_checksum_verification=True, pre_buffer=False) as opened:
            yield opened
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, MemoryError) as problem:
        why = PULL if is_lfs_pointer(file) else one_line(problem, 120)
        raise DataError(f"{file}: not a Parquet file of images ({why}).") from None


def _checked(file: Path) -> Path | pa.BufferReader:
    """Return what to read a file from; for a shard, the very bytes that were checked against its name."""
    source, whole = read_shard(file)
    if whole is False:
        raise DataError(
            f"{file}: damaged: its SHA-256 is not the one in its name. Remove it and run the purchase "
            "again: asking for the same images again costs no further queries."
        )
    return source


def read_shard(file: Path) -> tuple[Path | pa.BufferReader, bool | None]:
    """Return what to read a shard from, and whether it is the file that was written under its name. The
    second is None if the name does not tell.

    The bytes that were checked are held in memory and returned, unless there are more than MOST_HELD.
    """
    named = SHARD_NAME.fullmatch(file.name)
    if named is None:
        return file, None
    try:
        content = read_bounded(file, MOST_HELD)
    except TooLarge:
        return file, file_digest(file).startswith(named["digest"])
    return pa.BufferReader(content), hashlib.sha256(content).hexdigest().startswith(named["digest"])


def columns_of(schema: pa.Schema) -> str:
    """Return the names of a table's columns as messages list them."""
    return ", ".join(one_line(name, 40) for name in schema.names[:20])


def _column_of(schema: pa.Schema, wanted: str | None, file: Path) -> str:
    """Return the column that holds the images. Raises DataError if there is none, or it does not hold
    images."""
    name = wanted or IMAGE
    if (
        wanted is None
        and name not in schema.names
        and [field.name for field in schema if _of_images(field.type)] == [OTHER]
    ):
        return OTHER
    said = one_line(name, 80)
    if (index := schema.get_field_index(name)) < 0:
        raise DataError(
            f"{file}: not a Parquet file of images (it has no column {said}, but {columns_of(schema)}). "
            f"For a data set, set `image_column` to the column with the images."
        )
    kind = schema.field(index).type
    if not _of_images(kind):
        raise DataError(
            f"{file}: not a Parquet file of images (column {said} is {one_line(kind, 120)}, not a struct "
            "with binary bytes)."
        )
    return name


def _of_images(kind: pa.DataType) -> bool:
    if not isinstance(kind, pa.StructType) or (index := kind.get_field_index("bytes")) < 0:
        return False
    return kind.field(index).type in (pa.binary(), pa.large_binary())


def _require_compression(opened: pq.ParquetFile, file: Path) -> None:
    groups = (opened.metadata.row_group(number) for number in range(opened.metadata.num_row_groups))
    found = {group.column(column).compression for group in groups for column in range(group.num_columns)}
    if not found <= COMPRESSIONS:
        raise DataError(
            f"{file}: compressed as {', '.join(sorted(found - COMPRESSIONS))}, which cannot be read. PNG and "
            "JPEG are compressed already: write the file with compression none or snappy."
        )


def _cell(cell: bytes | None, name: str) -> tuple[bytes, str]:
    if cell is None:
        raise DataError(f"{name}: holds no bytes. Store the images themselves, not paths.")
    return cell, name
