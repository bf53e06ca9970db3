"""Does a generator reproduce its training images? Authenticity and distances to the nearest training row.

Authenticity follows Alaa et al. 2022, section 4.3 (AuthPct in Stein et al. 2023). A generated row g with
nearest training row t is authentic if g is further from t than t is from its own nearest neighbour in the
training set. If both distances are equal, g is not authentic. So a copy of a training image that occurs twice
is not authentic either: both distances are 0. If several training rows are equally near, the one with the
furthest neighbour decides.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.metrics.arrays import Features, as_features, as_number, require_same_width
from ganguard.metrics.distances import TIE, float64_distances
from ganguard.metrics.memorisation_error import Compared, MemorisationErrors, memorisation_errors

BLOCK_ROWS = 128  # rows of the distance matrix in memory at once: few enough for the processor's cache


@dataclass(frozen=True)
class Memorisation:
    """How near rows (M, D) lie to the training set.

    Attributes:
        authentic: share of authentic rows, in [0, 1] (AuthPct / 100); higher is better, 0 for a generator
            that replays its training images.
        copies: share of rows that equal a training row up to rounding; lower is better.
        near_copies: share of rows that are copies, or closer to a training row than `near` times the median
            distance between a training row and its nearest neighbour; lower is better.
        distances: Euclidean distance of each row to its nearest training row, (M,) float64.
        held_out: the same measured on real rows outside the training set, if they were given: the score of
            fresh rows. Their `authentic` depends on the data: for Gaussian rows it is 0.4 in 2 dimensions and
            0.9 in 512.
        training: the training rows, (N, D); the errors are computed of them.
        compared: the rows themselves, and which of them are copies.
    """

    authentic: float
    copies: float
    near_copies: float
    distances: Tensor
    held_out: "Memorisation | None" = None
    training: Tensor | None = field(default=None, repr=False, compare=False)
    compared: Compared | None = field(default=None, repr=False, compare=False)

    def errors(self) -> MemorisationErrors | None:
        """Return the standard errors of the numbers; None if a set has fewer than 16 rows."""
        return self._errors

    @cached_property
    def _errors(self) -> MemorisationErrors | None:
        if self.training is None or self.compared is None:
            return None
        fresh = None if self.distance_ratio is None or self.held_out is None else self.held_out.compared
        shares = (self.authentic, self.copies, self.near_copies)
        return memorisation_errors(self.training, self.compared, fresh, shares)

    @property
    def median_distance(self) -> float:
        """The median of the distances."""
        return self.distances.quantile(0.5).item()

    @property
    def distance_ratio(self) -> float | None:
        """The median distance divided by that of the held-out rows.

        1 is as far from the training set as fresh real rows, 0 is copies. None without held-out rows, and if
        half of them are in the training set.
        """
        if self.held_out is None or self.held_out.median_distance == 0:
            return None
        return self.median_distance / self.held_out.median_distance


def memorisation(
    training: Features, generated: Features, *, held_out: Features | None = None, near: float = 0.5
) -> Memorisation:
    """Return how near generated rows (M, D) lie to training rows (N, D), by Euclidean distance in float64.

    If the training set holds an image twice, its neighbour is at distance 0, so that only copies equal to the
    last bit show that it was memorised. Remove such duplicates first, or look at near_copies, which do not
    depend on single neighbours.

    Raises MetricError for too few rows, other shapes, NaN or infinity, or a `near` that is negative or not
    finite.

    Args:
        training: (N, D), N at least 2.
        generated: (M, D).
        held_out: (H, D) real rows from the same source that the generator never saw, for comparison.
        near: a row is a near copy within this share of the usual distance between training rows. In few
            dimensions, many fresh rows come that close too: compare with the held-out rows.
    """
    near = as_number(near, "near")
    if not 0 <= near < math.inf:
        raise MetricError(f"near must be 0 or a positive number; got {near}.")
    x = as_features(training, "training", 2)
    centre = x.median(0).values  # rows around the median have small norms, which lose the fewest digits
    neighbours = _Neighbours.among(x - centre)

    def measure(features: Features, name: str, held_out: Memorisation | None) -> Memorisation:
        rows = as_features(features, name, 1)
        require_same_width(x, rows)
        return neighbours.measure(rows - centre, near, held_out)

    return measure(generated, "generated", None if held_out is None else measure(held_out, "held_out", None))


@dataclass(frozen=True)
class _Neighbours:
    """Training rows and their nearest neighbours.

    Attributes:
        points: (N, D).
        squared_radii: squared distance of each row to its nearest neighbour among the others, (N,).
    """

    points: Tensor
    squared_radii: Tensor

    @staticmethod
    def among(points: Tensor) -> "_Neighbours":
        """Return the rows with their neighbours among themselves."""
        radii = torch.empty(len(points), dtype=torch.float64)
        for start in range(0, len(points), BLOCK_ROWS):
            block = points[start : start + BLOCK_ROWS]
            distances = float64_distances(block, points)
            distances.diagonal(start).fill_(math.inf)  # a row is not its own neighbour
            radii[start : start + BLOCK_ROWS] = _of_the_nearest(distances, block, points)
        return _Neighbours(points, radii)

    def measure(self, rows: Tensor, near: float, held_out: Memorisation | None) -> Memorisation:
        """Return how near rows (M, D) lie to the training rows."""
        # Filled in place: small results allocated amid large temporaries would fragment the heap.
        squared = torch.empty(len(rows), dtype=torch.float64)
        authentic, copies = torch.empty(2, len(rows), dtype=torch.bool)
        for start in range(0, len(rows), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            squared[block], authentic[block], copies[block] = self._compare(rows[block])
        close = squared <= near**2 * self.squared_radii.quantile(0.5)
        shares = (flags.double().mean().item() for flags in (authentic, copies, copies | close))
        compared = Compared(rows, copies, copies | close)
        return Memorisation(
            *shares,
            distances=squared.sqrt(),
            held_out=held_out,
            training=self.points,
            compared=compared,
        )

    def _compare(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compare rows (n, D) with the training rows.

        Returns:
            Squared distance to the nearest, whether the row is authentic, and whether it is a copy; (n,)
            each.
        """
        distances = float64_distances(rows, self.points)  # (n, N)
        nearest = _of_the_nearest(distances, rows, self.points)
        for norms in (rows.square().sum(1)[:, None], self.points.square().sum(1)):
            distances -= TIE * norms  # from here on, <= includes equal up to rounding
        within = (distances <= nearest[:, None]) & (distances <= self.squared_radii)
        return nearest, ~within.any(1), (distances <= 0).any(1)


def _of_the_nearest(distances: Tensor, rows: Tensor, points: Tensor) -> Tensor:
    """Return the squared distance of each row to its nearest point, (n,).

    It is computed again from the difference of the two, so that it is exactly 0 for equal rows.
    """
    return (rows - points[distances.argmin(1)]).square().sum(1)
