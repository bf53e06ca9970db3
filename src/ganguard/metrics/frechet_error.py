"""Standard errors of Fréchet distances, without a bootstrap of matrix roots.

FD of two samples is expanded about their distributions. Its first order is a mean over rows, of the influence

    psi(x) = 2 (mu_a - mu_b)·x + |x|² - xᵀ T x,    x centred,

with the optimal transport T from one Gaussian to the other (Takatsu 2011, section 2). It vanishes if the
distributions are equal. What is left is the second order, a squared distance of means of the kernel

    k(x, x') = x·x' + ½ Σ_ij (u_i u_j - S_ij) (u'_i u'_j - S_ij) / (s_i + s_j),

with u half-way between both sets: of covariance S = diag(s) in either. The influences that a sample gives
hold both orders, and the second one twice (Efron & Stein 1981, section 2), so that it is subtracted once.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganguard.base.seeds import torch_generator
from ganguard.metrics.arrays import Features, as_features, require_same_width
from ganguard.metrics.expansion import noise_of_first
from ganguard.metrics.frechet import POINTS, SMALLEST_SHARE

# With fewer rows a dimension, the covariances say too little for any expansion.
FEWEST_A_DIMENSION = 1.25
FEWEST_ROWS = 8
RIDGE = 1e-9  # share of the mean variance that is added, so that constant dimensions divide by no 0
# Pairs of rows whose squared kernels are averaged: fewer in many dimensions, in which they vary less.
PAIRS_TIMES_SQUARED_WIDTH, FEWEST_PAIRS, MOST_PAIRS = 1 << 26, 2048, 1 << 15
ROWS_AT_ONCE = 2048


def frechet_error(a: Features, b: Features) -> float | None:
    """Return the standard error of `frechet_distance` of features (N, D) and (M, D).

    None for fewer rows than FEWEST_ROWS or FEWEST_A_DIMENSION D. Raises MetricError for other shapes, NaN or
    infinity.
    """
    parts = _parts(a, b)
    if parts is None:
        return None
    sizes = np.array([[count] for count in parts.counts], dtype=np.float64)
    return parts.error(np.ones(1), sizes)


def frechet_infinity_error(a: Features, b: Features, *, points: int = POINTS) -> float | None:
    """Return the standard error of `frechet_distance_infinity`; arguments as there, None as above.

    The limit is a sum of distances of parts of the sets, with weights that the line's points decide alone.
    """
    parts = _parts(a, b)
    if parts is None:
        return None
    shares = np.linspace(SMALLEST_SHARE, 1, points)
    weights = np.linalg.pinv(np.stack([np.ones(points), 1 / shares], 1))[0]
    return parts.error(weights, np.outer(parts.counts, shares))


@dataclass(frozen=True)
class _Parts:
    """What the errors are made of; pairs are of set a and set b.

    Attributes:
        counts: rows of each set.
        unit: of the rows; errors are in squares of it.
        influence: variance of the influences of rows as they are found, less half of each row's effect on
            itself.
        own: variance of a row's effect on itself, k(x, x).
        within: mean square of k between two rows of one set.
        between: mean square of k between a row of a and one of b.
        rank: dimensions that the covariances really have, (tr S)² / tr(S²). In samples of n rows, the squares
            are found too small by about rank / n of themselves, as repetitions show.
        directions: of the kernel, as `noise_of_first` takes them.
    """

    counts: tuple[int, int]
    unit: float
    influence: tuple[float, float]
    own: tuple[float, float]
    within: tuple[float, float]
    between: float
    rank: float
    directions: float

    def error(self, weights: np.ndarray, sizes: np.ndarray) -> float:
        """Return the standard error of a weighted sum of distances of random parts of both sets.

        Args:
            weights: of each distance, (P,), with sum 1.
            sizes: rows of each part of a and of b, (2, P).
        """
        both = np.outer(weights, weights)
        in_a, in_b = (_overlaps(of, rows) for of, rows in zip(sizes, self.counts, strict=True))
        of_a, of_b = self.within
        squares = 2 * of_a * in_a**2 + 2 * of_b * in_b**2 + 4 * self.between * in_a * in_b
        second = self._inflation * (both * squares).sum()
        own = sum(
            variance * (both * overlap / np.outer(of, of)).sum()
            for variance, overlap, of in zip(self.own, (in_a, in_b), sizes, strict=True)
        )
        first = sum(
            variance * (both * overlap).sum()
            for variance, overlap in zip(self._first_order(), (in_a, in_b), strict=True)
        )
        beyond = max(0.0, first - noise_of_first(second, self.directions))
        return math.sqrt(beyond + second + own) * self.unit**2

    @property
    def _inflation(self) -> float:
        return 1 + self.rank / min(self.counts)

    def _first_order(self) -> list[float]:
        """Return the variance of the true influences, of a and of b; noise may bring it below 0."""
        others = reversed(self.counts)
        twice = [
            4 * self._inflation * (square / own + self.between / other)
            for square, own, other in zip(self.within, self.counts, others, strict=True)
        ]
        return [
            influence - own / count**2 - noise
            for influence, own, count, noise in zip(self.influence, self.own, self.counts, twice, strict=True)
        ]


def _overlaps(sizes: np.ndarray, rows: int) -> np.ndarray:
    """Return the sum over rows of the products of their weights in two random parts, (P, P)."""
    found = np.full((len(sizes),) * 2, 1 / rows)
    np.fill_diagonal(found, 1 / sizes)
    return found


@dataclass(frozen=True)
class _Side:
    """One of the sets.

    Attributes:
        rows: (N, D), centred.
        halfway: the same in the coordinates half-way between both sets, (N, D).
    """

    rows: Tensor
    halfway: Tensor

    def influences(self, apart: Tensor) -> Tensor:
        """Return the influence of each row, (N,), if the means are `apart`."""
        return 2 * self.rows @ apart + self.rows.square().sum(1) - self.halfway.square().sum(1)


@dataclass(frozen=True)
class _Kernel:
    """k of the expansion.

    Attributes:
        shared: covariance of both sets half-way, which is diagonal, (D,).
        weights: 1 / (s_i + s_j), (D, D).
    """

    shared: Tensor
    weights: Tensor

    def __call__(self, x: _Side, y: _Side, i: Tensor, j: Tensor) -> Tensor:
        """Return k(x[i], y[j]), (P,)."""
        a, b = x.halfway[i], y.halfway[j]
        products = a * b
        quadratic = 2 * ((products @ self.weights) * products).sum(1) - a.square().sum(1) - b.square().sum(1)
        return (x.rows[i] * y.rows[j]).sum(1) + (quadratic + self.shared.sum()) / 4

    def own(self, x: _Side) -> Tensor:
        """Return k of each row with itself, (N,)."""
        parts = torch.arange(len(x.rows)).split(ROWS_AT_ONCE)
        return torch.cat([self(x, x, part, part) for part in parts])

    def directions(self, variances: Tensor) -> float:
        """Return (tr C²)² / tr(C⁴) of the covariance C that the kernel gives Gaussian rows.

        Its eigenvalues are those of S, here about `variances` (D,), and s_i s_j / (s_i + s_j) for i <= j.
        """
        of_pairs = (torch.outer(self.shared, self.shared) * self.weights).triu()
        squares, fourths = (variances.pow(power).sum() + of_pairs.pow(power).sum() for power in (2, 4))
        return (squares**2 / fourths).item()

    def mean_square(self, x: _Side, y: _Side, generator: torch.Generator) -> float:
        """Return the mean of k² over random pairs of rows; of two different rows, if x is y."""
        width = x.rows.shape[1]
        pairs = min(max(PAIRS_TIMES_SQUARED_WIDTH // width**2, FEWEST_PAIRS), MOST_PAIRS)
        total = 0.0
        for start in range(0, pairs, ROWS_AT_ONCE):
            count = min(ROWS_AT_ONCE, pairs - start)
            i = torch.randint(len(x.rows), (count,), generator=generator)
            j = torch.randint(len(y.rows) - (x is y), (count,), generator=generator)
            if x is y:
                j += j >= i
            total += self(x, y, i, j).square().sum().item()
        return total / pairs


def _parts(a: Features, b: Features) -> _Parts | None:
    x, y = as_features(a, "a", 2), as_features(b, "b", 2)
    require_same_width(x, y)
    n, m, width = len(x), len(y), x.shape[1]
    if min(n, m) < max(FEWEST_ROWS, FEWEST_A_DIMENSION * width):
        return None
    unit = math.sqrt(sum(rows.var(0).mean().item() for rows in (x, y)) / 2)
    if not unit:
        return None  # constant sets
    x, y = x / unit, y / unit
    apart = x.mean(0) - y.mean(0)
    of_a, of_b, kernel = _halfway(x - x.mean(0), y - y.mean(0))
    own = kernel.own(of_a), kernel.own(of_b)
    influences = of_a.influences(apart), of_b.influences(-apart)
    generator = torch_generator(0, "frechet_error")
    return _Parts(
        counts=(n, m),
        unit=unit,
        influence=_pair((psi - k / len(k)).var().item() for psi, k in zip(influences, own, strict=True)),
        own=_pair(k.var().item() for k in own),
        within=_pair(kernel.mean_square(side, side, generator) for side in (of_a, of_b)),
        between=kernel.mean_square(of_a, of_b, generator),
        rank=(kernel.shared.sum() ** 2 / kernel.shared.square().sum()).item(),
        directions=kernel.directions((x.var(0) + y.var(0)) / 2),
    )


def _pair(values: Iterable[float]) -> tuple[float, float]:
    first, second = values
    return first, second


def _halfway(x: Tensor, y: Tensor) -> tuple[_Side, _Side, _Kernel]:
    """Return both sets, centred, with their coordinates half-way between them.

    With S_a = L Lᵀ and Lᵀ S_b L = U s² Uᵀ, these are s^½ Uᵀ L⁻¹ x and s^-½ Uᵀ Lᵀ y: both have covariance s,
    and the squared length of the first is xᵀ T x.
    """
    S_a, S_b = (_regular_covariance(rows) for rows in (x, y))
    L = torch.linalg.cholesky(S_a)
    squares, U = torch.linalg.eigh(L.T @ S_b @ L)
    shared = squares.clamp(min=RIDGE**2).sqrt()
    of_x = torch.linalg.solve_triangular(L, x.T, upper=False).T @ U * shared.sqrt()
    of_y = y @ (L @ U) / shared.sqrt()
    return _Side(x, of_x), _Side(y, of_y), _Kernel(shared, 1 / (shared[:, None] + shared))


def _regular_covariance(rows: Tensor) -> Tensor:
    covariance = rows.T @ rows / (len(rows) - 1)
    covariance.diagonal().add_(RIDGE)
    return covariance
