"""Can a density ratio be trusted? Measured on images that it was not fitted to (Turner et al. 2019, section
3.2)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganguard.attacks.subsampling.importance_resampling import effective_sample_size

BINS = 10  # of the reliability curve, with equally many images in each


@dataclass(frozen=True)
class Bin:
    """Of the images of one bin: their mean predicted probability of being real, the share that is real, how
    many they are."""

    predicted: float
    observed: float
    count: int


@dataclass(frozen=True)
class Diagnosis:
    """auc: how often a real image's ratio is above a generated one's, ties counting half; 0.5 tells nothing
    apart.
    calibration_z: sum(y - p) / sqrt(sum p (1 - p)), standard normal where probabilities p are calibrated: |z|
    > 1.96 is amiss.
    reliability: predicted beside observed, by ascending prediction.
    effective_sample_size: of the generated images weighted by their ratios, as a share of them, in (0, 1].
    """

    auc: float
    calibration_z: float
    reliability: tuple[Bin, ...]
    effective_sample_size: float
    real: int
    fake: int


def diagnose(real: Tensor, fake: Tensor) -> Diagnosis:
    """Of log ratios of real (m,) and generated (n,) images, m and n at least 1."""
    y = torch.cat([torch.ones(len(real)), torch.zeros(len(fake))]).double()
    log_odds = torch.cat([real, fake]) + math.log(
        len(real) / len(fake)
    )  # of being real among just these images
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
    ordered = fake.sort().values
    below, up_to = (
        torch.searchsorted(ordered, real, right=right).double().mean().item() for right in (False, True)
    )
    return (below + up_to) / 2 / len(fake)


def _reliability(p: Tensor, y: Tensor) -> tuple[Bin, ...]:
    order = p.argsort(stable=True)
    parts = [rows for rows in order.tensor_split(BINS) if len(rows)]
    return tuple(Bin(p[rows].mean().item(), y[rows].mean().item(), len(rows)) for rows in parts)
