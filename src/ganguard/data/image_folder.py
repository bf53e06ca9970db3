"""A folder of image files; subfolders, where there are any, are classes."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

from ganguard.base.cache import content_key
from ganguard.base.errors import DataError
from ganguard.base.progress import Progress, silent
from ganguard.data.dataset import RealImages
from ganguard.data.encoded import SUFFIXES, Encoded, EncodedImages, Found, folder_class, load_encoded


class ImageFolder(EncodedImages):
    """Every image file below `path`, in the order of its relative path."""

    kind: Literal["image_folder"] = "image_folder"

    def fingerprint(self) -> str:
        """Changes with any file's path, size or time of change. Raises DataError where there is no folder of images."""
        return content_key(files=[file_state(file) for file in image_files(Path(self.path))])

    def load(self, progress: Progress = silent) -> RealImages:
        """All images and, where there are two or more subfolders, the labels. Raises DataError."""
        return load_encoded(self, self.fingerprint(), self._opened, progress)

    @contextmanager
    def _opened(self) -> Generator[Found]:
        root, files = Path(self.path), image_files(Path(self.path))
        yield Found([Encoded(str(file), at(file), folder_class(file.relative_to(root).parts)) for file in files], len(files))


def at(file: Path) -> Callable[[], Path]:
    """What gives `file`."""
    return partial(Path, file)


def file_state(file: Path) -> tuple[str, int, int]:
    """Path, size and time of change: other content has another. Raises DataError where the file is not to be had."""
    try:
        state = file.stat()
    except OSError as problem:
        raise DataError(f"{file}: cannot be read ({problem.strerror}). Give the path of a file that exists.") from None
    return str(file), state.st_size, state.st_mtime_ns


def image_files(folder: Path) -> list[Path]:
    """The image files of a folder and below, in order. Raises DataError where there are none."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of images. Give the path of a folder that exists.")
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"{folder}: holds no image files ({', '.join(sorted(SUFFIXES))}). Give a folder that does.")
    return files
