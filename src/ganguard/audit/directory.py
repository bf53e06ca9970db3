"""An audit's directory: whose it is, who is at work in it, and what was written out of it.

audit.json    the audit's name, written first
.lock         held by the process that is at work
.assembled    written last: the key of what the results were made from, and the digest of every file that came out
"""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from ganguard import __version__
from ganguard.audit.results import read_results
from ganguard.base.cache import file_digest, write_json
from ganguard.base.errors import DataError, SpecError
from ganguard.base.settings import Settings

OWNER = "audit.json"
LOCK = ".lock"
ASSEMBLED = ".assembled"
_WRITTEN_OUT = ("results.json", "results.parquet", "report.html", "grids", "features", "checkpoints")


class Owner(Settings):
    """What audit.json says: the name of the audit, and which ganguard began it."""

    format: Literal[1] = 1
    name: str
    ganguard: str = __version__


class Assembled(Settings):
    """What .assembled says. files: SHA-256 of every file that came out, by its path in the directory."""

    key: str
    files: dict[str, str]


def owner_of(directory: Path) -> str | None:
    """The name of the audit that a directory belongs to; None where it is free. Raises SpecError where it holds other files."""
    path = directory / OWNER
    if path.exists():
        try:
            return Owner.model_validate_json(path.read_bytes()).name
        except ValidationError:
            raise SpecError(
                f"{path}: not what an audit writes, or damaged. Remove it if the audit in {directory} is this one, or choose "
                f"another --out."
            ) from None
    try:
        return read_results(directory).name  # of a ganguard that wrote no audit.json
    except DataError:
        pass
    begun = (directory / LOCK).exists() and (directory / "steps").is_dir()
    others = sorted(file.name for file in directory.iterdir() if not file.name.startswith("."))
    if others and not begun:
        raise SpecError(f"{directory}: holds {others[0]}, which no audit wrote. Choose another --out, new or empty.")
    return None


def require_ours(directory: Path, name: str) -> None:
    """Raise SpecError where a directory belongs to an audit of another name, or holds other files."""
    owner = owner_of(directory)
    if owner not in (None, name):
        raise SpecError(f"{directory}: holds the audit {owner!r}, and this one is {name!r}. Choose another --out.")


def take(directory: Path, name: str) -> None:
    """Make a directory the audit's own, under its lock. Raises SpecError where it is another's."""
    require_ours(directory, name)
    if not (directory / OWNER).exists():
        write_json(directory / OWNER, Owner(name=name).model_dump(mode="json"))


@contextmanager
def alone(directory: Path) -> Generator[None]:
    """Nobody else works in the directory while the body does. Raises SpecError where somebody is at it."""
    with (directory / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SpecError(f"{directory}: another audit is at work here. Wait for it, or choose another --out.") from None
        yield


def write_assembled(directory: Path, key: str) -> None:
    """Record that everything was written out, and what."""
    record = Assembled(key=key, files={file: file_digest(directory / file) for file in _written_out(directory)})
    write_json(directory / ASSEMBLED, record.model_dump(mode="json"))


def read_assembled(directory: Path) -> Assembled | None:
    """What the last run wrote out; None where it did not finish, or its record is damaged."""
    try:
        return Assembled.model_validate_json((directory / ASSEMBLED).read_bytes())
    except (OSError, ValidationError):
        return None


def changed_files(directory: Path, assembled: Assembled) -> list[str]:
    """What is absent of the files that came out, or is not as it was written."""
    return [file for file, digest in assembled.files.items() if not _is(directory / file, digest)]


def _is(file: Path, digest: str) -> bool:
    try:
        return file_digest(file) == digest
    except OSError:
        return False


def _written_out(directory: Path) -> list[str]:
    found = [directory / name for name in _WRITTEN_OUT]
    files = [file for path in found for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    return sorted(file.relative_to(directory).as_posix() for file in files)
