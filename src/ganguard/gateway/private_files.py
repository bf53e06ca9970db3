"""Private files: the gateway's directory, its ledger and its secret belong to the gateway's user alone.

Whoever may open the ledger, even only to read, may also lock it, and a lock that is kept stops all sales.
"""

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ganguard.base.errors import SpecError
from ganguard.gateway.spec import GatewaySpec

SECRET = "secret"
_DIRECTORY, _FILE = 0o700, 0o600
_BESIDE = ("", "-wal", "-shm", "-journal")  # endings of the files that SQLite keeps for a database


class _Wrong(NamedTuple):
    """What is wrong with a file, and the command that mends it."""

    what: str
    remedy: str


def keep_private(spec: GatewaySpec) -> None:
    """Make the gateway's directory and the file of its ledger, if they are absent, for this user alone.

    SQLite gives the mode of that file to all others that it makes. Raises SpecError if the directory, the
    ledger or the secret may be opened by others, if any of them belongs to neither this user nor root, or if
    one of the files is a link: a link's target may lie where others can replace it. The spec's directory is
    one that links were followed to already. Windows has no such modes, and nothing is checked there.
    """
    if os.name != "posix":
        return
    directory, place = Path(spec.directory), spec.place()
    _make(directory)
    ledger = [place.with_name(place.name + ending) for ending in _BESIDE] if isinstance(place, Path) else []
    wrong = list(_wrong_directory(directory))
    for file in [*ledger, directory / SECRET]:
        if os.path.lexists(file):
            wrong += _wrong_file(file)
    if wrong:
        found = "; ".join(one.what for one in wrong)
        remedies = " && ".join(one.remedy for one in wrong)
        raise SpecError(
            f"the gateway's files must be for its user alone, but {found}. End what uses them, and run: "
            f"{remedies} (or set `directory` to another)."
        )
    if isinstance(place, Path):
        with suppress(FileExistsError):
            os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE))


def _make(directory: Path) -> None:
    """Create the directory if it is absent, with its mode from the beginning, whatever the umask.

    Raises SpecError if something else is there.
    """
    if directory.is_dir():
        return
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(_DIRECTORY)
        directory.chmod(_DIRECTORY)
    except FileExistsError:
        if not directory.is_dir():  # otherwise another process made it meanwhile
            raise SpecError(
                f"{directory}: must be the gateway's directory; found something else. Set `directory` to "
                "another."
            ) from None


def _wrong_directory(directory: Path) -> Iterator[_Wrong]:
    yield from _wrong_owner(directory, directory.stat())
    yield from _wrong_mode(directory, directory.stat(), _DIRECTORY)


def _wrong_file(file: Path) -> Iterator[_Wrong]:
    found = file.lstat()
    if not stat.S_ISREG(found.st_mode):
        yield _Wrong(f"{file} is no regular file", f"mv {_quoted(file)} {_quoted(file)}.old")
        return
    yield from _wrong_owner(file, found)
    yield from _wrong_mode(file, found, _FILE)


def _wrong_owner(path: Path, found: os.stat_result) -> Iterator[_Wrong]:
    us = os.geteuid()
    if found.st_uid not in (us, 0):
        yield _Wrong(f"{path} belongs to user {found.st_uid}", f"chown {us} {_quoted(path)}")


def _wrong_mode(path: Path, found: os.stat_result, wanted: int) -> Iterator[_Wrong]:
    mode = stat.S_IMODE(found.st_mode)
    if mode & ~wanted & 0o777:
        yield _Wrong(f"{path} has mode {mode:04o}", f"chmod {wanted:o} {_quoted(path)}")


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
