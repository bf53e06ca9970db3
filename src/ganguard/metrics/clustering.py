"""K-means of rows that are too many to be held as float64.

scikit-learn's k-means makes float64 copies of all rows, which take 16 times the bytes of images. Here, rows
stay as they are, and are converted a block at a time. The draws are scikit-learn's, so that the centres are
the same up to rounding: greedy k-means++ (Arthur & Vassilvitskii 2007), then Lloyd's iterations (Lloyd 1982).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import scipy.linalg as sla
import torch
from torch import Tensor

ITERATIONS = 100  # of Lloyd's, from one start
TOLERANCE = 1e-4  # of the mean variance of a dimension: centres that move by less in all, squared, are found
NUMBERS_AT_ONCE = 1 << 22  # float64, 32 MiB: of a block of rows
NUMBERS_HELD = 1 << 23  # float64, 64 MiB: so many are converted once for all
GRAM_ROWS = 3072  # wider rows than long columns, up to this number, are replaced by shorter ones as far apart


@dataclass(frozen=True)
class Rows:
    """Rows (N, D) of any real numbers, read as float64 in blocks: less an offset, over a scale.

    Attributes:
        values: (N, D or more) of a real type.
        columns: which columns of the values count, (D,) int64; None for all.
        offset: (D,) float64.
        scale: (D,) float64; None if rows are not scaled.
    """

    values: Tensor
    columns: Tensor | None
    offset: Tensor
    scale: Tensor | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def width(self) -> int:
        """D."""
        return len(self.offset)

    @cached_property
    def _held(self) -> Tensor:
        return self.at(torch.arange(len(self)))

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield each block's place and rows (n, D) float64, in memory that the next block takes again."""
        if len(self) * self.width <= NUMBERS_HELD:
            yield slice(0, len(self)), self._held
            return
        size = min(len(self), max(1, NUMBERS_AT_ONCE // self.width))
        room = torch.empty(size, self.width, dtype=torch.float64)
        for start in range(0, len(self), size):
            place = slice(start, min(start + size, len(self)))
            some = self.values[place] if self.columns is None else self.values[place, self.columns]
            yield place, self._shifted(some, room[: place.stop - start])

    def at(self, indices: Tensor) -> Tensor:
        """Return some rows (n, D) float64, which should be few."""
        room = torch.empty(len(indices), self.width, dtype=torch.float64)
        some = self.values[indices] if self.columns is None else self.values[indices[:, None], self.columns]
        return self._shifted(some, room)

    def some_columns(self, which: slice) -> "Rows":
        """Return the same rows with some of their columns alone."""
        scale = None if self.scale is None else self.scale[which]
        if self.columns is None:
            return Rows(self.values[:, which], None, self.offset[which], scale)
        return Rows(self.values, self.columns[which], self.offset[which], scale)

    def _shifted(self, values: Tensor, into: Tensor) -> Tensor:
        into.copy_(values).sub_(self.offset)
        return into if self.scale is None else into.div_(self.scale)


def moments(rows: Rows) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each dimension, (D,) float64 each; the variance divides by N."""
    mean, variance = torch.zeros(2, rows.width, dtype=torch.float64)
    for _, block in rows.blocks():
        mean += block.sum(0) / len(rows)
    for _, block in rows.blocks():
        variance += (block - mean).square_().sum(0) / len(rows)
    return mean, variance


def k_means(rows: Rows, count: int, *, seed: int) -> Tensor:
    """Return the centres (count, D) float64 of rows, of which at least `count` must be different.

    Memory holds the centres twice, and one block of rows. Rows should have their mean at 0, since squared
    distances are differences of squared norms.

    Args:
        rows: N rows.
        count: number of centres.
        seed: of the start, below 2**32.
    """
    alike = len(rows) <= min(GRAM_ROWS, rows.width // 2)
    labels = _labels(_shorter(rows) if alike else rows, count, seed)
    return _means(rows, labels, count)


def _shorter(rows: Rows) -> Rows:
    """Return N rows of at most N numbers that are as far apart as these.

    They are a factor L of the matrix of products, L Lᵀ, by a Cholesky decomposition with pivoting, since that
    matrix may be singular (Higham 2002, section 10.3).
    """
    products = torch.zeros(len(rows), len(rows), dtype=torch.float64)
    at_once = max(1, NUMBERS_AT_ONCE // len(rows))
    for start in range(0, rows.width, at_once):
        some = rows.some_columns(slice(start, start + at_once)).at(torch.arange(len(rows)))
        products.addmm_(some, some.T)
    factor, pivots, rank, _ = cast(Any, sla.lapack).dpstrf(products.numpy(), lower=1)
    shorter = torch.empty(len(rows), rank, dtype=torch.float64)
    shorter[torch.from_numpy(pivots - 1).long()] = torch.from_numpy(np.tril(factor)[:, :rank])
    return Rows(shorter, None, torch.zeros(rank).double())


def _labels(rows: Rows, count: int, seed: int) -> Tensor:
    """Return labels (N,) of rows; the centres that k-means finds are the means of the rows of one label."""
    squares = torch.cat([torch.linalg.vector_norm(block, dim=1).square_() for _, block in rows.blocks()])
    centres = rows.at(_start(rows, squares, count, np.random.RandomState(seed)))
    least = TOLERANCE * moments(rows)[1].mean().item()
    before = torch.full((len(rows),), -1)
    for _ in range(ITERATIONS):
        labels = _nearest(rows, squares, centres)
        if torch.equal(labels, before):
            break
        means = _means(rows, labels, count)
        moved = sum(
            (mean - centre).square().sum().item() for mean, centre in zip(means, centres, strict=True)
        )
        before, centres = labels, means
        if moved <= least:
            break
    return before


def _start(rows: Rows, squares: Tensor, count: int, generator: np.random.RandomState) -> Tensor:
    """Return the indices of the rows that greedy k-means++ begins with, (count,)."""
    trials = 2 + int(math.log(count))
    chosen = [int(generator.choice(len(rows), p=np.full(len(rows), 1 / len(rows))))]
    nearest = _distances(rows, squares, torch.tensor(chosen))[0]
    while len(chosen) < count:
        drawn = generator.uniform(size=trials) * nearest.sum().item()
        tried = np.searchsorted(nearest.cumsum(0).numpy(), drawn).clip(max=len(rows) - 1)
        closer = torch.minimum(_distances(rows, squares, torch.from_numpy(tried)), nearest)
        best = int(closer.sum(1).argmin())
        nearest = closer[best]
        chosen.append(int(tried[best]))
    return torch.tensor(chosen)


def _distances(rows: Rows, squares: Tensor, indices: Tensor) -> Tensor:
    """Return the squared distances of all rows to some of them, (len(indices), N)."""
    some = rows.at(indices)
    found = torch.empty(len(indices), len(rows), dtype=torch.float64)
    for place, block in rows.blocks():
        found[:, place] = (block @ some.T).T
    found.mul_(-2).add_(squares).add_(squares[indices][:, None]).clamp_(min=0)
    found[torch.arange(len(indices)), indices] = 0
    return found


def _nearest(rows: Rows, squares: Tensor, centres: Tensor) -> Tensor:
    """Return the nearest centre of each row, (N,).

    A centre that is the nearest of none takes the row that is farthest from its own.
    """
    norms = torch.linalg.vector_norm(centres, dim=1).square_()
    labels = torch.empty(len(rows), dtype=torch.int64)
    distances = torch.empty(len(rows), dtype=torch.float64)
    for place, block in rows.blocks():
        nearest = torch.addmm(norms, block, centres.T, alpha=-2).min(1)
        labels[place], distances[place] = nearest.indices, nearest.values + squares[place]
    counts = torch.bincount(labels, minlength=len(centres))
    for empty in (counts == 0).nonzero()[:, 0].tolist():
        farthest = torch.where(counts[labels] > 1, distances, -math.inf).argmax()
        counts[labels[farthest]] -= 1
        labels[farthest], counts[empty] = empty, 1
    return labels


def _means(rows: Rows, labels: Tensor, count: int) -> Tensor:
    """Return the mean of the rows of each label, (count, D); each label has some."""
    sums = torch.zeros(count, rows.width, dtype=torch.float64)
    for place, block in rows.blocks():
        sums.index_add_(0, labels[place], block)
    return sums.div_(torch.bincount(labels, minlength=count)[:, None])
