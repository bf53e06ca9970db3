"""An adversary that asks for every image several times and averages what comes back, where the client may
send codes: noise that is drawn anew each time averages out, and so does noise that follows from a code, once
the code is moved by a hair.

Such a target looks like any other, whose images cost several queries each; the meter inside counts them all.
"""

import torch
from torch import Tensor

from ganguard.base.errors import TargetError
from ganguard.base.seeds import normal
from ganguard.targets.protocol import BlackBoxTarget, Discriminator, LatentTarget, WhiteBoxTarget

AT_ONCE = 512  # images asked for in one go, unless one average takes more


class AveragedTarget:
    """A BlackBoxTarget each of whose images is the mean of those of `copies` codes: the same one, or moved by
    N(0, moved² I), drawn anew for each."""

    def __init__(self, inner: LatentTarget, copies: int, moved: float) -> None:
        self._inner, self._copies, self._moved = inner, copies, moved
        self.identity = inner.identity
        self.image_shape = inner.image_shape

    def sample(self, indices: range, *, seed: int) -> Tensor:
        """Images (len(indices), C, H, W) uint8; image i is a pure function of (seed, i) as far as those
        inside are. A mean is rounded to the nearest byte, halves up."""
        at_once = max(1, AT_ONCE // self._copies)
        parts = (indices[i : i + at_once] for i in range(0, len(indices), at_once))
        return torch.cat([self._means(part, seed) for part in parts])

    def _means(self, indices: range, seed: int) -> Tensor:
        latents = self._inner.draw_latents(indices, seed=seed).repeat_interleave(self._copies, 0)
        if self._moved:
            rows = range(indices.start * self._copies, indices.stop * self._copies)
            hairs = normal(seed, "averaging", rows, latents.shape[1])
            latents = latents + self._moved * hairs.to(latents)
        images = self._inner.generate(latents)
        sums = images.unflatten(0, (len(indices), self._copies)).sum(1, dtype=torch.int64)
        return ((2 * sums + self._copies) // (2 * self._copies)).to(torch.uint8)


class AveragedWhiteBoxTarget(AveragedTarget):
    """The same, of a target whose D is handed over."""

    def __init__(self, inner: LatentTarget, discriminator: Discriminator, copies: int, moved: float) -> None:
        super().__init__(inner, copies, moved)
        self.discriminator = discriminator


def average(target: BlackBoxTarget, copies: int, moved: float) -> AveragedTarget:
    """Wrap a target, metered already, so that each image is the mean of `copies`. moved: by how much codes
    differ, in standard deviations of a prior N(0, I). Raises TargetError where the target takes no codes."""
    if not isinstance(target, LatentTarget):
        raise TargetError("averaging asks for the same codes again, and this target takes no codes.")
    if isinstance(target, WhiteBoxTarget):
        return AveragedWhiteBoxTarget(target, target.discriminator, copies, moved)
    return AveragedTarget(target, copies, moved)
