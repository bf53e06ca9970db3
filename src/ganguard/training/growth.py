"""How a GAN grows while it is trained (Karras et al. 2018): resolution by resolution, each faded in.

The schedule is a function of the step alone, so that a training that is resumed grows as one that was not
interrupted.
"""

from torch import Tensor, nn

from ganguard.architectures.networks import Growing, faded

FADE = 0.2  # of a level's steps, in which it is faded in: 19,200 of 96,000 in pytorch_GAN_zoo


def growth_at(step: int, steps: int, levels: int) -> tuple[int, float]:
    """(level, alpha) of the update `step` of `steps`: the lowest level has half as many updates as each of
    the others, as in pytorch_GAN_zoo (48,000 and 96,000). The last level is faded in by the end."""
    parts = 2 * levels - 1
    part = step * parts / steps  # in [0, parts)
    if part < 1 or levels == 1:
        return 0, 1.0
    level = min(levels - 1, int((part + 1) // 2))
    return level, min(1.0, (part - (2 * level - 1)) / (2 * FADE))


class Growth:
    """G, D and the average of G, all grown alike."""

    def __init__(self, modules: list[nn.Module], steps: int) -> None:
        self._growing = [module for module in modules if isinstance(module, Growing)]
        self._levels = self._growing[0].levels if self._growing else 1
        self._steps = steps
        self.level, self.alpha = self._levels - 1, 1.0

    def go_to(self, step: int) -> bool:
        """Grow as far as befits an update. Whether a level is new, whose weights no average knows yet."""
        if not self._growing:
            return False
        self.level, self.alpha = growth_at(step, self._steps, self._levels)
        for module in self._growing:
            module.set_growth(self.level, self.alpha)
        return step > 0 and growth_at(step - 1, self._steps, self._levels)[0] < self.level

    def seen(self, real: Tensor) -> Tensor:
        """Real images (N, C, H, W) as a D of this growth shall see them."""
        return faded(real, level=self.level, alpha=self.alpha, levels=self._levels)
