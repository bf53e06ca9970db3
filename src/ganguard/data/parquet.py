"""Images out of Parquet files in the Hugging Face `Image` layout: a struct column `image` of PNG bytes and a path."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from ganguard.base.codecs import decode_image
from ganguard.base.errors import DataError


def read_parquet(files: list[Path], count: int | None = None) -> Tensor:
    """The first `count` images (all, if None) of the files in the order given: (N, C, H, W) uint8. Raises DataError."""
    images: list[Tensor] = []
    with ThreadPoolExecutor() as pool:
        for file in files:
            if count is not None and len(images) >= count:
                break
            images.extend(pool.map(lambda row: decode_image(*row), _png_rows(file)))
    if not images:
        raise DataError("no image in the Parquet files. Give a folder that holds a harvest.")
    for image in images:
        if image.shape != images[0].shape:
            raise DataError(f"images of {tuple(image.shape)} and {tuple(images[0].shape)} in one store.")
    return torch.stack(images[:count])


def _png_rows(file: Path) -> list[tuple[bytes, str]]:
    try:
        column = pq.read_table(file, columns=["image"], page_checksum_verification=True).column("image")
        if not pa.types.is_struct(column.type) or column.type.get_field_index("bytes") < 0:
            raise DataError(f"{file}: not a Parquet file of images (column image is {column.type}, not a struct with bytes).")
        rows: list[bytes | None] = column.flatten()[column.type.get_field_index("bytes")].to_pylist()
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, KeyError) as problem:
        raise DataError(f"{file}: not a Parquet file of images ({problem}).") from None
    return [_png_row(row, f"{file}, row {number}") for number, row in enumerate(rows)]


def _png_row(row: bytes | None, name: str) -> tuple[bytes, str]:
    if row is None:
        raise DataError(f"{name}: holds no bytes. Store the images themselves, not paths.")
    return row, name
