"""The pace of a training, in words for its progress line."""

import time


class Pace:
    """The pace since this object was made, or restarted.

    Args:
        images: real images that D sees in a step.
    """

    def __init__(self, images: int) -> None:
        self._images, self._began = images, time.monotonic()

    def restart(self) -> None:
        """Count from now on."""
        self._began = time.monotonic()

    def rate(self, done: int) -> float:
        """Return the images per second, after `done` steps."""
        return self._steps_a_second(done) * self._images

    def note(self, done: int, left: int) -> str:
        """Return a note such as "training, 512 images/s, 3 min left", after `done` > 0 steps with `left` to
        go."""
        rate = self._steps_a_second(done)
        so_far = f"training, {rate * self._images:,.0f} images/s"
        return f"{so_far}, {in_words(left / rate)} left" if left else so_far

    def _steps_a_second(self, done: int) -> float:
        return max(done, 1) / max(time.monotonic() - self._began, 1e-9)


def in_words(seconds: float) -> str:
    """Return a time in the unit that suits it: "40 s", "3 min", "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
