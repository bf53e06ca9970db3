"""The outputs of D that density ratios read, for bought and for real images."""

from typing import NamedTuple

import torch
from torch import Tensor

from ganguard.attacks.subsampling.crossed import CrossFitted, cross_fit
from ganguard.attacks.subsampling.density_ratio import JudgedRatio, Reads, fit_density_ratio, reads_of
from ganguard.base.errors import SpecError, TargetError
from ganguard.targets.protocol import Discriminator


class Shown(NamedTuple):
    """The classes (N,) of bought images and (m,) of real ones; None without classes."""

    bought: Tensor | None
    real: Tensor | None


NOTHING_SHOWN = Shown(None, None)


class OutputsOfD:
    """The outputs of D that density ratios read, for bought and for real images. D runs once on each."""

    def __init__(self, D: Discriminator, images: Tensor, real: Tensor, shown: Shown) -> None:
        self._D, self._sets, self._shown = D, (images, real), shown
        self._read: dict[Reads, tuple[Tensor, Tensor]] = {}

    def fit(self, kind: str, fakes: int, seed: int, *, to_all: bool = False) -> JudgedRatio:
        """Fit a ratio to half of the first `fakes` bought images and of the real ones, or to all of them."""
        of_images, of_real = self._of(reads_of(kind))
        return fit_density_ratio(kind, of_real, of_images[:fakes], seed=seed, to_all=to_all)

    def cross_fit(self, kind: str, count: int, seed: int) -> CrossFitted:
        """Fit ratios to all images but those of a fold; `count` bought ones will be kept."""
        of_images, of_real = self._of(reads_of(kind))
        return cross_fit(kind, of_real, of_images, count=count, seed=seed)

    def log_ratios(self, ratio: JudgedRatio) -> tuple[Tensor, Tensor]:
        """Return log r of all bought images, and of all real ones."""
        of_images, of_real = self._of(ratio.reads)
        return ratio.log_ratio(of_images), ratio.log_ratio(of_real)

    def _of(self, reads: Reads) -> tuple[Tensor, Tensor]:
        if reads not in self._read:
            (images, real), (of_images, of_real) = self._sets, self._shown
            self._read[reads] = (
                read(reads, self._D, images, of_images),
                read(reads, self._D, real, of_real),
            )
        return self._read[reads]


def scores_of(D: Discriminator, images: Tensor, shown: Tensor | None) -> Tensor:
    """Return D's scores (N,) of images (N, C, H, W) uint8, shown as images of classes (N,) if any."""
    return D.scores(images) if shown is None else D.scores(images, shown)


def read(reads: Reads, D: Discriminator, images: Tensor, shown: Tensor | None = None) -> Tensor:
    """Return D's scores (N, 1) or features (N, F) of images (N, C, H, W) uint8, as float64.

    shown: the classes of the images, (N,), for a conditional D.

    Raises SpecError for NaN or infinity, and TargetError for features of another shape.
    """
    rows = D.features(images) if reads == "features" else scores_of(D, images, shown)[:, None]
    if rows.ndim != 2 or len(rows) != len(images):
        raise TargetError(
            f"the discriminator's features of {len(images)} images must be (N, F); got {tuple(rows.shape)}."
        )
    if not torch.isfinite(rows).all():
        raise SpecError("the discriminator gave NaN or infinity. Check its weights.")
    return rows.double()
