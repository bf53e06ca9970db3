"""How a GAN grows during training (Karras et al. 2018): resolution by resolution, each one faded in.

The schedule is a function of the step alone, so a resumed training grows like an uninterrupted one.
"""

from collections.abc import Iterable

from torch import Tensor, nn

from ganguard.architectures.networks import Growing, faded

FADE = 0.2  # share of a level's steps during which it is faded in: 19,200 of 96,000 in pytorch_GAN_zoo


def growth_at(step: int, steps: int, levels: int) -> tuple[int, float]:
    """Return (level, alpha) for update `step` of `steps`.

    The lowest level has half as many updates as each of the others, as in pytorch_GAN_zoo (48,000 and
    96,000). The last level is fully faded in before the end.
    """
    parts = 2 * levels - 1
    part = step * parts / steps  # in [0, parts)
    if part < 1 or levels == 1:
        return 0, 1.0
    level = min(levels - 1, int((part + 1) // 2))
    return level, min(1.0, (part - (2 * level - 1)) / (2 * FADE))


class Growth:
    """G, D and the average of G, all grown alike.

    Args:
        modules: the networks; those that cannot grow are ignored.
        steps: updates of G in the whole training.
    """

    def __init__(self, modules: list[nn.Module], steps: int) -> None:
        self._growing = [module for module in modules if isinstance(module, Growing)]
        self._levels = self._growing[0].levels if self._growing else 1
        self._steps = steps
        self._reached = 0, 0.0
        self.level, self.alpha = self._levels - 1, 1.0

    @property
    def grows(self) -> bool:
        """Whether a network can grow."""
        return bool(self._growing)

    def goes_on(self, parts: Iterable[tuple[int, int]]) -> None:
        """Begin where earlier parts of the training ended: networks never shrink.

        parts: of each part its last step, counted from 1, and the steps that its schedule was laid out for.
        """
        ends = (growth_at(until - 1, steps, self._levels) for until, steps in parts)
        self._reached = max(ends, default=self._reached)

    def go_to(self, step: int) -> bool:
        """Grow the networks as the schedule says for update `step`. Return whether a new level began, whose
        weights the average does not know yet."""
        if not self._growing:
            return False
        self.level, self.alpha = self._at(step)
        for module in self._growing:
            module.set_growth(self.level, self.alpha)
        return step > 0 and self._at(step - 1)[0] < self.level

    def _at(self, step: int) -> tuple[int, float]:
        return max(self._reached, growth_at(step, self._steps, self._levels))

    def seen(self, real: Tensor) -> Tensor:
        """Return real images (N, C, H, W) as a D of this growth must see them."""
        if not self._growing:
            return real
        canvas = self._growing[0].canvas
        return faded(real, canvas, level=self.level, alpha=self.alpha, levels=self._levels)
