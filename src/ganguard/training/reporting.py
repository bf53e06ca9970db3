"""A training's reports while it runs: progress to whoever watches, and numbers and images to a journal that
is kept."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from torch import Tensor

from ganguard.architectures.networks import GeneratorNetwork
from ganguard.base.progress import Progress, silent
from ganguard.training.early_stopping import images_of
from ganguard.training.pace import Pace
from ganguard.training.settings import TrainingSettings

SHOWN = 64  # images in a sample grid, from the same codes each time


def shown_images(G: GeneratorNetwork, seed: int) -> Tensor:
    """Return the images (SHOWN, C, H, W) uint8 of G in the sample grids of a training with that seed."""
    return images_of(G, seed, "shown", SHOWN)


class Journal(Protocol):
    """A record of a training's course. Steps are finished updates of G."""

    def begins(self, step: int) -> None:
        """Note that the training goes on from `step`. Later steps, noted by a run that was killed, no longer
        count."""
        ...

    def losses(self, step: int, losses: Mapping[str, float], *, images_per_second: float) -> None:
        """Note the losses of the last batch by name ("D" and "G" of a GAN, "velocity" of a flow), and the
        pace since the run began."""
        ...

    def judged(self, step: int, score: float) -> None:
        """Note a judge's score."""
        ...

    def samples(self, step: int, images: Tensor) -> None:
        """Note images (N, C, H, W) uint8 of the average of G."""
        ...


class Reports:
    """The reports of one training.

    Args:
        steps: steps of the whole training.
        names: of the losses.
        pace: measures the pace.
        progress: receives the progress.
        journal: receives numbers and images, or None.
        samples: returns SHOWN images of the present G, (N, C, H, W) uint8.
    """

    def __init__(
        self,
        steps: int,
        names: Sequence[str],
        pace: Pace,
        progress: Progress,
        journal: Journal | None,
        samples: Callable[[], Tensor],
    ) -> None:
        self._steps, self._names, self._pace, self._progress = steps, names, pace, progress
        self._journal, self._samples = journal, samples
        self._begun, self._hidden = 0, frozenset[str]()

    @classmethod
    def of(
        cls,
        G: GeneratorNetwork,
        settings: TrainingSettings,
        names: Sequence[str],
        seed: int,
        progress: Progress,
        journal: Journal | None,
    ) -> "Reports":
        """Return the reports of a training with that seed, whose average of G is `G`, and whose losses have
        these names."""
        pace = Pace(settings.batch_size * settings.completed().n_dis)
        return cls(settings.steps, names, pace, progress, journal, partial(shown_images, G, seed))

    def hide(self, *names: str) -> None:
        """Tell the journal no losses of these names: of a private training, D's tell of real images."""
        self._hidden = frozenset(names)

    def begin(self, step: int) -> None:
        """Report that the training begins, or goes on, at `step`."""
        self._begun = step
        self._pace.restart()
        self._progress(step, self._steps, "resumed" if step else "training")
        if self._journal:
            self._journal.begins(step)
            if not step:
                self._journal.samples(step, self._samples())

    def losses(self, step: int, losses: Tensor) -> None:
        """Report the losses at `step`, in the order of their names."""
        done = step - self._begun
        self._progress(step, self._steps, self._pace.note(done, self._steps - step))
        if self._journal:
            named = dict(zip(self._names, losses.tolist(), strict=True))
            told = {name: loss for name, loss in named.items() if name not in self._hidden}
            self._journal.losses(step, told, images_per_second=self._pace.rate(done))

    def judged(self, step: int, score: float | None) -> None:
        """Report a judge's score at `step`, if it gave one."""
        if self._journal and score is not None:
            self._journal.judged(step, score)

    def saved(self, step: int) -> None:
        """Report that the state of `step` was saved."""
        if self._journal:
            self._journal.samples(step, self._samples())

    def unheard(self) -> "Reports":
        """Return the same reports without any listener, for all processes but the first."""
        return Reports(self._steps, self._names, self._pace, silent, None, self._samples)
