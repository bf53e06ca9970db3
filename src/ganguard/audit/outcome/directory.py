"""An audit's directory: which audit it belongs to, and the files that an audit leaves beside its steps.

audit.json    the audit's name, and where its spec came from; written first
.lock         held by the process that is at work
.assembled    written last: the key of what the results were made from, and the digest of every output file
"""

from pathlib import Path
from typing import Literal

from ganguard import __version__
from ganguard.base.cache import file_digest, write_json
from ganguard.base.errors import DataError, SpecError
from ganguard.base.locks import LOCK
from ganguard.base.settings import Settings, read_record

OWNER = "audit.json"
ASSEMBLED = ".assembled"
_COPIES = ("grids", "features", "checkpoints", "directions")  # directories that files of steps are copied to
_WRITTEN_OUT = ("results.json", "results.parquet", "report.html", *_COPIES)
_OF_COPIES = frozenset({".png", ".json", ".safetensors"})


class Owner(Settings):
    """The content of audit.json.

    Attributes:
        format: version of this format.
        name: the audit's name.
        source: where its spec came from; None if that is not known.
        ganguard: version of the package that began the audit.
    """

    format: Literal[1] = 1
    name: str
    source: str | None = None
    ganguard: str = __version__


class Assembled(Settings):
    """The content of .assembled.

    Attributes:
        key: digest of everything that the results were made from.
        files: SHA-256 of every output file, by its path in the directory.
    """

    key: str
    files: dict[str, str]


def owner_of(directory: Path) -> str | None:
    """Return the name of the audit that a directory belongs to, or None if it belongs to none.

    Raises SpecError if it holds other files.
    """
    if recorded := _recorded(directory):
        return recorded.name
    # An audit that lost its audit.json is still told by its lock and its steps.
    begun = (directory / LOCK).exists() and (directory / "steps").is_dir()
    others = sorted(file.name for file in directory.iterdir() if not file.name.startswith("."))
    if others and not begun:
        raise SpecError(
            f"{directory}: holds {others[0]}, which no audit wrote. Choose another --out, new or empty."
        )
    return None


def _recorded(directory: Path) -> Owner | None:
    """Return the content of audit.json, or None if it is absent. Raises SpecError if it is damaged."""
    path = directory / OWNER
    if not path.exists():
        return None
    try:
        return read_record(path, Owner, SpecError)
    except SpecError:
        raise SpecError(
            f"{path}: not what an audit writes, or damaged. Remove it if the audit in {directory} is this "
            "one, or choose another --out."
        ) from None


def require_ours(directory: Path, name: str, source: str | None = None) -> None:
    """Raise SpecError if a directory belongs to an audit of another name or spec, or holds other files.

    source: where the spec came from; None if that is not known.
    """
    owner = owner_of(directory)
    if owner not in (None, name):
        raise SpecError(
            f"{directory}: holds the audit {owner!r}, and this one is {name!r}. Choose another --out."
        )
    recorded = _recorded(directory)
    if recorded and source and recorded.source not in (None, source):
        raise SpecError(
            f"{directory}: holds the audit of {recorded.source}, and this one is of {source}. "
            f"Choose another --out; or, if the spec was moved, remove {directory / OWNER} and run the same "
            "command again."
        )


def take(directory: Path, name: str, source: str | None = None) -> None:
    """Mark a directory as the audit's own; the caller holds its lock. Raises SpecError as `require_ours`."""
    require_ours(directory, name, source)
    recorded = _recorded(directory)
    owner = recorded or Owner(name=name)
    if owner.source is None and source is not None:
        owner = owner.model_copy(update={"source": source})
    if owner != recorded:
        write_json(directory / OWNER, owner.model_dump(mode="json"))


def write_assembled(directory: Path, key: str) -> None:
    """Record that all output was written, with the digest of every file."""
    record = Assembled(
        key=key, files={file: file_digest(directory / file) for file in _written_out(directory)}
    )
    write_json(directory / ASSEMBLED, record.model_dump(mode="json"))


def read_assembled(directory: Path) -> Assembled | None:
    """Return the record of the last run's output; None if that run did not finish, or it is damaged."""
    try:
        return read_record(directory / ASSEMBLED, Assembled, DataError)
    except DataError:
        return None


def changed_files(directory: Path, assembled: Assembled) -> list[str]:
    """Return the output files that are absent, or not as they were written."""
    return [file for file, digest in assembled.files.items() if not _is(directory / file, digest)]


Copies = dict[Path, tuple[int, int]]
"""File -> inode and time of modification, which change if it is written again."""


def copies_in(directory: Path) -> Copies:
    """Return every file that an audit copies beside its results."""
    below = [file for name in _COPIES for file in (directory / name).rglob("[!.]*")]
    files = [file for file in below if file.suffix in _OF_COPIES and file.is_file()]
    return {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in files}


def remove_stale(directory: Path, before: Copies) -> None:
    """Remove copies that were there `before` and were not written again: the results no longer name them."""
    for file, written in copies_in(directory).items():
        if before.get(file) == written:
            file.unlink()
            if not any(file.parent.iterdir()):
                file.parent.rmdir()


def _is(file: Path, digest: str) -> bool:
    """Return whether a file is there and has that SHA-256."""
    try:
        return file_digest(file) == digest
    except OSError:
        return False


def _written_out(directory: Path) -> list[str]:
    """Return the paths in the directory of all output files."""
    found = [directory / name for name in _WRITTEN_OUT]
    below = [file for path in found for file in (path, *path.rglob("*"))]
    return sorted(file.relative_to(directory).as_posix() for file in below if file.is_file())
