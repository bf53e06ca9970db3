"""Does a generator give its training images away? Authenticity (Alaa et al. 2022, section 4.3; AuthPct in
Stein et al. 2023) and distances to the nearest training row.

A generated row g, whose nearest training row is t, is authentic if g is further from t than t from its own
nearest neighbour in the training set. A row that is exactly as far counts as not authentic: so does a copy of
a training image that occurs twice, whose neighbour is at distance 0. Of several nearest rows, equally far,
the one with the furthest neighbour decides.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.metrics.arrays import Features, as_features, require_same_width
from ganguard.metrics.distances import TIE, float64_distances

BLOCK_ROWS = 128  # rows of the distance matrix in memory at once: few enough to stay in the processor's cache


@dataclass(frozen=True)
class Memorisation:
    """How near rows (M, D) lie to the training set.

    authentic: share of authentic rows, in [0, 1] (AuthPct / 100); higher is better, 0 for a generator that
    replays.
    copies: share of rows that equal a training row up to rounding; lower is better.
    near_copies: share of rows that are copies, or closer to a training row than `near` times the median
        distance between a training row and its nearest neighbour; lower is better.
    distances: Euclidean distance of each row to its nearest training row, (M,) float64.
    held_out: the same, measured on real rows that are not in the training set, if they were given: what fresh
        rows score. Their `authentic` depends on the data; it is 0.4 in 2 dimensions and 0.9 in 512 for
        Gaussian rows.
    """

    authentic: float
    copies: float
    near_copies: float
    distances: Tensor
    held_out: "Memorisation | None" = None

    @property
    def median_distance(self) -> float:
        """Median of the distances."""
        return self.distances.quantile(0.5).item()

    @property
    def distance_ratio(self) -> float | None:
        """Median distance over that of the held-out rows: 1 is as far from the training set as fresh real
        rows, 0 is copies. None without held-out rows, and where half of them are in the training set."""
        if self.held_out is None or self.held_out.median_distance == 0:
            return None
        return self.median_distance / self.held_out.median_distance


def memorisation(
    training: Features, generated: Features, *, held_out: Features | None = None, near: float = 0.5
) -> Memorisation:
    """How near generated rows (M, D) lie to training rows (N, D), N at least 2, by Euclidean distance in
    float64.

    held_out: real rows (H, D) from the same source that the generator never saw, for comparison.
    near: which share of the usual distance between training rows makes a near copy. Of few dimensions, many
        fresh rows come that close too: compare with the held-out rows.
    An image that the training set holds twice hides what was learnt of it by heart, unless to the last bit:
    its neighbour is at distance 0. Take such doubles out first, or look at near_copies, which do not depend
    on single neighbours. Raises MetricError for too few rows, other shapes, NaN or infinity, or a `near` that
    is no share of a distance.
    """
    if not 0 <= near < math.inf:
        raise MetricError(f"near must be 0 or a positive number; got {near}.")
    x = as_features(training, "training", 2)
    centre = x.median(0).values  # rows around it have small norms, which lose the fewest digits
    neighbours = _Neighbours.among(x - centre)

    def measure(features: Features, name: str, held_out: Memorisation | None) -> Memorisation:
        rows = as_features(features, name, 1)
        require_same_width(x, rows)
        return neighbours.measure(rows - centre, near, held_out)

    return measure(generated, "generated", None if held_out is None else measure(held_out, "held_out", None))


@dataclass(frozen=True)
class _Neighbours:
    """Training rows (N, D) and the squared distance of each to its nearest neighbour among the others,
    (N,)."""

    points: Tensor
    squared_radii: Tensor

    @staticmethod
    def among(points: Tensor) -> "_Neighbours":
        radii = torch.empty(len(points), dtype=torch.float64)
        for start in range(0, len(points), BLOCK_ROWS):
            block = points[start : start + BLOCK_ROWS]
            distances = float64_distances(block, points)
            distances.diagonal(start).fill_(math.inf)  # a row is not its own neighbour
            radii[start : start + BLOCK_ROWS] = _of_the_nearest(distances, block, points)
        return _Neighbours(points, radii)

    def measure(self, rows: Tensor, near: float, held_out: Memorisation | None) -> Memorisation:
        squared = torch.empty(
            len(rows), dtype=torch.float64
        )  # filled, not gathered: small results between large ones that
        authentic, copies = torch.empty(
            2, len(rows), dtype=torch.bool
        )  # come and go would split the memory to pieces
        for start in range(0, len(rows), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            squared[block], authentic[block], copies[block] = self._compare(rows[block])
        close = squared <= near**2 * self.squared_radii.quantile(0.5)
        shares = (flags.double().mean().item() for flags in (authentic, copies, copies | close))
        return Memorisation(*shares, distances=squared.sqrt(), held_out=held_out)

    def _compare(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of rows (n, D): squared distances to the nearest, which are authentic, and which are copies, (n,)
        each."""
        distances = float64_distances(rows, self.points)  # (n, N)
        nearest = _of_the_nearest(distances, rows, self.points)
        for norms in (rows.square().sum(1)[:, None], self.points.square().sum(1)):
            distances -= TIE * norms  # from here on, equal up to rounding means <=
        within = (distances <= nearest[:, None]) & (distances <= self.squared_radii)
        return nearest, ~within.any(1), (distances <= 0).any(1)


def _of_the_nearest(distances: Tensor, rows: Tensor, points: Tensor) -> Tensor:
    """Squared distance of each row to its nearest point, computed anew from their difference: 0 for equal
    ones, (n,)."""
    return (rows - points[distances.argmin(1)]).square().sum(1)
