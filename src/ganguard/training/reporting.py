"""What a training tells while it runs: progress to whoever watches it, and numbers and pictures to a journal
that is kept."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from ganguard.base.progress import Progress, silent
from ganguard.training.pace import Pace

SHOWN = 64  # of G's images in a sample grid, of the same codes each time


class Journal(Protocol):
    """Where a training's course is kept. Steps are updates of G that are done."""

    def begins(self, step: int) -> None:
        """The training goes on from `step`; what was noted of later steps, by a run that was killed, is no
        more."""
        ...

    def losses(self, step: int, *, D: float, G: float, images_per_second: float) -> None:
        """Of the last batch, and the pace since the run began."""
        ...

    def judged(self, step: int, score: float) -> None:
        """What a judge gave."""
        ...

    def samples(self, step: int, images: Tensor) -> None:
        """Images (N, C, H, W) uint8 of the average of G."""
        ...


class Reports:
    """One training's reports, of `steps` steps. samples: makes SHOWN images of G as it is now, (N, C, H, W)
    uint8."""

    def __init__(
        self,
        steps: int,
        pace: Pace,
        progress: Progress,
        journal: Journal | None,
        samples: Callable[[], Tensor],
    ) -> None:
        self._steps, self._pace, self._progress, self._journal, self._samples = (
            steps,
            pace,
            progress,
            journal,
            samples,
        )
        self._begun = 0

    def begin(self, step: int) -> None:
        """From `step` on."""
        self._begun = step
        self._pace.restart()
        self._progress(step, self._steps, "resumed" if step else "training")
        if self._journal:
            self._journal.begins(step)
            if not step:
                self._journal.samples(step, self._samples())

    def losses(self, step: int, losses: Tensor) -> None:
        """The losses of D and G, (2,), at `step`."""
        done = step - self._begun
        self._progress(step, self._steps, self._pace.note(done, self._steps - step))
        if self._journal:
            D, G = losses.tolist()
            self._journal.losses(step, D=D, G=G, images_per_second=self._pace.rate(done))

    def judged(self, step: int, score: float | None) -> None:
        """A judge's score at `step`, if it gave one."""
        if self._journal and score is not None:
            self._journal.judged(step, score)

    def saved(self, step: int) -> None:
        """The state of `step` is kept."""
        if self._journal:
            self._journal.samples(step, self._samples())

    def unheard(self) -> "Reports":
        """The same where nobody listens, as in all processes but the first."""
        return Reports(self._steps, self._pace, silent, None, self._samples)
