"""Images a few at a time, for `extract_stream`: of Parquet files and of a folder that memory would not hold whole."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from ganguard.base.codecs import decode_image
from ganguard.base.compute import cores
from ganguard.base.errors import DataError
from ganguard.data.image_folder import SUFFIXES, ImageFolder, centre_crop_resize
from ganguard.data.parquet import read_parquet
from ganguard.metrics.features.network import CHUNK


def shard_chunks(files: Iterable[Path], count: int | None = None) -> Iterator[Tensor]:
    """The first `count` images (all, if None) of Parquet files, one file's (n, C, H, W) uint8 at a time, in the order given.

    Raises DataError as `read_parquet` does.
    """
    left = count
    for file in files:
        if left == 0:
            return
        images = read_parquet([file], left)
        left = None if left is None else left - len(images)
        yield images


def folder_files(folder: ImageFolder) -> list[Path]:
    """The image files of a folder, in the order of `ImageFolder.load`. Raises DataError where there are none."""
    root = Path(folder.path)
    files = sorted(file for file in root.rglob("*") if file.is_file() and file.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"{root}: no such folder of images, or none in it. Give the path of a folder that holds some.")
    return files


def folder_chunks(folder: ImageFolder, size: int = CHUNK) -> Iterator[Tensor]:
    """The images of a folder, as `ImageFolder.load` reads them, `size` (n, C, H, W) uint8 at a time. Raises DataError."""
    files = folder_files(folder)
    channels = folder.channels or decode_image(files[0], str(files[0])).shape[0]

    def read(file: Path) -> Tensor:
        image = decode_image(file, str(file), channels)
        return image if folder.size is None else centre_crop_resize(image, folder.size)

    first = read(files[0])
    with ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(files), size):
            chunk = files[start : start + size]
            images = list(pool.map(read, chunk))
            for file, image in zip(chunk, images, strict=True):
                if image.shape != first.shape:
                    raise DataError(
                        f"{file}: {image.shape[2]}x{image.shape[1]} pixels, but {files[0].name} has "
                        f"{first.shape[2]}x{first.shape[1]}. Set `size` to crop and resize them all."
                    )
            yield torch.stack(images)
