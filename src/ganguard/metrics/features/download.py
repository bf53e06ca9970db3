"""Published weights, fetched once to the user's cache. What arrives is put there only where its SHA-256 is
the pinned one."""

import hashlib
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

from ganguard.base.cache import atomic_path, file_digest
from ganguard.base.errors import CheckpointError
from ganguard.base.settings import one_line

PIECE = 1 << 20  # bytes that are read at once
PATIENCE = 60.0  # seconds without a byte before the server is given up


def download(url: str, file: Path, sha256: str, most: int) -> Path:
    """`file`, fetched from `url` unless it is there and whole; `most` bytes are read. It appears by atomic
    rename.

    Raises CheckpointError where nothing can be fetched, or what came is not what was published.
    """
    if file.is_file() and file_digest(file) == sha256:
        return file
    digest, size = hashlib.sha256(), 0
    with atomic_path(file) as temporary:
        with temporary.open("wb") as out:
            for piece in _pieces(url, file.name):
                size += len(piece)
                if size > most:
                    raise CheckpointError(
                        f"{url}: more than {most:,} bytes came, and {file.name} is smaller. "
                        f"{_by_hand(file.name)}"
                    )
                digest.update(piece)
                out.write(piece)
        if digest.hexdigest() != sha256:
            raise CheckpointError(
                f"{url}: what came, {size:,} bytes, has the SHA-256 {digest.hexdigest()}, and {file.name} "
                f"was published with {sha256}. Try again. {_by_hand(file.name)}"
            )
    return file


def _pieces(url: str, name: str) -> Iterator[bytes]:
    """The bytes at a URL, a piece at a time. Raises CheckpointError where they do not come."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            while piece := response.read(PIECE):
                yield piece
    except (OSError, HTTPException, ValueError) as problem:
        said = one_line(problem, 120)
        raise CheckpointError(
            f"{url}: cannot be downloaded ({said}). Look at the network. {_by_hand(name)}"
        ) from None


def _by_hand(name: str) -> str:
    return f"Or download {name} elsewhere, and set `path` to where it is."
