"""A folder of image files. Labels come from StyleGAN's dataset.json, or else the subfolders are classes."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from ganguard.base.cache import content_key
from ganguard.base.codecs import unreadable
from ganguard.base.errors import DataError
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import TooLarge, read_bounded
from ganguard.data.dataset import RealImages
from ganguard.data.dataset_json import LABELS, SaidClasses, said_labels
from ganguard.data.encoded import SUFFIXES, Encoded, Found, load_encoded, named_as_image
from ganguard.data.folder_classes import FolderClasses, folder_classes
from ganguard.data.folder_images import FolderImages
from ganguard.data.stray import stray_files
from ganguard.data.walk import files_of

MOST_LABELS = 256 << 20  # bytes of a dataset.json; the same limit as inside a zip


class ImageFolder(FolderImages):
    """Every image file below `path`, in the order of its relative path.

    If `path` holds a `dataset.json`, as StyleGAN2-ADA's dataset_tool writes it, that gives the classes, or
    says that there are none. Otherwise the subfolders are classes, unless they are splits or shards, or some
    image lies in no subfolder. `class_folders` decides before both. Stray files (`ganguard.data.stray`) are
    left out, and stray folders are no classes.
    """

    kind: Literal["image_folder"] = "image_folder"

    def fingerprint(self) -> str:
        """Return a text that changes with any file's path, size or times of change. Raises DataError if there
        is no folder of images."""
        return self._fingerprint(image_files(Path(self.path)))

    def load(self, progress: Progress = silent) -> RealImages:
        """Return all images, with labels if there are two or more classes. Raises DataError."""
        files = image_files(Path(self.path))
        names = [file.relative_to(self.path).as_posix() for file in files]
        found = self._classes(names)

        @contextmanager
        def opened() -> Generator[Found]:
            images = [
                Encoded(str(file), at(file), found.labels[name], name)
                for file, name in zip(files, names, strict=True)
            ]
            yield Found(images, len(images))

        return self.described(load_encoded(self, self._fingerprint(files), opened, progress), found.decided)

    def _fingerprint(self, files: list[Path]) -> str:
        said = Path(self.path) / LABELS
        return content_key(files=[file_state(file) for file in [*files, *([said] if said.is_file() else [])]])

    def _classes(self, names: list[str]) -> FolderClasses | SaidClasses:
        """Return the class of each image by its relative path: the one in the folder's dataset.json, or
        without such a file what the folders say."""
        file = Path(self.path) / LABELS
        if self.class_folders or not file.is_file():
            return folder_classes(names, self.class_folders, self.path)
        try:
            content = read_bounded(file, MOST_LABELS)
        except TooLarge as problem:
            raise DataError(f"{file}: {problem}.") from None
        except OSError as problem:
            raise unreadable(str(file), problem) from None
        return SaidClasses(said_labels(content, str(file), set(names)))


def at(file: Path) -> Callable[[], Path]:
    """Return a function that returns `file`, or raises DataError if it is a link to nothing."""

    def there() -> Path:
        if _leads_nowhere(file):
            raise DataError(f"{file}: a link to nothing. Remove it, or put back the file it points to.")
        return file

    return there


def file_state(file: Path) -> tuple[str, int, int, int]:
    """Return a file's path, size and both times of change; another content gives another state. Raises
    DataError if the file cannot be read.

    The time of modification can be set, and programs that copy files set it (`cp -p`, `rsync -t`, `tar`). The
    time of the inode's change cannot be set.
    """
    try:
        state = file.stat()
    except OSError as problem:
        if not _leads_nowhere(file):
            raise DataError(
                f"{file}: cannot be read ({problem.strerror}). Give the path of a file that exists."
            ) from None
        state = file.lstat()
    return str(file), state.st_size, state.st_mtime_ns, state.st_ctime_ns


def image_files(folder: Path) -> list[Path]:
    """Return the image files of a folder and below, in order. Raises DataError if there are none, and another
    InputError if a folder cannot be read.

    Links to folders are followed. A folder is entered once, by its own path if that lies below `folder`,
    otherwise by the first link to it. So circles of links end, and no image comes twice. A link to nothing is
    listed too if an image or a folder may have been there.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of images. Give the path of a folder that exists.")
    try:
        files = sorted(filter(_is_image, files_of(folder)))
    except OSError as problem:
        raise unreadable(str(problem.filename or folder), problem) from None
    if not files:
        raise DataError(
            f"{folder}: holds no image files ({', '.join(sorted(SUFFIXES))}){hidden(stray_files(folder))}. "
            "Give a folder that holds some."
        )
    return files


def hidden(stray: int) -> str:
    """Return what an error adds about stray files, if there are any."""
    files = "file" if stray == 1 else "files"
    return f", besides {stray:,} {files} hidden or of an operating system" if stray else ""


def _is_image(file: Path) -> bool:
    if named_as_image(file):
        return file.is_file() or _leads_nowhere(file)
    return not file.suffix and _leads_nowhere(file)


def _leads_nowhere(file: Path) -> bool:
    return file.is_symlink() and not file.exists()
