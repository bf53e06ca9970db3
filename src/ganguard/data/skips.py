"""The bad images of a data set."""

from typing import Literal

from ganguard.base.errors import DataError
from ganguard.base.settings import one_line
from ganguard.data.dataset import Skipped

SAID_OF_SKIPPED = 100  # bad images that are listed by name; all are counted


class Skips:
    """The bad images of a data set: the first one is refused, or all are noted."""

    def __init__(self, on_bad_image: Literal["fail", "skip"]) -> None:
        self.count, self.listed, self._skip = 0, list[tuple[str, str]](), on_bad_image == "skip"

    def note(self, name: str, problem: DataError) -> None:
        """Note a bad image. Raises its problem if bad images are not to be skipped."""
        if not self._skip:
            raise problem
        self.count += 1
        if len(self.listed) < SAID_OF_SKIPPED:
            self.listed.append((one_line(name, 200), one_line(problem, 300)))

    def reason(self) -> str:
        """Return why the first bad image is bad."""
        return self.listed[0][1] if self.listed else "It holds none."

    def record(self) -> Skipped | None:
        """Return what was skipped, or None if nothing was."""
        return Skipped(self.count, tuple(self.listed)) if self.count else None
