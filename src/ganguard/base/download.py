"""Published weights and data sets, downloaded once to the user's cache.

A download is kept only if its SHA-256 is the pinned one.
"""

import hashlib
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

from ganguard.base.cache import atomic_path, file_digest
from ganguard.base.errors import CheckpointError, InputError
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import one_line

PIECE = 1 << 20  # bytes that are read at once
PATIENCE = 60.0  # seconds to wait for a byte before giving up


def download(
    url: str,
    file: Path,
    sha256: str,
    most: int,
    *,
    error: type[InputError] = CheckpointError,
    progress: Progress = silent,
) -> Path:
    """Return `file`, downloaded from `url` unless it is already there and intact.

    It appears by atomic rename. Raises `error` if the download fails, or is not the file that was
    published.

    Args:
        url: address of the file.
        file: where to keep it.
        sha256: SHA-256 of the published file.
        most: bytes after which the download is given up.
        error: what is raised.
        progress: told how many of `most` bytes have come.
    """
    if file.is_file() and file_digest(file) == sha256:
        return file
    digest, size = hashlib.sha256(), 0
    with atomic_path(file) as temporary:
        with temporary.open("wb") as out:
            for piece in _pieces(url, file.name, error):
                size += len(piece)
                if size > most:
                    raise error(
                        f"{url}: sent more than {most:,} bytes, but {file.name} is smaller. "
                        f"{_by_hand(file.name)}"
                    )
                digest.update(piece)
                out.write(piece)
                progress(size, most, "downloading")
        if digest.hexdigest() != sha256:
            raise error(
                f"{url}: sent {size:,} bytes with the SHA-256 {digest.hexdigest()}, but {file.name} was "
                f"published with {sha256}. Try again. {_by_hand(file.name)}"
            )
    return file


def _pieces(url: str, name: str, error: type[InputError]) -> Iterator[bytes]:
    """Yield the bytes at a URL, a piece at a time. Raises `error` if the download fails."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            while piece := response.read(PIECE):
                yield piece
    except (OSError, HTTPException, ValueError) as problem:
        said = one_line(problem, 120)
        raise error(f"{url}: cannot be downloaded ({said}). Check the network. {_by_hand(name)}") from None


def _by_hand(name: str) -> str:
    return f"Or download {name} on another machine, and set `path` to the file."
