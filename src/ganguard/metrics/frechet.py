"""Fréchet distance between Gaussians fitted to two feature sets (Heusel et al. 2017, eq. 6; Dowson & Landau
1982).

    FD = |mu_a - mu_b|² + tr(S_a) + tr(S_b) - 2 tr((S_a S_b)^½)

The last trace is the sum of the singular values of A Bᵀ, where A and B are any factors with S_a = Aᵀ A and
S_b = Bᵀ B. So no matrix root is taken. From features, a factor is the centred features themselves, or, where
they have more rows than columns, the triangle of their QR decomposition, which has the same Gram matrix
without ever squaring the data. From statistics, it is a Cholesky factor, and the squared singular values are
the eigenvalues of A S_b Aᵀ; where a covariance is nearly singular, it is a factor with pivots, which has as
many rows as the covariance has rank.
"""

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import scipy.linalg as sla
import torch
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.base.seeds import torch_generator
from ganguard.metrics.arrays import Features, as_features, require_same_width

POINTS = 15  # sizes of samples that the line of FD infinity is fitted to (Chong & Forsyth 2020, section 4)
SMALLEST_SHARE = 0.1  # of the rows, that the smallest of these samples has (ibid.: 5,000 of 50,000)
# columns from which SciPy's LAPACK, which takes half of a product for what is symmetric, is the faster
LAPACK_PAYS = 256
NEARLY_SINGULAR = 1e-4  # of the largest entry of a Cholesky factor's diagonal
FEWEST_ROWS = 4 * POINTS  # so that the sizes differ


@dataclass(frozen=True)
class GaussianStatistics:
    """Mean and covariance of rows that need not be in memory together: make one of each chunk, and add them
    up.

    count: rows so far. mean: (D,). scatter: (D, D), the sum of outer products of rows less their mean. All in
    float64, else MetricError. Sums of the same rows in other chunks are equal up to rounding: about 1e-15 of
    the scatter, and as many times more as the mean has standard deviations, since that is how it is rounded
    (Chan, Golub & LeVeque 1983, eq. 1.5).
    """

    count: int
    mean: Tensor
    scatter: Tensor

    def __post_init__(self) -> None:
        both, width = (self.mean, self.scatter), self.mean.numel()
        shapes = tuple(part.shape for part in both)
        if (
            shapes != ((width,), (width, width))
            or width == 0
            or any(part.dtype != torch.float64 for part in both)
        ):
            came = " and ".join(f"{part.dtype} {tuple(part.shape)}" for part in both)
            raise MetricError(f"mean and scatter must be float64 of shapes (D,) and (D, D); got {came}.")

    @staticmethod
    def of(features: Features, name: str = "features") -> "GaussianStatistics":
        """Of features (N, D), N at least 1. Raises MetricError for other shapes, NaN or infinity."""
        rows = as_features(features, name, 1)
        mean = rows.mean(0)
        centred = rows - mean
        return GaussianStatistics(len(rows), mean, centred.T @ centred)

    def __add__(self, other: "GaussianStatistics") -> "GaussianStatistics":
        """Of the rows of both. Raises MetricError where they have different D."""
        if len(self.mean) != len(other.mean):
            raise MetricError(
                f"both statistics must have one width; got {len(self.mean)} and {len(other.mean)}."
            )
        count, apart = self.count + other.count, other.mean - self.mean
        between = (self.count * other.count / count) * torch.outer(apart, apart)
        return GaussianStatistics(
            count, self.mean + apart * (other.count / count), self.scatter + other.scatter + between
        )

    def covariance(self) -> Tensor:
        """The unbiased covariance, (D, D). Raises MetricError where there are fewer than 2 rows."""
        if self.count < 2:
            raise MetricError(f"a covariance needs at least 2 rows; got {self.count}. Measure more images.")
        return self.scatter / (self.count - 1)


def frechet_distance(a: Features | GaussianStatistics, b: Features | GaussianStatistics) -> float:
    """FD between features (N, D) and (M, D), N and M at least 2, or their statistics; lower is closer, 0 for
    equal sets, symmetric.

    It is biased upwards by small samples: compare only values that were measured with equal numbers of
    images, or see `frechet_distance_infinity`. Raises MetricError for other shapes, fewer rows, NaN or
    infinity.
    """
    if isinstance(a, GaussianStatistics) or isinstance(b, GaussianStatistics):
        return _from_statistics(_statistics(a, "a"), _statistics(b, "b"))
    x, y = as_features(a, "a", 2), as_features(b, "b", 2)
    require_same_width(x, y)
    return _from_factors(x.mean(0) - y.mean(0), _covariance_factor(x), _covariance_factor(y))


def frechet_distance_infinity(a: Features, b: Features, *, points: int = POINTS, seed: int = 0) -> float:
    """What FD tends to as both sets grow (Chong & Forsyth 2020, eq. 5), so that sets of different sizes
    compare.

    FD of random parts of both sets falls on a line in 1 / (their share of the rows); its value at 0 is
    returned. Both sets are thinned alike, since both are samples here (ibid., section 4: the generated one
    alone). Of features (N, D) and (M, D), N and M at least 60, and some times D for the line to be one. Lower
    is closer; about 0, and often below, for two samples of one distribution. Raises MetricError for fewer
    points than 2, other shapes, fewer rows, NaN or infinity.
    """
    if points < 2:
        raise MetricError(f"points must be at least 2, to draw a line through; got {points}.")
    x, y = as_features(a, "a", FEWEST_ROWS), as_features(b, "b", FEWEST_ROWS)
    require_same_width(x, y)
    shares = np.linspace(SMALLEST_SHARE, 1, points)
    generator = torch_generator(seed, "frechet_distance_infinity")
    distances = [frechet_distance(*(_thinned(rows, share, generator) for rows in (x, y))) for share in shares]
    return float(np.polynomial.Polynomial.fit(1 / shares, distances, 1).convert().coef[0])


def _thinned(rows: Tensor, share: float, generator: torch.Generator) -> Tensor | GaussianStatistics:
    """A random part of the rows; as statistics, which are faster, where it has so many that their covariance
    is sound."""
    part = rows[torch.randperm(len(rows), generator=generator)[: round(share * len(rows))]]
    return GaussianStatistics.of(part) if len(part) >= 4 * part.shape[1] else part


def _statistics(value: Features | GaussianStatistics, name: str) -> GaussianStatistics:
    return (
        value
        if isinstance(value, GaussianStatistics)
        else GaussianStatistics.of(as_features(value, name, 2), name)
    )


def _from_statistics(a: GaussianStatistics, b: GaussianStatistics) -> float:
    if len(a.mean) != len(b.mean):
        raise MetricError(f"both statistics must have one width; got {len(a.mean)} and {len(b.mean)}.")
    for one, name in ((a, "a"), (b, "b")):
        if not (torch.isfinite(one.mean).all() and torch.isfinite(one.scatter).all()):
            raise MetricError(
                f"the statistics of {name} hold NaN or infinity. Look at the features that they were made of."
            )
    S_a, S_b = a.covariance(), b.covariance()
    of_product = _eigenvalues(S_a, S_b)
    if of_product is None:
        A, B = _pivoted_cholesky(S_a), _pivoted_cholesky(S_b)
        factor, S = (A, S_b) if len(A) <= len(B) else (B, S_a)  # the smaller rank has the smaller matrix
        of_product = torch.linalg.eigvalsh(factor @ S @ factor.T)
    cross = of_product.clamp(min=0).sqrt().sum()
    distance = (a.mean - b.mean).square().sum() + S_a.trace() + S_b.trace() - 2 * cross
    return max(0.0, distance.item())


def _from_factors(difference: Tensor, A: Tensor, B: Tensor) -> float:
    cross = torch.linalg.svdvals(A @ B.T).sum()
    distance = difference.square().sum() + A.square().sum() + B.square().sum() - 2 * cross
    return max(0.0, distance.item())


def _covariance_factor(features: Tensor) -> Tensor:
    """A (min(N, D), D) with AᵀA = the unbiased covariance of features (N, D)."""
    centred = (features - features.mean(0)) / math.sqrt(len(features) - 1)
    return torch.linalg.qr(centred, mode="r").R if len(centred) > centred.shape[1] else centred


def _eigenvalues(S_a: Tensor, S_b: Tensor) -> Tensor | None:
    """Of Lᵀ S_b L with L Lᵀ = S_a, which are those of S_a S_b; None where either covariance is so near to
    singular that rounding might pass for variance."""
    L = _cholesky(S_a)
    if L is None or _cholesky(S_b) is None:
        return None
    if len(L) < LAPACK_PAYS:
        return torch.linalg.eigvalsh(L.T @ S_b @ L)
    lower, _ = cast(Any, sla.lapack).dsygst(
        S_b.numpy().T, L.numpy(), itype=2, lower=1
    )  # symmetric: laid as LAPACK wants it
    return torch.from_numpy(
        sla.eigvalsh(lower, lower=True, driver="evd", overwrite_a=True, check_finite=False)
    )


def _cholesky(S: Tensor) -> Tensor | None:
    """L with L Lᵀ = S (D, D); None where it is nearly singular."""
    small = len(S) < LAPACK_PAYS
    L, failed = torch.linalg.cholesky_ex(S) if small else _lapack_cholesky(S)
    roots = L.diagonal()
    return None if failed or roots.min() < NEARLY_SINGULAR * roots.max() else L


def _lapack_cholesky(S: Tensor) -> tuple[Tensor, int]:
    lower, failed = cast(Any, sla.lapack).dpotrf(S.numpy().T, lower=1)
    return torch.from_numpy(lower), failed


def _pivoted_cholesky(S: Tensor) -> Tensor:
    """A (rank, D) with AᵀA = S (D, D), symmetric and positive semidefinite (Higham 2002, section 10.3)."""
    lower, pivots, rank, _ = cast(Any, sla.lapack).dpstrf(S.numpy(), lower=1)
    A = torch.empty(rank, len(S), dtype=torch.float64)
    A[:, torch.from_numpy(pivots - 1).long()] = torch.from_numpy(np.tril(lower)[:, :rank].T.copy())
    return A
