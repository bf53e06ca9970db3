"""The answers of an API that charges for each of them, kept on disk before anything is made of them.

Image i of a seed is what the API once answered when it was asked for that image. The answer is stored as it
came, so that a crash, an answer that cannot be read, or a wrong setting loses nothing that was charged.
Beside it lies a note of what was sent: a byte for each image before it is asked for, and another one if that
request is known to have bought nothing.
"""

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ganguard.base.cache import write_bytes
from ganguard.base.locks import locked
from ganguard.base.settings import read_bounded

_SENT, _FREE = b"s", b"f"
_A_FOLDER = 1000  # images
_RUN = re.compile(r"(\d{10,})\+(\d{1,2})\.(?:answer|job)")  # first image, and how many


def answers_directory() -> Path:
    """Return where answers are kept unless a spec says so: $XDG_DATA_HOME/ganguard/answers, or
    ~/.local/share/ganguard/answers. It is no cache: what lies there was paid for."""
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return home / "ganguard" / "answers"


@dataclass(frozen=True)
class KeptAnswers:
    """What is kept of a group of images, while its lock is held. The group is one image, or those that one
    request may bring; an answer holds the images of a run of it.

    Attributes:
        group: indices of the images.
    """

    group: range
    _folder: Path
    _note: Path

    def answer(self, run: range) -> Path:
        """Return the file of the answer that holds a run of images, as it came."""
        number = f"{run.start:010d}" if len(self.group) == 1 else f"{run.start:010d}+{len(run)}"
        return self._folder / f"{number}.answer"

    def job(self, run: range) -> Path:
        """Return the file of the answer that names the job which makes a run of images."""
        return self.answer(run).with_suffix(".job")

    def picture(self, index: int) -> Path:
        """Return the file of the image that was fetched from the address in an answer."""
        return self._folder / f"{index:010d}.image"

    def runs(self) -> list[range]:
        """Return the runs of images that there is an answer or a job of, in order."""
        if len(self.group) == 1:
            there = self.answer(self.group).exists() or self.job(self.group).exists()
            return [self.group] if there else []
        numbers = {_RUN.fullmatch(path.name) for path in self._folder.glob("*+*")}
        runs = {range(int(m[1]), int(m[1]) + int(m[2])) for m in numbers if m}
        return sorted((run for run in runs if run.start in self.group), key=lambda run: run.start)

    def unanswered(self) -> int:
        """Return how many images may have been bought that never came."""
        said = self._note.read_bytes() if self._note.exists() else b""
        return said.count(_SENT) - said.count(_FREE) - sum(map(len, self.runs()))

    def sending(self, images: int) -> None:
        """Note, durably, that a request for some images is sent now."""
        self._append(_SENT * images)

    def bought_nothing(self, images: int) -> None:
        """Note that the last request bought nothing."""
        self._append(_FREE * images)

    def _append(self, marks: bytes) -> None:
        with self._note.open("ab") as file:
            file.write(marks)
            file.flush()
            os.fsync(file.fileno())

    def keep(self, run: range, content: bytes) -> None:
        """Store an answer, durably. What was kept of another one to the same images is removed."""
        for index in run:
            self.picture(index).unlink(missing_ok=True)
        write_bytes(self.answer(run), content)


def kept(path: Path, most: int) -> bytes | None:
    """Return the content of a file that is kept, or None if it is not there."""
    return read_bounded(path, most) if path.exists() else None


@dataclass(frozen=True)
class Answers:
    """The answers of one API to one request, by seed, image, and the prompt if it is not the image's own."""

    directory: Path

    @contextmanager
    def of(self, seed: int, group: range, prompt: str = "") -> Generator[KeptAnswers]:
        """Hold the lock of a group of images while the body runs, so that no other process asks for them too.

        prompt: digest of the prompt that they are asked for with; empty for their own.
        """
        first = group.start
        apart = self.directory / str(seed) / (f"prompt-{prompt}" if prompt else "")
        folder = apart / f"{first // _A_FOLDER * _A_FOLDER:010d}"
        note = folder / f"{first:010d}.sent"
        with locked(note, wait=True):  # creates the note, if it is not there
            yield KeptAnswers(group, folder, note)

    @contextmanager
    def turn(self) -> Generator[Path]:
        """Hold the lock of the rate while the body runs; yield the file of the time of the last request."""
        with locked(self.directory / "rate.lock", wait=True):
            yield self.directory / "rate"
