"""The density ratio r(x) = p_r(x) / p_g(x) of real to generated images, as an adversary can learn it from
what D says.

Hu & Pang's Algorithm 1 fits C = LogisticRegression on the raw scores of m real and m generated images; then r
= C / (1 - C), since both kinds were equally many. Scores of a GAN's D need not order images by their ratio,
however they are calibrated, so there are ratios that look at D's penultimate features, too. Each is fitted to
one half of the images and judged on the other.
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
FEWEST = 4  # images of each kind: two to fit to and two to judge by


class LogRatio(Protocol):
    """A fitted ratio."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """log r, (N,) float64 and finite, of rows x (N, F) as it was fitted to: D's scores (N, 1), or D's
        features."""
        ...


class Fit(Protocol):
    """Fits a ratio."""

    def __call__(self, real: Tensor, fake: Tensor, /, *, seed: int) -> LogRatio:
        """To rows (m, F) of real and (n, F) of generated images; m and n may differ, the ratio is of
        densities."""
        ...


@dataclass(frozen=True)
class RatioKind:
    """An entry of the table: what a ratio reads of D, and how it is fitted."""

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
    """A fitted ratio, and how it did on the images that it was not fitted to. held_out: the rows of real
    images among them, sorted int64."""

    kind: str
    reads: Reads
    log_ratio: LogRatio
    diagnosis: Diagnosis
    held_out: Tensor


def reads_of(kind: str) -> Reads:
    """What the ratio of that name reads. Raises SpecError where there is none of that name."""
    return cast(RatioKind, RATIOS.load(kind)).reads


def fit_density_ratio(kind: str, real: Tensor, fake: Tensor, *, seed: int) -> JudgedRatio:
    """Fit to a random half of the rows real (m, F) and fake (n, F), and judge on the other halves.

    Raises SpecError for an unknown kind, fewer than 4 rows of either, rows of different widths, NaN or
    infinity.
    """
    entry = cast(RatioKind, RATIOS.load(kind))
    real, fake = _require(real, fake)
    generator = torch_generator(seed, "density_ratio")
    (own_real, held_real), (own_fake, held_fake) = (_halves(len(rows), generator) for rows in (real, fake))
    log_ratio = entry.fit(real[own_real], fake[own_fake], seed=seed)
    diagnosis = diagnose(log_ratio(real[held_real]), log_ratio(fake[held_fake]))
    return JudgedRatio(kind, entry.reads, log_ratio, diagnosis, held_real.sort().values)


def _halves(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    order = torch.randperm(count, generator=generator)
    middle = (count + 1) // 2
    return order[:middle], order[middle:]


def _require(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    found = [rows.detach().cpu().double() for rows in (real, fake)]
    for rows, name in zip(found, ("real", "generated"), strict=True):
        if rows.ndim != 2 or rows.shape[1] != found[0].shape[1]:
            raise SpecError(
                f"a density ratio is fitted to rows (N, F) of one width; got {tuple(rows.shape)} of {name} "
                "images."
            )
        if len(rows) < FEWEST:
            raise SpecError(f"a density ratio needs at least {FEWEST} {name} images; got {len(rows)}.")
        if not torch.isfinite(rows).all():
            raise SpecError(f"the discriminator gave NaN or infinity for {name} images. Look at its weights.")
    return found[0], found[1]
