"""Can a set of features give others their scale? One that hardly varies makes any distance large or small."""

import torch
from torch import Tensor

from ganguard.base.errors import MetricError

# A feature is constant if its standard deviation is at most this share of its largest value: a smaller one is
# float32's rounding, which differs between chunks.
CONSTANT = 1e-6
FEWEST_DIFFERENT = 10  # rows: standard deviations of fewer are accidents
HARDLY_VARIES = 0.01  # largest standard deviation of a feature that hardly varies, as a share of its size
_INSTEAD = "Give more varied images, or take the scale of an audit's `features`."
FAR_LESS = 0.1  # of the other set's standard deviation: with less, the scale decides the distance


def is_constant(features: Tensor) -> Tensor:
    """Return whether each feature of features (N, D) is constant up to rounding, (D,) bool."""
    return features.std(0) <= CONSTANT * torch.linalg.vector_norm(features, ord=torch.inf)


def require_scale(features: Tensor, name: str) -> None:
    """Raise MetricError if features (N, D) vary too little to scale others.

    They must have FEWEST_DIFFERENT different rows, and not more than half of the features that are not 0 may
    hardly vary. A feature that is 0 throughout is a unit of the network that these images do not excite.
    """
    if len(features) < 2:
        raise MetricError(
            f"the scale of features needs at least 2 images; got {len(features)}. Give more of {name}."
        )
    different = _different(features, FEWEST_DIFFERENT)
    if different < FEWEST_DIFFERENT:
        raise MetricError(
            f"{name} cannot give features their scale: it needs {FEWEST_DIFFERENT} different images, and has "
            f"{different} among {len(features):,}. {_INSTEAD}"
        )
    size = features.square().mean(0).sqrt()
    alive = size > 0
    still = (features.std(0) <= HARDLY_VARIES * size) & alive
    if still.sum() * 2 > alive.sum():
        raise MetricError(
            f"{name} cannot give features their scale: its images are nearly equal, {still.sum()} of "
            f"{alive.sum()} features vary by less than {HARDLY_VARIES:.0%}. {_INSTEAD}"
        )


def require_comparable(features: Tensor, name: str, others: Tensor, theirs: str) -> None:
    """Raise MetricError if features (N, D), which give the scale, vary far less than others (M, D).

    Distances would then say how little the set varies that scales.
    """
    if len(others) < 2:
        return
    varied = ~(is_constant(features) & is_constant(others))
    less = (features.std(0) < FAR_LESS * others.std(0)) & varied
    if less.sum() * 2 > varied.sum():
        raise MetricError(
            f"{name} cannot give features their scale: {less.sum()} of {varied.sum()} vary in it less than a "
            f"tenth as much as in {theirs}. Swap the two sets, or take the scale of an audit's `features`."
        )


def scale_note(
    features: Tensor, name: str, instead: str = ", or take the scale of an audit's `features`"
) -> str:
    """Return a warning if features (N, D) have fewer different rows than dimensions; empty if not.

    instead: what else can be done than to give more images.
    """
    different, width = len(features.unique(dim=0)), features.shape[1]
    if different >= width:
        return ""
    return (
        f"The scale of {width:,} features comes from {different:,} different images of {name}, so distances "
        f"depend on which set gives it. Give at least {width:,}{instead}."
    )


def outweighed_note(features: Tensor, name: str, others: Tensor, theirs: str) -> str:
    """Return a warning if some of features (N, D), which give the scale, vary far less than in others (M, D);
    empty if not. In units of so small a deviation, a few features may make up a distance."""
    less = (features.std(0) < FAR_LESS * others.std(0)) & ~(is_constant(features) & is_constant(others))
    if not less.any():
        return ""
    return (
        f"Of {features.shape[1]:,} features, {less.sum():,} vary in {name} less than a tenth as much as in "
        f"{theirs}, so that they may make up most of a distance. Swap the two sets, or set --scale none."
    )


def _different(features: Tensor, most: int) -> int:
    """Return the number of rows of features (N, D) that differ by more than rounding; `most` if more do."""
    rounding = CONSTANT * torch.linalg.vector_norm(features, ord=torch.inf)
    left, count = features, 0
    while len(left) and count < most:
        left = left[((left - left[0]).abs() > rounding).any(1)]
        count += 1
    return count
