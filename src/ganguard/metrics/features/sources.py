"""Images a few at a time, for `extract_stream`: of Parquet files and of a folder that memory would not hold
whole."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from ganguard.data.encoded import Encoded, Skips, decoded_images
from ganguard.data.image_folder import ImageFolder, at, image_files
from ganguard.data.parquet import read_parquet
from ganguard.metrics.features.network import CHUNK


def shard_chunks(files: Iterable[Path], count: int | None = None) -> Iterator[Tensor]:
    """The first `count` images (all, if None) of Parquet files, one file's (n, C, H, W) uint8 at a time, in
    the order given.

    Raises DataError as `read_parquet` does.
    """
    left = count
    for file in files:
        if left == 0:
            return
        images = read_parquet([file], left)
        left = None if left is None else left - len(images)
        yield images


def folder_chunks(folder: ImageFolder, size: int = CHUNK) -> Iterator[Tensor]:
    """The images of a folder, as `ImageFolder.load` reads them, `size` (n, C, H, W) uint8 at a time. Raises
    DataError."""
    files = image_files(Path(folder.path))
    images = decoded_images(
        folder, (Encoded(str(file), at(file)) for file in files), Skips(folder.on_bad_image)
    )
    while chunk := [image for _, image in islice(images, size)]:
        yield torch.stack(chunk)
