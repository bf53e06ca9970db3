"""A target as an adversary sees it that sends every code several times and keeps each answer.

This needs a target that takes codes. The answers differ in noise that is drawn again for each request, so
that one tells what the noise of another is.
"""

from torch import Tensor

from ganguard.base.errors import TargetError
from ganguard.targets.conditions import conditions_of
from ganguard.targets.protocol import BlackBoxTarget, Discriminator, LatentTarget, WhiteBoxTarget


def require_codes_alone(target: BlackBoxTarget) -> LatentTarget:
    """Return a target that takes codes, and nothing beside them. Raises TargetError if it is no such one."""
    if not isinstance(target, LatentTarget):
        raise TargetError(
            "noise2noise sends every code twice, and this target takes no codes. Use noise2self."
        )
    if conditions_of(target):
        raise TargetError(
            "noise2noise sends every code twice, and what each image of this target is asked for is drawn by "
            "itself. Use noise2self."
        )
    return target


class AskedAgainTarget:
    """A BlackBoxTarget whose images i k ... i k + k - 1 are answers for code i.

    Args:
        inner: the target that is asked. It takes no conditions: answers for one code are of one condition,
            and conditions are drawn for each image.
        copies: how often a code is sent, k.
    """

    def __init__(self, inner: LatentTarget, copies: int) -> None:
        self._inner, self._copies = inner, copies
        self.identity = inner.identity
        self.image_shape = inner.image_shape

    def sample(self, indices: range, *, seed: int) -> Tensor:
        """Return images (len(indices), C, H, W) uint8. Image i is a pure function of (seed, i) and of what
        else is asked for with it, if its noise is drawn for each request."""
        copies = self._copies
        codes = range(indices.start // copies, -(-indices.stop // copies))
        latents = self._inner.draw_latents(codes, seed=seed).repeat_interleave(copies, 0)
        first = codes.start * copies
        return self._inner.generate(latents[indices.start - first : indices.stop - first])


class AskedAgainWhiteBoxTarget(AskedAgainTarget):
    """An AskedAgainTarget whose D is handed over."""

    def __init__(self, inner: LatentTarget, discriminator: Discriminator, copies: int) -> None:
        super().__init__(inner, copies)
        self.discriminator = discriminator


def ask_again(target: BlackBoxTarget, copies: int) -> AskedAgainTarget:
    """Return a metered target wrapped so that every code is sent `copies` times. Raises TargetError if the
    target cannot be asked so."""
    target = require_codes_alone(target)
    if isinstance(target, WhiteBoxTarget):
        return AskedAgainWhiteBoxTarget(target, target.discriminator, copies)
    return AskedAgainTarget(target, copies)
