"""Precision, recall (Kynkäänniemi et al. 2019, eq. 1-2), density and coverage (Naeem et al. 2020, eq. 4-5).

A sample's ball reaches to its k-th nearest neighbour in its own set. A point on the sphere counts as inside
(<=): a copy that memorised has images many times over, whose balls have radius 0, and a strict < would say
that it covers nothing.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.metrics.arrays import Features, as_floats, require_same_width
from ganguard.metrics.distances import BLOCK, Frame, squared_radii, tile


@dataclass(frozen=True)
class PRDC:
    """precision: share of generated images inside some real ball. recall: share of real images inside some
    generated ball.
    density: real balls around a generated image, over k; may exceed 1. coverage: share of real balls with a
    generated image. Higher is better in all four.
    """

    precision: float
    recall: float
    density: float
    coverage: float


@dataclass(frozen=True)
class Balls:
    """The balls of one set: points (N, D) float32 or float64, and squared radii (N,) float64. They can be
    compared with many other sets."""

    points: Tensor
    squared_radii: Tensor
    k: int

    @staticmethod
    def around(features: Features, name: str = "features", *, k: int = 5) -> "Balls":
        """Around each of features (N, D), to its k-th nearest neighbour among the others; N above k.

        Raises MetricError for k below 1, too few rows, another shape, NaN or infinity; it calls the features
        by `name`.
        """
        if k < 1:
            raise MetricError(f"k must be at least 1; got {k}.")
        points = as_floats(features, name, k + 1)
        return Balls(points, squared_radii(points, k), k)


@dataclass(frozen=True)
class Memberships:
    """Who lies in whose balls. around_fakes: real balls around each generated image, (M,) int64.
    in_fake_ball, covered: whether each real image lies in some generated ball, and has a generated image in
    its own, (N,) bool."""

    around_fakes: Tensor
    in_fake_ball: Tensor
    covered: Tensor
    k: int

    def scores(self) -> PRDC:
        """The four shares."""
        return PRDC(*(row.mean().item() for row in self._rows()))

    def errors(self) -> PRDC:
        """Their standard errors over images, the balls being given: what bootstrapping the images tends
        to."""
        return PRDC(*((row.std(correction=0) / len(row) ** 0.5).item() for row in self._rows()))

    def _rows(self) -> tuple[Tensor, ...]:
        """What each is the mean of, in the order of PRDC."""
        flags = (self.around_fakes > 0, self.in_fake_ball, self.around_fakes.double() / self.k, self.covered)
        return tuple(row.double() for row in flags)


def precision_recall_density_coverage(real: Features | Balls, fake: Features | Balls, *, k: int = 5) -> PRDC:
    """PRDC of generated features (M, D) against real ones (N, D), by Euclidean distance; N and M above k.

    Balls may stand for features, where a set is compared with several others. Raises MetricError for k below
    1, balls of another k, too few rows, other shapes, NaN or infinity.
    """
    return memberships(real, fake, k=k).scores()


def memberships(real: Features | Balls, fake: Features | Balls, *, k: int = 5) -> Memberships:
    """What `precision_recall_density_coverage` counts, of the same arguments."""
    real_balls = real if isinstance(real, Balls) else Balls.around(real, "real", k=k)
    fake_balls = fake if isinstance(fake, Balls) else Balls.around(fake, "fake", k=k)
    if (real_balls.k, fake_balls.k) != (k, k):
        raise MetricError(
            f"balls reach to neighbours {real_balls.k} and {fake_balls.k}; k is {k}. Make them with one k."
        )
    x, y = real_balls.points, fake_balls.points
    require_same_width(x, y)
    around_fakes = torch.zeros(len(y), dtype=torch.int64)  # real balls around each generated image
    in_fake_ball = torch.zeros(len(x), dtype=torch.bool)
    covered = torch.zeros(len(x), dtype=torch.bool)
    frame = Frame.around(x, y)
    for i in range(0, len(x), BLOCK):
        a = frame.block(x[i : i + BLOCK])
        for j in range(0, len(y), BLOCK):
            b = frame.block(y[j : j + BLOCK])
            distances = tile(a, b)
            reals, fakes = frame.inside(a, b, distances, real_balls.squared_radii[i : i + BLOCK], balls="a")
            covered[i + reals] = True
            around_fakes[j : j + BLOCK] += torch.bincount(fakes, minlength=len(b.rows))
            reals, _ = frame.inside(a, b, distances, fake_balls.squared_radii[j : j + BLOCK], balls="b")
            in_fake_ball[i + reals] = True
    return Memberships(around_fakes, in_fake_ball, covered, k)
