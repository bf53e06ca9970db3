"""The answers of an API that charges for each of them, kept on disk before anything is made of them.

Image i of a seed is what the API once answered when it was asked for that image. The answer is stored as it
came, so that a crash, an answer that cannot be read, or a wrong setting loses nothing that was charged.
Beside it lies a note of what was sent: a byte before each request, and another one if that request is known
to have bought nothing.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ganguard.base.cache import write_bytes
from ganguard.base.locks import locked
from ganguard.base.settings import read_bounded

_SENT, _FREE = b"s", b"f"
_A_FOLDER = 1000  # images


def answers_directory() -> Path:
    """Return where answers are kept unless a spec says so: $XDG_DATA_HOME/ganguard/answers, or
    ~/.local/share/ganguard/answers. It is no cache: what lies there was paid for."""
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return home / "ganguard" / "answers"


@dataclass(frozen=True)
class KeptAnswer:
    """What is kept of one image, while its lock is held.

    Attributes:
        answer: file of the answer as it came.
        picture: file of the image that was fetched from the address in the answer, if there was one.
    """

    answer: Path
    picture: Path
    _note: Path

    def unanswered(self) -> int:
        """Return how many requests may have bought an image that never came."""
        said = self._note.read_bytes() if self._note.exists() else b""
        return said.count(_SENT) - said.count(_FREE) - self.answer.exists()

    def sending(self) -> None:
        """Note, durably, that a request is sent now."""
        self._append(_SENT)

    def bought_nothing(self) -> None:
        """Note that the last request bought nothing."""
        self._append(_FREE)

    def _append(self, mark: bytes) -> None:
        with self._note.open("ab") as file:
            file.write(mark)
            file.flush()
            os.fsync(file.fileno())

    def read(self, path: Path, most: int) -> bytes | None:
        """Return the content of `answer` or `picture`, or None if it is not there."""
        return read_bounded(path, most) if path.exists() else None

    def write(self, path: Path, content: bytes) -> None:
        """Store `answer` or `picture`, durably."""
        write_bytes(path, content)


@dataclass(frozen=True)
class Answers:
    """The answers of one API to one request, by seed and image."""

    directory: Path

    @contextmanager
    def of(self, seed: int, index: int) -> Generator[KeptAnswer]:
        """Hold the lock of an image while the body runs, so that no other process asks for it too."""
        folder = self.directory / str(seed) / f"{index // _A_FOLDER * _A_FOLDER:010d}"
        note = folder / f"{index:010d}.sent"
        with locked(note, wait=True):  # creates the note, if it is not there
            yield KeptAnswer(folder / f"{index:010d}.answer", folder / f"{index:010d}.image", note)

    @contextmanager
    def turn(self) -> Generator[Path]:
        """Hold the lock of the rate while the body runs; yield the file of the time of the last request."""
        with locked(self.directory / "rate.lock", wait=True):
            yield self.directory / "rate"
