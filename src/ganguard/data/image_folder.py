"""A folder of image files; subfolders, where there are any, are classes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from pydantic import field_validator
from torch import Tensor

from ganguard.base.cache import content_key
from ganguard.base.codecs import decode_image
from ganguard.base.compute import cores
from ganguard.base.errors import DataError
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import Positive, absolute
from ganguard.data.dataset import DatasetSettings, RealImages, room_for

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})


class ImageFolder(DatasetSettings):
    """Every image file below `path`, in the order of its relative path.

    size: side in pixels; each image is centre-cropped to a square and resized to it (Lanczos, antialiased).
        None takes the images as they are: they must then all have one size.
    channels: 1 or 3; None takes the first image's.
    """

    kind: Literal["image_folder"] = "image_folder"
    path: str
    size: Positive | None = None
    channels: Literal[1, 3] | None = None

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str) -> str:
        return absolute(path)

    def fingerprint(self) -> str:
        """Changes with any file's path, size or time of change. Raises DataError where there is no folder of images."""
        files = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in _image_files(Path(self.path))]
        return content_key(files=files)

    def load(self, progress: Progress = silent) -> RealImages:
        """All images and, where there are two or more subfolders, the labels. Raises DataError."""
        files = _image_files(Path(self.path))
        channels = self.channels or decode_image(files[0], str(files[0])).shape[0]
        first = _read(files[0], channels, self.size)
        images = room_for(len(files), first.shape, self.path)

        def read(number: int) -> None:
            image = _read(files[number], channels, self.size)
            if image.shape != first.shape:
                raise DataError(
                    f"{files[number]}: {image.shape[2]}x{image.shape[1]} pixels, but {files[0].name} has "
                    f"{first.shape[2]}x{first.shape[1]}. Set `size` to crop and resize them all."
                )
            images[number] = image

        with ThreadPoolExecutor(cores()) as pool:
            try:
                for done, _ in enumerate(pool.map(read, range(len(files))), 1):
                    progress(done, len(files), "decoding")
            except BaseException:
                pool.shutdown(cancel_futures=True)  # what is wrong with one file need not wait for the others
                raise
        classes, labels = _classes(files, Path(self.path))
        return RealImages(images, labels, classes)


def _image_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of images. Give the path of a folder that exists.")
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"{folder}: holds no image files ({', '.join(sorted(SUFFIXES))}). Give a folder that does.")
    return files


def _read(file: Path, channels: int, size: int | None) -> Tensor:
    image = decode_image(file, str(file), channels)
    return image if size is None else centre_crop_resize(image, size)


def centre_crop_resize(image: Tensor, size: int) -> Tensor:
    """(C, H, W) uint8 to (C, size, size): the largest centred square, resized with an antialiased Lanczos filter."""
    _, height, width = image.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[:, top : top + side, left : left + side]
    if side == size:
        return square.contiguous()
    planes = [Image.fromarray(plane.numpy()).resize((size, size), Image.Resampling.LANCZOS) for plane in square]
    return torch.stack([torch.frombuffer(bytearray(plane.tobytes()), dtype=torch.uint8) for plane in planes]).view(
        -1, size, size
    )


def _classes(files: list[Path], root: Path) -> tuple[tuple[str, ...], Tensor | None]:
    names = [file.relative_to(root).parts[0] if file.parent != root else "" for file in files]
    classes = tuple(sorted(set(names)))
    if len(classes) < 2 or "" in classes:
        return (), None
    return classes, torch.tensor([classes.index(name) for name in names])
