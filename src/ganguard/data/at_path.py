"""Which data set lies at a path, and what is said of a path where none lies."""

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

from ganguard.base.codecs import unreadable
from ganguard.base.errors import SpecError, unknown_name
from ganguard.base.settings import one_line
from ganguard.data import DATASETS
from ganguard.data.encoded import named_as_image
from ganguard.data.held import held
from ganguard.data.lmdb_files import begins_as_lmdb
from ganguard.data.stray import is_stray

IN_FILES = frozenset({"idx", "image_folder", "image_zip", "lsun_lmdb", "parquet"})
"""Kinds of data sets that a path names."""
_IDX = "idx3-ubyte"  # part of the name of MNIST's files of images
_BINARY = (
    "Download CIFAR's binary version, and give {{kind: cifar{}, path: …}} of its archive or folder; without "
    "`path` it is downloaded."
)
_ENDINGS = {".zip": "image_zip", ".parquet": "parquet"}
_FIRST_BYTES = {b"PK\x03\x04": "image_zip", b"PAR1": "parquet", b"\0\0\x08\x03": "idx"}


def kind_at(path: Path) -> str | None:
    """Return the kind of data set that lies at a path, or None if there is none.

    A folder may hold LMDBs, Parquet files of images, or image files, at any depth; if it holds several kinds,
    the one with the most images counts. A file may be a zip, Parquet or idx file or an LMDB, by its first
    bytes if its name does not tell. Raises SpecError if there is something else that may be taken for a data
    set.
    """
    try:
        if path.is_dir():
            return _kind_of_folder(path)
        if not path.is_file():
            return None
    except PermissionError as problem:
        raise unreadable(one_line(path, 200), problem) from None
    except (OSError, ValueError):  # a text that cannot be a path
        return None
    if kind := "idx" if _IDX in path.name.lower() else _ENDINGS.get(path.suffix.lower()):
        return kind
    return _kind_by_content(path)


def _kind_of_folder(path: Path) -> str:
    def holds(pattern: str) -> bool:
        return any(not is_stray(file.relative_to(path).parts) for file in path.glob(pattern))

    name = one_line(path, 200)
    if holds("checkpoint.json"):
        raise SpecError(f"{name}: a generator, and images are wanted. Harvest some from it first.")
    if holds("checkpoint/checkpoint.json"):
        raise SpecError(
            f"{name}: holds a generator, {name}/checkpoint, which can be measured, but no set of images."
        )
    if holds("results.json") and holds("report.html"):
        raise SpecError(f"{name}: the directory of an audit, whose pictures are no set of images.")
    if said := _cifar(name, holds):
        raise SpecError(said)
    found = held(path).kind
    if found != "lsun_lmdb" and holds(f"*{_IDX}*"):
        raise SpecError(f"{name}: holds idx files. Name the one with the images, such as {_first_idx(path)}.")
    return found


def _cifar(name: str, holds: Callable[[str], bool]) -> str:
    """Return what is said of a folder of CIFAR's files, in whichever version; empty for another folder."""
    for which, first in (("cifar10", "data_batch_1"), ("cifar100", "train")):
        of = "" if which == "cifar10" else f", set: {which}"
        if holds(f"{first}.bin") and (which == "cifar10" or holds("test.bin")):
            return f"{name}: holds CIFAR's batches. Give {{kind: cifar{of}, path: {name}}}."
        if holds(first) and holds("batches.meta" if which == "cifar10" else "meta"):
            return f"{name}: holds CIFAR's batches as pickles, which are not read. {_BINARY.format(of)}"
    return ""


def _kind_by_content(path: Path) -> str:
    """Return the kind of a file whose name does not tell, by its first bytes. Raises SpecError if it is of
    none."""
    name = one_line(path, 200)
    if named_as_image(path):
        raise SpecError(f"{name}: one image, and a set of them is wanted. Give the folder that holds it.")
    if path.suffix.lower() == ".npz":
        raise SpecError(
            f"{name}: NumPy's archives can only be measured (`ganguard measure`). Write the images as files "
            "into a folder."
        )
    if path.name.lower().startswith("cifar-") and ".tar" in path.name.lower():
        of = ", set: cifar100" if "100" in path.name else ""
        if "python" in path.name.lower():
            raise SpecError(f"{name}: CIFAR's archive of pickles, which are not read. {_BINARY.format(of)}")
        raise SpecError(f"{name}: an archive of CIFAR. Give {{kind: cifar{of}, path: {name}}}.")
    try:
        with path.open("rb") as opened:
            first = opened.read(4)
    except OSError as problem:
        raise unreadable(name, problem) from None
    if kind := "lsun_lmdb" if begins_as_lmdb(path) else _FIRST_BYTES.get(first):
        return kind
    raise SpecError(
        f"{name}: no file of images that can be read. Give a folder of images, an LMDB, or a file whose name "
        f"ends in {', '.join(_ENDINGS)}, or contains idx3-ubyte."
    )


def _first_idx(path: Path) -> str:
    return one_line(sorted(path.glob(f"*{_IDX}*"))[-1], 200)


def not_found(text: str) -> str:
    """Return what is said of a text that is no path and no name of a data set."""
    known, path = sorted(DATASETS.table()), Path(text)
    if not text.strip() or ("/" not in text and get_close_matches(text, known, n=1, cutoff=0.6)):
        return f"{unknown_name('data set', text, known)}. Or give the path of a folder of images."
    try:
        # A link to nothing is listed, and is not there.
        beside = sorted(str(path.parent / file.name) for file in path.parent.iterdir() if file.exists())
    except (OSError, ValueError):
        beside = []
    near = get_close_matches(text, beside, n=1, cutoff=0.6)
    hint = f"; did you mean {one_line(near[0], 200)!r}?" if near else "."
    return (
        f"{one_line(text, 200)!r}: no such file or folder, and no data set of that name{hint} Data sets: "
        f"{', '.join(known)}."
    )
