"""An audit's directory: whose it is, who is at work in it, and what was written out of it.

audit.json    the audit's name, and where its spec came from; written first
.lock         held by the process that is at work
.assembled    written last: the key of what the results were made from, and the digest of every file that came out
"""

from pathlib import Path
from typing import Literal

from ganguard import __version__
from ganguard.base.cache import file_digest, write_json
from ganguard.base.errors import DataError, SpecError
from ganguard.base.locks import LOCK
from ganguard.base.settings import Settings, read_record
from ganguard.results.records import read_results

OWNER = "audit.json"
ASSEMBLED = ".assembled"
_COPIES = ("grids", "features", "checkpoints", "directions")  # directories that what steps made is copied to
_WRITTEN_OUT = ("results.json", "results.parquet", "report.html", *_COPIES)
_OF_COPIES = frozenset({".png", ".json", ".safetensors"})


class Owner(Settings):
    """What audit.json says: the name of the audit, where its spec came from (None where that was not
    recorded), and which ganguard began it."""

    format: Literal[1] = 1
    name: str
    source: str | None = None
    ganguard: str = __version__


class Assembled(Settings):
    """What .assembled says. files: SHA-256 of every file that came out, by its path in the directory."""

    key: str
    files: dict[str, str]


def owner_of(directory: Path) -> str | None:
    """The name of the audit that a directory belongs to; None where it is free. Raises SpecError where it
    holds other files."""
    if recorded := _recorded(directory):
        return recorded.name
    try:
        return read_results(directory).name  # of a ganguard that wrote no audit.json
    except DataError:
        pass
    begun = (directory / LOCK).exists() and (directory / "steps").is_dir()
    others = sorted(file.name for file in directory.iterdir() if not file.name.startswith("."))
    if others and not begun:
        raise SpecError(
            f"{directory}: holds {others[0]}, which no audit wrote. Choose another --out, new or empty."
        )
    return None


def _recorded(directory: Path) -> Owner | None:
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
    """Raise SpecError where a directory belongs to an audit of another name or spec file, or holds other
    files.

    source: where the spec came from; None where that is not known.
    """
    owner = owner_of(directory)
    if owner not in (None, name):
        raise SpecError(
            f"{directory}: holds the audit {owner!r}, and this one is {name!r}. Choose another --out."
        )
    recorded = _recorded(directory)
    if recorded and source and recorded.source not in (None, source):
        raise SpecError(
            f"{directory}: holds the audit of {recorded.source}, and this one is of {source}. Choose "
            f"another --out; or, if the spec was moved, remove {directory / OWNER} and run the same command "
            "again."
        )


def take(directory: Path, name: str, source: str | None = None) -> None:
    """Make a directory the audit's own, under its lock. Raises SpecError where it is another's."""
    require_ours(directory, name, source)
    recorded = _recorded(directory)
    owner = recorded or Owner(name=name)
    if owner.source is None and source is not None:
        owner = owner.model_copy(update={"source": source})
    if owner != recorded:
        write_json(directory / OWNER, owner.model_dump(mode="json"))


def write_assembled(directory: Path, key: str) -> None:
    """Record that everything was written out, and what."""
    record = Assembled(
        key=key, files={file: file_digest(directory / file) for file in _written_out(directory)}
    )
    write_json(directory / ASSEMBLED, record.model_dump(mode="json"))


def read_assembled(directory: Path) -> Assembled | None:
    """What the last run wrote out; None where it did not finish, or its record is damaged."""
    try:
        return read_record(directory / ASSEMBLED, Assembled, DataError)
    except DataError:
        return None


def changed_files(directory: Path, assembled: Assembled) -> list[str]:
    """What is absent of the files that came out, or is not as it was written."""
    return [file for file, digest in assembled.files.items() if not _is(directory / file, digest)]


Copies = dict[Path, tuple[int, int]]


def copies_in(directory: Path) -> Copies:
    """Every file that an audit copies beside its results, and what tells whether it is written anew: inode
    and time."""
    files = (
        file for name in _COPIES for file in (directory / name).rglob("[!.]*") if file.suffix in _OF_COPIES
    )
    return {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in files if file.is_file()}


def remove_stale(directory: Path, before: Copies) -> None:
    """Remove the copies that were there `before` and were not written anew: the results no longer name
    them."""
    for file, written in copies_in(directory).items():
        if before.get(file) == written:
            file.unlink()
            if not any(file.parent.iterdir()):
                file.parent.rmdir()


def _is(file: Path, digest: str) -> bool:
    try:
        return file_digest(file) == digest
    except OSError:
        return False


def _written_out(directory: Path) -> list[str]:
    found = [directory / name for name in _WRITTEN_OUT]
    files = [
        file for path in found for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()
    ]
    return sorted(file.relative_to(directory).as_posix() for file in files)
