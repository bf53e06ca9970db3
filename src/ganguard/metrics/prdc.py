"""Precision, recall, density and coverage.

Kynkäänniemi et al. 2019, eq. 1-2, and Naeem et al. 2020, eq. 4-5.

The ball around a row reaches to its k-th nearest neighbour in its own set. A point on the sphere counts as
inside (<=). A copy that has memorised its training images produces some of them many times over; their balls
have radius 0, and a strict < would say that it covers nothing.
"""

from dataclasses import astuple, dataclass
from functools import cached_property

import torch
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.metrics.arrays import Features, as_floats, as_whole, require_same_width
from ganguard.metrics.distances import BLOCK, Frame, squared_radii, tile
from ganguard.metrics.prdc_error import prdc_errors


@dataclass(frozen=True)
class PRDC:
    """Precision, recall, density and coverage; higher is better in all four.

    Attributes:
        precision: share of generated images inside some real ball.
        recall: share of real images inside some generated ball.
        density: number of real balls around a generated image, divided by k; may exceed 1.
        coverage: share of real balls that contain a generated image.
    """

    precision: float
    recall: float
    density: float
    coverage: float


@dataclass(frozen=True)
class Balls:
    """The balls of one set, which can be compared with many other sets.

    Attributes:
        points: centres (N, D) float32 or float64.
        squared_radii: (N,) float64.
        k: each ball reaches to the k-th nearest neighbour of its centre.
    """

    points: Tensor
    squared_radii: Tensor
    k: int

    @staticmethod
    def around(features: Features, name: str = "features", *, k: int = 5) -> "Balls":
        """Return the balls around features (N, D) that reach to the k-th nearest neighbour among the others.

        N must exceed k. Raises MetricError, which calls the features by `name`, for k below 1, too few rows,
        another shape, NaN or infinity.
        """
        k = as_whole(k, "k", 1)
        points = as_floats(features, name, k + 1)
        return Balls(points, squared_radii(points, k), k)


@dataclass(frozen=True)
class Memberships:
    """Which images lie in which balls.

    Attributes:
        around_fakes: number of real balls around each generated image, (M,) int64.
        in_fake_ball: whether each real image lies in some generated ball, (N,) bool.
        covered: whether the ball of each real image contains a generated image, (N,) bool.
        k: k of the balls.
        real: the real images' features, (N, D).
        fake: the generated images' features, (M, D).
    """

    around_fakes: Tensor
    in_fake_ball: Tensor
    covered: Tensor
    k: int
    real: Tensor
    fake: Tensor

    def scores(self) -> PRDC:
        """Return the four shares."""
        return PRDC(*(row.mean().item() for row in self._rows()))

    def errors(self) -> PRDC | None:
        """Return the standard errors of the four; None for fewer than 4 (k + 1) images of either kind.

        That of density is 0 if it is 0 in each part: none is known then.
        """
        return self._errors

    @cached_property
    def _errors(self) -> PRDC | None:
        errors = prdc_errors(self.real, self.fake, self.k, astuple(self.scores()))
        return None if errors is None else PRDC(*errors)

    def _rows(self) -> tuple[Tensor, ...]:
        """Return the values that each number is the mean of, in the order of PRDC."""
        flags = (self.around_fakes > 0, self.in_fake_ball, self.around_fakes.double() / self.k, self.covered)
        return tuple(row.double() for row in flags)


def precision_recall_density_coverage(real: Features | Balls, fake: Features | Balls, *, k: int = 5) -> PRDC:
    """Return the PRDC of generated features (M, D) against real ones (N, D), by Euclidean distance.

    N and M must exceed k. Balls may be given instead of features, to compare one set with several others.
    Raises MetricError for k below 1, balls of another k, too few rows, other shapes, NaN or infinity.
    """
    return memberships(real, fake, k=k).scores()


def memberships(real: Features | Balls, fake: Features | Balls, *, k: int = 5) -> Memberships:
    """Return the memberships that `precision_recall_density_coverage` counts; same arguments and errors."""
    k = as_whole(k, "k", 1)
    real_balls = real if isinstance(real, Balls) else Balls.around(real, "real", k=k)
    fake_balls = fake if isinstance(fake, Balls) else Balls.around(fake, "fake", k=k)
    if (real_balls.k, fake_balls.k) != (k, k):
        raise MetricError(
            f"both sets of balls must have k = {k}; got {real_balls.k} and {fake_balls.k}. Make them with "
            f"k={k}."
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
    return Memberships(around_fakes, in_fake_ball, covered, k, x, y)
