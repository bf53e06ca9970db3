"""A target as an adversary sees it that asks for every image several times and averages the answers.

This needs a target that takes codes. Noise that is drawn again for each request averages out; so does noise
that follows from the code, if the code is moved a little each time. Each image of such a target costs several
queries; the meter inside counts them all.

If the codes of one image are a request of their own, equal codes also undo a defence that mixes the codes of
a request: every one of them is mixed with itself.
"""

import torch
from torch import Tensor

from ganguard.base.errors import TargetError
from ganguard.base.seeds import normal
from ganguard.targets.ask import given_or_drawn
from ganguard.targets.conditions import conditions_of, generate
from ganguard.targets.prior import prior_of
from ganguard.targets.protocol import BlackBoxTarget, Discriminator, LatentTarget, WhiteBoxTarget

AT_ONCE = 512  # images asked for at once, unless one mean takes more


class AveragedTarget:
    """A BlackBoxTarget whose images are each the mean of several images of one code.

    Args:
        inner: the target that is asked.
        copies: how many images are averaged.
        moved: by how much a code is moved for each of them, by normal noise whose standard deviation is this
            multiple of an entry's own under the prior; 0 asks for the same code every time.
        apart: whether the codes of one image are a request of their own, or those of several are sent
            together.
    """

    def __init__(self, inner: LatentTarget, copies: int, moved: float, apart: bool = False) -> None:
        self._inner, self._copies, self._apart = inner, copies, apart
        self._moved = moved and moved * prior_of(inner).moments(inner.latent_dim)[1]
        self.identity = inner.identity
        self.image_shape = inner.image_shape
        self.conditions = conditions_of(inner)

    def sample(self, indices: range, *, seed: int, conditions: Tensor | None = None) -> Tensor:
        """Return images (len(indices), C, H, W) uint8, each a mean rounded to the nearest byte, halves up.

        Image i is a pure function of (seed, i), and of its condition, if the images of the target inside are.
        All copies of a code are asked for with its condition; all conditions equally often if none are given.
        """
        conditions = given_or_drawn(self, conditions, indices, seed=seed)
        at_once = 1 if self._apart else max(1, AT_ONCE // self._copies)
        parts = [slice(i, i + at_once) for i in range(0, len(indices), at_once)]
        asked = [None if conditions is None else conditions[part] for part in parts]
        return torch.cat([self._means(indices[part], seed, y) for part, y in zip(parts, asked, strict=True)])

    def _means(self, indices: range, seed: int, conditions: Tensor | None) -> Tensor:
        latents = self._inner.draw_latents(indices, seed=seed).repeat_interleave(self._copies, 0)
        if self._moved:
            rows = range(indices.start * self._copies, indices.stop * self._copies)
            noise = normal(seed, "averaging", rows, latents.shape[1])
            latents = latents + self._moved * noise.to(latents)
        repeated = None if conditions is None else conditions.repeat_interleave(self._copies)
        images = generate(self._inner, latents, repeated)
        sums = images.unflatten(0, (len(indices), self._copies)).sum(1, dtype=torch.int64)
        return ((2 * sums + self._copies) // (2 * self._copies)).to(torch.uint8)


class AveragedWhiteBoxTarget(AveragedTarget):
    """An AveragedTarget whose D is handed over."""

    def __init__(
        self, inner: LatentTarget, discriminator: Discriminator, copies: int, moved: float, apart: bool
    ) -> None:
        super().__init__(inner, copies, moved, apart)
        self.discriminator = discriminator


def average(target: BlackBoxTarget, copies: int, moved: float, apart: bool = False) -> AveragedTarget:
    """Return a metered target wrapped so that each image is the mean of `copies` images.

    Raises TargetError if the target takes no codes.

    Args:
        target: the metered target.
        copies: how many images are averaged.
        moved: by how much their codes differ, in standard deviations of an entry under the target's prior.
        apart: whether the codes of one image are a request of their own.
    """
    if not isinstance(target, LatentTarget):
        raise TargetError(
            "averaging asks for the same codes again, and this target takes no codes. Leave averaging out."
        )
    if isinstance(target, WhiteBoxTarget):
        return AveragedWhiteBoxTarget(target, target.discriminator, copies, moved, apart)
    return AveragedTarget(target, copies, moved, apart)
