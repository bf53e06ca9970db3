"""Standard errors of precision, recall, density and coverage, for both sets and their balls drawn anew."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganguard.metrics.distances import BLOCK, Frame, nearest_neighbours, rounding, tile
from ganguard.metrics.parts import (
    LEAST_LEFT,
    LEVELS,
    MOST_LEFT,
    PARTITIONS,
    kth_within_parts,
    means_in_parts,
    random_quarters,
    random_rows,
    share_error,
    variance_from_parts,
)

# Rows of a set that are looked at: how their numbers vary says how those of more rows do.
MOST_ROWS = 4096
# Neighbours of a row, for each k, among which its k-th in a quarter is looked for: few rows have fewer there.
NEIGHBOURS_A_K = 9


@dataclass(frozen=True)
class _PartBalls:
    """The balls of one set in parts of it, for each number of parts in LEVELS.

    Attributes:
        labels: part of each row, (PARTITIONS, rows).
        squared_radii: to the k-th neighbour in the same part, plus what rounding may hide, (PARTITIONS, rows)
            float32 in the frame.
        reach: the largest squared radius of each row, (rows,).
    """

    labels: tuple[Tensor, ...]
    squared_radii: tuple[Tensor, ...]
    reach: Tensor

    @staticmethod
    def around(frame: Frame, points: Tensor, quarters: Tensor, k: int) -> "_PartBalls":
        found, which = nearest_neighbours(frame, points, min(NEIGHBOURS_A_K * k, len(points) - 1))
        found, order = found.clamp(min=0).sort(1)
        which = which.gather(1, order)
        norms = torch.cat([frame.block(rows).norms for rows in points.split(BLOCK)])
        found += rounding(points.shape[1], norms[:, None], found)
        labels = tuple(quarters % parts for parts in LEVELS)
        radii = tuple(
            torch.stack([found.gather(1, kth_within_parts(own, own, which, k)[:, None])[:, 0] for own in of])
            for of in labels
        )
        return _PartBalls(labels, radii, torch.stack([of.amax(0) for of in radii]).amax(0))


class _Counts:
    """How many balls of its part of one set each row of another lies in, and which balls hold a row.

    Attributes:
        around: balls around each row, (PARTITIONS, rows) int64, for each number of parts.
        holds: whether each ball holds a row, (PARTITIONS, balls) bool, likewise.
    """

    def __init__(self, balls: _PartBalls, others: _PartBalls) -> None:
        self._balls, self._others = balls, others
        self.around = [torch.zeros_like(labels) for labels in others.labels]
        self.holds = [torch.zeros_like(labels, dtype=torch.bool) for labels in balls.labels]

    def add(self, centres: Tensor, rows: Tensor, distances: Tensor) -> None:
        """Count pairs of a ball and a row at some squared distance, (P,) each."""
        for level, (own, other, radii) in enumerate(
            zip(self._balls.labels, self._others.labels, self._balls.squared_radii, strict=True)
        ):
            for s in range(PARTITIONS):
                inside = (own[s, centres] == other[s, rows]) & (distances <= radii[s, centres])
                self.around[level][s] += torch.bincount(rows[inside], minlength=other.shape[1])
                self.holds[level][s, centres[inside]] = True


def prdc_errors(real: Tensor, fake: Tensor, k: int, shares: tuple[float, ...]) -> tuple[float, ...] | None:
    """Return the standard errors of precision, recall, density and coverage; None for too few rows.

    Each quarter of either set must have more than k rows. Of larger sets, MOST_ROWS random rows are taken.

    Args:
        real: features (N, D).
        fake: features (M, D).
        k: the neighbour that balls reach to.
        shares: precision, recall, density and coverage.
    """
    n, m = len(real), len(fake)
    if min(n, m) < LEVELS[-1] * (k + 1):
        return None
    real, fake = random_rows(MOST_ROWS, real, fake)
    # Both sets are so many times as large. If one alone is, the other may decide, which does not grow.
    times = min(n / len(real), m / len(fake))
    frame = Frame.around(real, fake)
    reals, fakes = (
        _PartBalls.around(frame, points, quarters, k)
        for points, quarters in zip((real, fake), random_quarters(len(real), len(fake)), strict=True)
    )
    of_real, of_fake = _Counts(reals, fakes), _Counts(fakes, reals)
    for i in range(0, len(real), BLOCK):
        a = frame.block(real[i : i + BLOCK])
        for j in range(0, len(fake), BLOCK):
            distances = tile(a, frame.block(fake[j : j + BLOCK]))
            rows, columns = (distances <= reals.reach[i : i + BLOCK, None]).nonzero(as_tuple=True)
            of_real.add(i + rows, j + columns, distances[rows, columns])
            rows, columns = (distances <= fakes.reach[j : j + BLOCK]).nonzero(as_tuple=True)
            of_fake.add(j + columns, i + rows, distances[rows, columns])
    halves, quarters = (
        torch.stack(
            [
                means_in_parts(of_real.around[level] > 0, fakes.labels[level], parts),
                means_in_parts(of_fake.around[level] > 0, reals.labels[level], parts),
                means_in_parts(of_real.around[level] / k, fakes.labels[level], parts),
                means_in_parts(of_real.holds[level], reals.labels[level], parts),
            ],
            2,
        )
        for level, parts in enumerate(LEVELS)
    )
    precision, recall = variance_from_parts(halves, quarters, times=times)[:2].tolist()
    # Balls that reach over much of a small quarter overlap more than those of halves: such numbers vary more.
    least = min(MOST_LEFT, LEAST_LEFT + LEVELS[-1] * k / min(n, m))
    density, coverage = variance_from_parts(halves, quarters, times=times, least=least)[2:].tolist()
    return (
        share_error(precision, shares[0], m),
        share_error(recall, shares[1], n),
        math.sqrt(density),
        share_error(coverage, shares[3], n),
    )
