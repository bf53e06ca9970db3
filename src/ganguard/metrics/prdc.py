"""Precision, recall (Kynkäänniemi et al. 2019, eq. 1-2), density and coverage (Naeem et al. 2020, eq. 4-5).

A sample's ball reaches to its k-th nearest neighbour in its own set. A point on the sphere counts as inside (<=): a copy that
memorised has images many times over, whose balls have radius 0, and a strict < would say that it covers nothing.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.metrics.arrays import Features, as_features, require_same_width

BLOCK_ROWS = 128  # rows of the distance matrix in memory at once: few enough to stay in the processor's cache
TIE = 1e-12  # of |a|² + |b|²: squared distances of a and b that differ by less are equal, and only rounding parts them


@dataclass(frozen=True)
class PRDC:
    """precision: share of generated images inside some real ball. recall: share of real images inside some generated ball.
    density: real balls around a generated image, over k; may exceed 1. coverage: share of real balls with a generated image.
    Higher is better in all four.
    """

    precision: float
    recall: float
    density: float
    coverage: float


@dataclass(frozen=True)
class Balls:
    """The balls of one set: points (N, D) float64 and squared radii (N,). They can be compared with many other sets."""

    points: Tensor
    squared_radii: Tensor
    k: int

    @staticmethod
    def around(features: Features, name: str = "features", *, k: int = 5) -> "Balls":
        """Around each of features (N, D), to its k-th nearest neighbour among the others; N above k.

        Raises MetricError for k below 1, too few rows, another shape, NaN or infinity; it calls the features by `name`.
        """
        if k < 1:
            raise MetricError(f"k must be at least 1; got {k}.")
        points = as_features(features, name, k + 1)
        return Balls(points, _squared_radii(points - points.median(0).values, k), k)


def precision_recall_density_coverage(real: Features | Balls, fake: Features | Balls, *, k: int = 5) -> PRDC:
    """PRDC of generated features (M, D) against real ones (N, D), by Euclidean distance; N and M above k.

    Balls may stand for features, where a set is compared with several others. Raises MetricError for k below 1, balls of
    another k, too few rows, other shapes, NaN or infinity.
    """
    real_balls = real if isinstance(real, Balls) else Balls.around(real, "real", k=k)
    fake_balls = fake if isinstance(fake, Balls) else Balls.around(fake, "fake", k=k)
    if (real_balls.k, fake_balls.k) != (k, k):
        raise MetricError(f"balls reach to neighbours {real_balls.k} and {fake_balls.k}; k is {k}. Make them with one k.")
    x, y = real_balls.points, fake_balls.points
    require_same_width(x, y)
    centre = x.median(0).values
    x, y = x - centre, y - centre  # small norms lose the fewest digits
    real_radii, fake_radii = real_balls.squared_radii, fake_balls.squared_radii
    inside_real = torch.zeros(len(y), dtype=torch.int64)  # real balls around each generated image
    in_fake_ball = torch.zeros(len(x), dtype=torch.bool)
    covered = torch.zeros(len(x), dtype=torch.bool)
    for start in range(0, len(x), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        distances = _squared_distances(x[rows], y, slack=TIE)  # (rows, M)
        inside = (distances <= real_radii[rows, None]).numpy()
        inside_real += torch.from_numpy(np.count_nonzero(inside, axis=0))  # numpy counts booleans ten times faster
        covered[rows] = distances.amin(1) <= real_radii[rows]
        in_fake_ball[rows] = (distances <= fake_radii).any(1)
    return PRDC(
        precision=(inside_real > 0).double().mean().item(),
        recall=in_fake_ball.double().mean().item(),
        density=inside_real.double().mean().item() / k,
        coverage=covered.double().mean().item(),
    )


def _squared_radii(points: Tensor, k: int) -> Tensor:
    """Squared distance of each point to its k-th nearest neighbour among the others, (N,)."""
    radii = [_squared_distances(block, points).topk(k + 1, largest=False).values[:, -1] for block in points.split(BLOCK_ROWS)]
    return torch.cat(radii)


def _squared_distances(a: Tensor, b: Tensor, slack: float = 0.0) -> Tensor:
    """|a|² + |b|² - 2 a·b, (len(a), len(b)): one matrix product, right to about 1e-15 of |a|² + |b|², of which a share of
    `slack` is taken off."""
    norms_a, norms_b = (points.square().sum(1).mul_(1 - slack) for points in (a, b))
    return torch.addmm(norms_b, a, b.T, alpha=-2).add_(norms_a[:, None])
