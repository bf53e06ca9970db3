"""The density ratio r(x) = p_r(x) / p_g(x) of real to generated images, estimated from the output of D.

Hu & Pang (2021, Algorithm 1) fit C = LogisticRegression to the raw scores of m real and m generated images.
As both kinds are equally many, r = C / (1 - C). The scores of a GAN's D need not order images by their ratio,
and calibration cannot mend that. So some of the ratios here read D's penultimate features instead. Each ratio
is fitted to one half of the images and judged on the other half.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, cast

import torch
from torch import Tensor

from ganguard.attacks.subsampling.diagnostics import Diagnosis, diagnose
from ganguard.base.errors import SpecError
from ganguard.base.plugins import PluginTable
from ganguard.base.seeds import torch_generator

Reads = Literal["scores", "features"]
FEWEST = 4  # images of each kind that a ratio needs: two to fit it, two to judge it


class LogRatio(Protocol):
    """A fitted density ratio."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """Return log r, (N,) float64 and finite, for rows x (N, F).

        x holds what the ratio was fitted to: D's scores (N, 1), or D's features (N, F).
        """
        ...


class Fit(Protocol):
    """A way to fit a density ratio."""

    def __call__(self, real: Tensor, fake: Tensor, /, *, seed: int) -> LogRatio:
        """Fit to rows (m, F) of real and (n, F) of generated images.

        m and n may differ: the result is a ratio of densities, not of counts.
        """
        ...


@dataclass(frozen=True)
class RatioKind:
    """An entry of the table `RATIOS`.

    Attributes:
        reads: the output of D that the ratio reads.
        fit: the function that fits it.
    """

    reads: Reads
    fit: Fit


RATIOS = PluginTable(
    "density ratio",
    "ganguard.density_ratios",
    {
        "logistic": "ganguard.attacks.subsampling.calibration:LOGISTIC",
        "isotonic": "ganguard.attacks.subsampling.calibration:ISOTONIC",
        "beta": "ganguard.attacks.subsampling.calibration:BETA",
        "feature_head": "ganguard.attacks.subsampling.feature_head:FEATURE_HEAD",
        "softplus_dre": "ganguard.attacks.subsampling.ratio_network:SOFTPLUS_DRE",
        "logistic_dre": "ganguard.attacks.subsampling.ratio_network:LOGISTIC_DRE",
    },
)


@dataclass(frozen=True)
class JudgedRatio:
    """A fitted ratio and its diagnosis on images that it was not fitted to.

    Attributes:
        kind: its name in `RATIOS`.
        reads: the output of D that it reads.
        log_ratio: the fitted ratio.
        diagnosis: how it did on the held-out images.
        held_out: the rows of the real images that chains begin at, sorted int64: those held out of the fit,
            or all if it left out none.
    """

    kind: str
    reads: Reads
    log_ratio: LogRatio
    diagnosis: Diagnosis
    held_out: Tensor


def reads_of(kind: str) -> Reads:
    """Return the output of D that the ratio named `kind` reads. Raises SpecError for an unknown name."""
    return cast(RatioKind, RATIOS.load(kind)).reads


def fit_density_ratio(
    kind: str, real: Tensor, fake: Tensor, *, seed: int, to_all: bool = False
) -> JudgedRatio:
    """Fit a ratio to a random half of the rows real (m, F) and fake (n, F), and judge it on the other halves.

    to_all: return the ratio fitted to all rows. Its diagnosis is still that of the half, since nothing is
        left to judge it on, and all real rows count as held out.

    Raises SpecError for an unknown kind, for fewer than 4 rows of either, for rows of different widths, and
    for NaN or infinity.
    """
    entry = cast(RatioKind, RATIOS.load(kind))
    real, fake = require_rows(real, fake)
    generator = torch_generator(seed, "density_ratio")
    fit_real, held_real = _halves(len(real), generator)
    fit_fake, held_fake = _halves(len(fake), generator)
    log_ratio = entry.fit(real[fit_real], fake[fit_fake], seed=seed)
    diagnosis = diagnose(log_ratio(real[held_real]), log_ratio(fake[held_fake]))
    if to_all:
        return JudgedRatio(
            kind, entry.reads, entry.fit(real, fake, seed=seed), diagnosis, torch.arange(len(real))
        )
    return JudgedRatio(kind, entry.reads, log_ratio, diagnosis, held_real.sort().values)


def _halves(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Split the rows 0 ... count - 1 at random into two halves. The first is the larger if count is odd."""
    order = torch.randperm(count, generator=generator)
    middle = (count + 1) // 2
    return order[:middle], order[middle:]


def require_rows(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows (m, F) of real and (n, F) of generated images as float64 on the CPU. Raises SpecError if a
    ratio cannot be fitted to them."""
    found = [rows.detach().cpu().double() for rows in (real, fake)]
    for rows, name in zip(found, ("real", "generated"), strict=True):
        if rows.ndim != 2 or rows.shape[1] != found[0].shape[1]:
            raise SpecError(
                f"a density ratio needs rows (N, F) of one width; got {tuple(rows.shape)} of {name} images."
            )
        if len(rows) < FEWEST:
            raise SpecError(f"a density ratio needs at least {FEWEST} {name} images; got {len(rows)}.")
        if not torch.isfinite(rows).all():
            raise SpecError(f"the discriminator gave NaN or infinity for {name} images. Check its weights.")
    return found[0], found[1]
