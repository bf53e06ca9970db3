"""Measure whether a density ratio can be trusted, on images that it was not fitted to (Turner et al. 2019,
section 3.2)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganguard.attacks.subsampling.importance_resampling import effective_sample_size

BINS = 10  # bins of the reliability curve, each with equally many images


@dataclass(frozen=True)
class Bin:
    """One bin of the reliability curve.

    Attributes:
        predicted: mean predicted probability that its images are real.
        observed: share of its images that are real.
        count: number of its images.
    """

    predicted: float
    observed: float
    count: int


@dataclass(frozen=True)
class Diagnosis:
    """How well a density ratio does.

    Attributes:
        auc: probability that a real image's ratio exceeds a generated one's, ties counting half; 0.5 means
            that the ratio does not tell them apart.
        calibration_z: sum(y - p) / sqrt(sum p (1 - p)), with y = 1 for real images and p the predicted
            probability of being real. It is standard normal if p is calibrated: |z| > 1.96 is suspicious.
        reliability: bins of predicted and observed probabilities, by ascending prediction.
        effective_sample_size: of the generated images weighted by their ratios, as a share of their number,
            in (0, 1].
        real: number of real images.
        fake: number of generated images.
    """

    auc: float
    calibration_z: float
    reliability: tuple[Bin, ...]
    effective_sample_size: float
    real: int
    fake: int


def diagnose(real: Tensor, fake: Tensor) -> Diagnosis:
    """Diagnose a ratio by its log ratios of real (m,) and generated (n,) images, m and n at least 1."""
    y = torch.cat([torch.ones(len(real)), torch.zeros(len(fake))]).double()
    # The odds of being real, among images of which m are real and n generated, are r m / n.
    log_odds = torch.cat([real, fake]) + math.log(len(real) / len(fake))
    p = torch.sigmoid(log_odds)
    spread = (p * (1 - p)).sum().sqrt().item()
    return Diagnosis(
        auc=_auc(real, fake),
        calibration_z=(y - p).sum().item() / max(spread, 1e-12),
        reliability=_reliability(p, y),
        effective_sample_size=effective_sample_size(fake) / len(fake),
        real=len(real),
        fake=len(fake),
    )


def _auc(real: Tensor, fake: Tensor) -> float:
    """Return P(r(x) > r(x')) + P(r(x) = r(x')) / 2 for a real x and a generated x' (Mann-Whitney)."""
    # Not scikit-learn's roc_auc_score: it sums trapezoids, and its last digit differs from what results hold.
    ordered = fake.sort().values
    below, up_to = (
        torch.searchsorted(ordered, real, right=right).double().mean().item() for right in (False, True)
    )
    return (below + up_to) / 2 / len(fake)


def _reliability(p: Tensor, y: Tensor) -> tuple[Bin, ...]:
    """Sort probabilities p (N,) and their labels y (N,) into BINS bins, whose sizes differ by at most 1."""
    # Not scikit-learn's calibration_curve: it cuts at quantiles of p, so that ties make bins of unequal size,
    # and it does not return their sizes.
    order = p.argsort(stable=True)
    parts = [rows for rows in order.tensor_split(BINS) if len(rows)]
    return tuple(Bin(p[rows].mean().item(), y[rows].mean().item(), len(rows)) for rows in parts)
