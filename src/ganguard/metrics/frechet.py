"""Fréchet distance between Gaussians fitted to two feature sets.

    FD = |mu_a - mu_b|² + tr(S_a) + tr(S_b) - 2 tr((S_a S_b)^½)

(Heusel et al. 2017, eq. 6; Dowson & Landau 1982.) The last trace is the sum of the singular values of A Bᵀ,
where A and B are any factors with S_a = Aᵀ A and S_b = Bᵀ B. So no matrix root is taken.

From features, the factor is the centred features themselves; or, if they have more rows than columns, the
triangle of their QR decomposition, which has the same Gram matrix without ever squaring the data.

From statistics, the factor is a Cholesky factor, and the squared singular values are the eigenvalues of A S_b
Aᵀ. If a covariance is nearly singular, the factor is a Cholesky factor with pivoting, which has as many rows
as the covariance has rank.
"""

import math
from dataclasses import InitVar, dataclass
from typing import Any, cast

import numpy as np
import scipy.linalg as sla
import torch
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.base.seeds import torch_generator
from ganguard.metrics.arrays import Features, as_features, as_whole, require_same_width
from ganguard.metrics.moments import as_float64, symmetric
from ganguard.results.measures import MEASURES

POINTS = 15  # sample sizes to which the line of FD infinity is fitted (Chong & Forsyth 2020, section 4)
SMALLEST_SHARE = 0.1  # share of the rows in the smallest sample (ibid.: 5,000 of 50,000)
# Columns from which SciPy's LAPACK is faster: it computes only half of a symmetric product.
LAPACK_PAYS = 256
# A covariance is nearly singular if the smallest entry of its Cholesky factor's diagonal is below this share
# of the largest.
NEARLY_SINGULAR = 1e-4
INFINITY = MEASURES["frechet_distance_infinity"]  # which says how many rows it needs


@dataclass(frozen=True)
class GaussianStatistics:
    """Mean and covariance of rows that need not be in memory together.

    Make statistics of each chunk, and add them up. Sums over the same rows in other chunks are equal up to
    rounding: about 1e-15 of the scatter, times the number of standard deviations between the mean and 0,
    since the mean is rounded relative to its size (Chan, Golub & LeVeque 1983, eq. 1.5).

    Raises MetricError unless mean and scatter are float64 and of one width, and scatter is symmetric and has
    no negative eigenvalue, up to rounding. NumPy's arrays are taken too, of any type of numbers.

    Attributes:
        count: rows so far; None if it is unknown, and then `scatter` is the covariance itself.
        mean: (D,).
        scatter: (D, D), the sum of outer products of the rows less their mean.
        sound: set for a mean and scatter that were computed here, and need not be checked.
    """

    count: int | None
    mean: Tensor
    scatter: Tensor
    sound: InitVar[bool] = False

    def __post_init__(self, sound: bool) -> None:
        if sound:
            return
        for name in ("mean", "scatter"):
            if not isinstance(part := getattr(self, name), Tensor):
                object.__setattr__(self, name, as_float64(part, name))
        both, width = (self.mean, self.scatter), self.mean.numel()
        shapes = tuple(part.shape for part in both)
        if (
            shapes != ((width,), (width, width))
            or width == 0
            or any(part.dtype != torch.float64 for part in both)
        ):
            came = " and ".join(f"{part.dtype} {tuple(part.shape)}" for part in both)
            raise MetricError(f"mean and scatter must be float64 of shapes (D,) and (D, D); got {came}.")
        if self.scatter.isfinite().all():  # a distance refuses the others
            object.__setattr__(self, "scatter", symmetric(self.scatter, "the covariance"))

    @staticmethod
    def of_moments(
        mean: Tensor | np.ndarray, covariance: Tensor | np.ndarray, count: int | None = None
    ) -> "GaussianStatistics":
        """Return the statistics of rows of which only mean and unbiased covariance are known, as pytorch-fid
        and others store them (`mu`, `sigma`).

        Raises MetricError unless both are finite real numbers, and the covariance is symmetric and has no
        negative eigenvalue, up to rounding.

        Args:
            mean: (D,), of any type of real numbers.
            covariance: (D, D), likewise.
            count: number of the rows, at least 2; None if it is unknown. Statistics of an unknown number of
                rows cannot be added to others.
        """
        if count is not None:
            count = as_whole(count, "count", 2)
        mu, sigma = as_float64(mean, "mean"), as_float64(covariance, "covariance")
        if not (mu.isfinite().all() and sigma.isfinite().all()):
            raise MetricError("mean and covariance hold NaN or infinity. Compute them again.")
        of = GaussianStatistics(None, mu, sigma)
        if count is None:
            return of
        return GaussianStatistics(count, of.mean, of.scatter * (count - 1), sound=True)

    @staticmethod
    def of(features: Features, name: str = "features") -> "GaussianStatistics":
        """Return the statistics of features (N, D), N at least 1.

        Raises MetricError for other shapes, NaN or infinity.
        """
        rows = as_features(features, name, 1)
        mean = rows.mean(0)
        centred = rows - mean
        return GaussianStatistics(len(rows), mean, centred.T @ centred, sound=True)

    def __add__(self, other: "GaussianStatistics") -> "GaussianStatistics":
        """Return the statistics of the rows of both. Raises MetricError if they have different D, or the
        number of rows of one is unknown."""
        if len(self.mean) != len(other.mean):
            raise MetricError(
                f"both statistics must have the same width; got {len(self.mean)} and {len(other.mean)}."
            )
        if self.count is None or other.count is None:
            raise MetricError(
                "statistics of an unknown number of rows cannot be added. Give `of_moments` their count."
            )
        count, apart = self.count + other.count, other.mean - self.mean
        between = (self.count * other.count / count) * torch.outer(apart, apart)
        return GaussianStatistics(
            count,
            self.mean + apart * (other.count / count),
            self.scatter + other.scatter + between,
            sound=True,
        )

    def covariance(self) -> Tensor:
        """Return the unbiased covariance, (D, D). Raises MetricError if there are fewer than 2 rows."""
        if self.count is None:
            return self.scatter
        if self.count < 2:
            raise MetricError(f"a covariance needs at least 2 rows; got {self.count}. Measure more images.")
        return self.scatter / (self.count - 1)


def frechet_distance(a: Features | GaussianStatistics, b: Features | GaussianStatistics) -> float:
    """Return the FD between features (N, D) and (M, D), N and M at least 2, or between their statistics.

    Lower is closer, 0 for equal sets; the distance is symmetric. Small samples bias it upwards: compare only
    values that were measured with equal numbers of images, or see `frechet_distance_infinity`. Raises
    MetricError for other shapes, fewer rows, NaN or infinity.
    """
    if isinstance(a, GaussianStatistics) or isinstance(b, GaussianStatistics):
        return _from_statistics(_statistics(a, "a"), _statistics(b, "b"))
    x, y = as_features(a, "a", 2), as_features(b, "b", 2)
    require_same_width(x, y)
    return _from_factors(x.mean(0) - y.mean(0), _covariance_factor(x), _covariance_factor(y))


def frechet_distance_infinity(a: Features, b: Features, *, points: int = POINTS, seed: int = 0) -> float:
    """Return the limit of FD as both sets grow (Chong & Forsyth 2020, eq. 5).

    So sets of different sizes can be compared. FD of random parts of both sets is linear in 1 / (the parts'
    share of the rows); the value of the fitted line at 0 is returned. Both sets are thinned alike, since both
    are samples here (ibid., section 4, thins the generated set alone). Lower is closer; two samples of one
    distribution give about 0, and often less.

    Raises MetricError for fewer points than 2, other shapes, fewer rows, NaN or infinity.

    Args:
        a: features (N, D), N at least 60 and 20 D. With fewer, the smallest parts have hardly more rows than
            dimensions, FD grows faster than linearly in them, and the line overshoots.
        b: features (M, D), likewise.
        points: sample sizes, from SMALLEST_SHARE of the rows to all of them.
        seed: seed of the random parts.
    """
    points, seed = as_whole(points, "points", 2), as_whole(seed, "seed")
    x, y = as_features(a, "a", 2), as_features(b, "b", 2)
    require_same_width(x, y)
    if shortage := INFINITY.shortage(images=min(len(x), len(y)), dimensions=x.shape[1]):
        raise MetricError(shortage)
    shares = np.linspace(SMALLEST_SHARE, 1, points)
    generator = torch_generator(seed, "frechet_distance_infinity")
    distances = [frechet_distance(*(_thinned(rows, share, generator) for rows in (x, y))) for share in shares]
    return float(np.polynomial.Polynomial.fit(1 / shares, distances, 1).convert().coef[0])


def _thinned(rows: Tensor, share: float, generator: torch.Generator) -> Tensor | GaussianStatistics:
    """Return a random part of the rows.

    If it has so many rows that their covariance is well conditioned, return statistics, which are faster.
    """
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
        raise MetricError(f"both statistics must have the same width; got {len(a.mean)} and {len(b.mean)}.")
    for one, name in ((a, "a"), (b, "b")):
        if not (torch.isfinite(one.mean).all() and torch.isfinite(one.scatter).all()):
            raise MetricError(
                f"the statistics of {name} hold NaN or infinity. Check the features that they were made from."
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
    """Return A (min(N, D), D) such that AᵀA is the unbiased covariance of features (N, D)."""
    centred = (features - features.mean(0)) / math.sqrt(len(features) - 1)
    return torch.linalg.qr(centred, mode="r").R if len(centred) > centred.shape[1] else centred


def _eigenvalues(S_a: Tensor, S_b: Tensor) -> Tensor | None:
    """Return the eigenvalues of Lᵀ S_b L with L Lᵀ = S_a, which are those of S_a S_b.

    Return None if either covariance is so nearly singular that rounding might pass for variance.
    """
    L = _cholesky(S_a)
    if L is None or _cholesky(S_b) is None:
        return None
    if len(L) < LAPACK_PAYS:
        return torch.linalg.eigvalsh(L.T @ S_b @ L)
    # S_b is symmetric, so its transpose is the same matrix in the column order that LAPACK wants.
    lower, _ = cast(Any, sla.lapack).dsygst(S_b.numpy().T, L.numpy(), itype=2, lower=1)
    return torch.from_numpy(
        sla.eigvalsh(lower, lower=True, driver="evd", overwrite_a=True, check_finite=False)
    )


def _cholesky(S: Tensor) -> Tensor | None:
    """Return L with L Lᵀ = S (D, D), or None if S is nearly singular."""
    small = len(S) < LAPACK_PAYS
    L, failed = torch.linalg.cholesky_ex(S) if small else _lapack_cholesky(S)
    roots = L.diagonal()
    return None if failed or roots.min() < NEARLY_SINGULAR * roots.max() else L


def _lapack_cholesky(S: Tensor) -> tuple[Tensor, int]:
    lower, failed = cast(Any, sla.lapack).dpotrf(S.numpy().T, lower=1)
    return torch.from_numpy(lower), failed


def _pivoted_cholesky(S: Tensor) -> Tensor:
    """Return A (rank, D) with AᵀA = S (D, D), for S symmetric and positive semidefinite.

    Higham 2002, section 10.3.
    """
    lower, pivots, rank, _ = cast(Any, sla.lapack).dpstrf(S.numpy(), lower=1)
    A = torch.empty(rank, len(S), dtype=torch.float64)
    A[:, torch.from_numpy(pivots - 1).long()] = torch.from_numpy(np.tril(lower)[:, :rank].T.copy())
    return A
