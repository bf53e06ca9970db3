"""How a number of two sets varies, seen in disjoint parts of them.

A number that depends on neighbours has no simple influence of a row. A bootstrap doubles rows, and leaving
out one row at a time overstates how such numbers vary. But two disjoint halves of both sets are independent
samples: half the square of their difference is on average the variance at half the size, whatever the number
is. Four quarters say how the variance falls as sets grow, and so what it is at the full size (Politis &
Romano 1994, section 2). Averages over many random partitions steady both.
"""

import math

import torch
from torch import Tensor

from ganguard.base.seeds import torch_generator

PARTITIONS = 32
LEVELS = (2, 4)  # numbers of parts: halves, and quarters
# Share of the variance that is left if sets double: half for a mean, more for neighbours in many dimensions.
LEAST_LEFT, MOST_LEFT = 0.5, 0.75


def random_quarters(*sizes: int) -> list[Tensor]:
    """Return the quarter of each row in each partition, (PARTITIONS, rows) int64, for sets of these sizes.

    Quarters modulo 2 are halves.
    """
    generator = torch_generator(0, "quarters")
    return [
        torch.stack([torch.randperm(rows, generator=generator) % LEVELS[-1] for _ in range(PARTITIONS)])
        for rows in sizes
    ]


def random_rows(most: int, *sets: Tensor) -> list[Tensor]:
    """Return at most so many rows of each set (N, D), each set with its own choice."""
    generator = torch_generator(0, "rows")
    return [
        rows if len(rows) <= most else rows[torch.randperm(len(rows), generator=generator)[:most]]
        for rows in sets
    ]


def variance_from_parts(
    halves: Tensor,
    quarters: Tensor,
    *,
    times: float = 1,
    least: float = LEAST_LEFT,
    most: float = MOST_LEFT,
) -> Tensor:
    """Return the variance of K numbers at the full size of the sets, (K,) float64.

    Args:
        halves: the numbers of the halves in each partition, (PARTITIONS, 2, K).
        quarters: those of the quarters, (PARTITIONS, 4, K).
        times: how many times as large the sets are as those that were parted.
        least: share of the variance that is left at least if sets double.
        most: the same at most.
    """
    of_halves, of_quarters = (values.double().var(1).mean(0) for values in (halves, quarters))
    left = (of_halves / of_quarters).nan_to_num(least).clamp(least, most)
    return of_halves * left ** math.log2(2 * times)


def means_in_parts(values: Tensor, labels: Tensor, parts: int) -> Tensor:
    """Return the mean of values (PARTITIONS, rows) in each part, (PARTITIONS, parts) float64."""
    shape = (len(labels), parts)
    sums = torch.zeros(shape, dtype=torch.float64).scatter_add_(1, labels, values.double())
    counts = torch.zeros(shape, dtype=torch.float64).scatter_add_(1, labels, torch.ones_like(values).double())
    return sums / counts


def kth_within_parts(labels: Tensor, of: Tensor, which: Tensor, k: int) -> Tensor:
    """Return the place among its neighbours of each row's k-th in its own part, (rows,) int64.

    Args:
        labels: part of each row, (rows,).
        of: part of each possible neighbour.
        which: neighbours of each row, nearest first, (rows, K). If fewer than k lie in the part, the place is
            the last.
        k: which neighbour.
    """
    found = (of[which] == labels[:, None]).cumsum(1) >= k
    return torch.where(found.any(1), found.int().argmax(1), which.shape[1] - 1)


def share_error(variance: float, share: float, rows: int) -> float:
    """Return the standard error of a share of rows, at least that of independent rows.

    A row on either side is added to these, so that a share of 0 or 1 is not called certain (Agresti & Coull
    1998, section 2).
    """
    moved = (share * rows + 1) / (rows + 2)
    return math.sqrt(max(variance, moved * (1 - moved) / rows))
