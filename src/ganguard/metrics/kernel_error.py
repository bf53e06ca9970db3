"""Standard error of the kernel distance: the variance of its U-statistics, of first and second order.

    Var KD = 4 Var(f) / n + 4 Var(g) / m + 2 s_aa / (n (n - 1)) + 2 s_bb / (m (m - 1)) + 4 s_ab / (n m)

f(x) is the mean of k(x, ·) over a less that over b, and g likewise for rows of b; s is the variance of k that
is left without its rows' and columns' means (Hoeffding 1948, eq. 5.13; Bounliphone et al. 2016, section 3). f
and g vanish if the distributions are equal, and s decides. Each part is a mean of products of kernels of
different rows, and so without bias. Only sums over rows are held in memory.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganguard.metrics.arrays import Features
from ganguard.metrics.cubic_kernel import kernel, two_sets
from ganguard.metrics.expansion import noise_of_first

BLOCK_ROWS = 128  # rows that are compared with a whole set at once: few enough for the processor's cache
FIRST_ROWS = 256  # rows of a set that show the kernel's size and its directions
APART = 2.5  # standard deviations of equal distributions beyond which a distance is told from 0
FEWEST_ROWS = 4  # a mean of products is over two pairs of different rows


@dataclass(frozen=True)
class KernelVariance:
    """The variances that make up that of the kernel distance, of one row or pair of rows each.

    Attributes:
        of_a: Var(f).
        of_b: Var(g).
        within_a: s_aa.
        within_b: s_bb.
        between: s_ab.
        directions: of the kernel, as `noise_of_first` takes them.
        distance: the kernel distance of the rows at hand.
        counts: N and M.
    """

    of_a: float
    of_b: float
    within_a: float
    within_b: float
    between: float
    directions: float
    distance: float
    counts: tuple[int, int]

    @staticmethod
    def of(a: Features, b: Features) -> "KernelVariance | None":
        """Return the variances in features (N, D) and (M, D); None if N or M is below FEWEST_ROWS.

        Raises MetricError for other shapes, NaN or infinity.
        """
        x, y = two_sets(a, b, 2)
        if min(len(x), len(y)) < FEWEST_ROWS:
            return None
        # The distance of k - shift is that of k, and small numbers lose the fewest digits.
        shift = kernel(x[:FIRST_ROWS], y[:FIRST_ROWS]).mean(dtype=torch.float64).item()
        directions = min(_directions(x[:FIRST_ROWS]), _directions(y[:FIRST_ROWS]))
        return _variance(_Within.of(x, shift), _Within.of(y, shift), _Between.of(x, y, shift), directions)

    def error(self, n: int, m: int) -> float:
        """Return the standard error of the kernel distance of n rows of a and m of b."""
        first, second = 4 * self.of_a / n + 4 * self.of_b / m, self._second(n, m)
        apart = self.distance > APART * math.sqrt(self._second(*self.counts))
        noise = 0.0 if apart else noise_of_first(second, self.directions)
        return math.sqrt(max(0.0, first - noise) + second)

    def _second(self, n: int, m: int) -> float:
        of_one = 2 * self.within_a / (n * (n - 1)) + 2 * self.within_b / (m * (m - 1))
        return max(0.0, of_one + 4 * self.between / (n * m))


def kernel_error(a: Features, b: Features) -> float | None:
    """Return the standard error of `kernel_distance_full` of features (N, D) and (M, D).

    None if N or M is below 4. Raises MetricError for other shapes, NaN or infinity.
    """
    found = KernelVariance.of(a, b)
    return None if found is None else found.error(len(a), len(b))


@dataclass(frozen=True)
class _Within:
    """Sums of k over pairs of two different rows of one set.

    Attributes:
        rows: sum of k of each row with all others, (N,) float64.
        squares: sum of k².
    """

    rows: Tensor
    squares: float

    @staticmethod
    def of(x: Tensor, shift: float) -> "_Within":
        sums, squares = torch.zeros(len(x), dtype=torch.float64), 0.0
        for start in range(0, len(x), BLOCK_ROWS):
            # k is symmetric: pairs with earlier rows have been counted.
            k = kernel(x[start : start + BLOCK_ROWS], x[start:]).double().sub_(shift)
            own, later = k.split([len(k), k.shape[1] - len(k)], 1)
            own.fill_diagonal_(0)
            sums[start : start + len(k)] += k.sum(1)
            sums[start + len(k) :] += later.sum(0)
            squares += own.square().sum().item() + 2 * later.square().sum().item()
        return _Within(sums, squares)

    def means(self) -> tuple[float, float, float]:
        """Return the means of k(1, 2)², of k(1, 2) k(1, 3), and of k(1, 2) k(3, 4) over different rows."""
        n, total, by_row = len(self.rows), self.rows.sum().item(), self.rows.square().sum().item()
        chains = n * (n - 1) * (n - 2)
        return (
            self.squares / (n * (n - 1)),
            (by_row - self.squares) / chains,
            (total**2 - 4 * by_row + 2 * self.squares) / (chains * (n - 3)),
        )


@dataclass(frozen=True)
class _Between:
    """Sums of k over pairs of one row of a and one of b.

    Attributes:
        rows: sum of k of each row of a with all of b, (N,) float64.
        columns: sum of k of each row of b with all of a, (M,) float64.
        squares: sum of k².
    """

    rows: Tensor
    columns: Tensor
    squares: float

    @staticmethod
    def of(x: Tensor, y: Tensor, shift: float) -> "_Between":
        parts: list[Tensor] = []
        columns, squares = torch.zeros(len(y), dtype=torch.float64), 0.0
        for rows in x.split(BLOCK_ROWS):
            k = kernel(rows, y).double().sub_(shift)
            parts.append(k.sum(1))
            columns += k.sum(0)
            squares += k.square_().sum().item()
        return _Between(torch.cat(parts), columns, squares)

    def means(self) -> tuple[float, float, float, float]:
        """Return the means of k², of products that share a row of a, or one of b, and that share none."""
        n, m, total = len(self.rows), len(self.columns), self.rows.sum().item()
        by_row, by_column = (sums.square().sum().item() for sums in (self.rows, self.columns))
        return (
            self.squares / (n * m),
            (by_row - self.squares) / (n * m * (m - 1)),
            (by_column - self.squares) / (n * (n - 1) * m),
            (total**2 - by_row - by_column + self.squares) / (n * (n - 1) * m * (m - 1)),
        )


def _directions(x: Tensor) -> float:
    """Return (tr C²)² / tr(C⁴) of the covariance C that the kernel gives rows x (n, D).

    Both traces are means over rings of different rows: k(1, 2) k(2, 1), and k(1, 2) k(2, 3) k(3, 4) k(4, 1).
    """
    k, n = kernel(x, x).double(), len(x)
    k = k - k.mean(0) - k.mean(1, keepdim=True) + k.mean()
    k.fill_diagonal_(0)
    squared = k @ k
    back_and_forth = 2 * squared.diagonal().square().sum() - k.pow(4).sum()
    pairs = squared.trace() / (n * (n - 1))
    fours = (squared.square().sum() - back_and_forth) / (n * (n - 1) * (n - 2) * (n - 3))
    return (pairs**2 / fours).item() if fours > 0 else math.inf


def _variance(a: _Within, b: _Within, between: _Between, directions: float) -> KernelVariance:
    square, by_row, by_column, apart = between.means()

    def of_one(own: _Within, others: Tensor, shared: float) -> tuple[float, float]:
        """Return the variance of a row's mean difference, and s of its set."""
        n, m = len(own.rows), len(a.rows) + len(b.rows) - len(own.rows)
        same, chain, none = own.means()
        met = (own.rows * others).sum().item()  # products of pairs that share the row
        totals = own.rows.sum().item() * others.sum().item()
        covariance = met / (n * (n - 1) * m) - (totals - 2 * met) / (n * (n - 1) * (n - 2) * m)
        return (chain - none) + (shared - apart) - 2 * covariance, same - 2 * chain + none

    (of_a, within_a), (of_b, within_b) = (
        of_one(a, between.rows, by_row),
        of_one(b, between.columns, by_column),
    )
    n, m = len(a.rows), len(b.rows)
    within = a.rows.sum().item() / (n * (n - 1)) + b.rows.sum().item() / (m * (m - 1))
    return KernelVariance(
        of_a=of_a,
        of_b=of_b,
        within_a=within_a,
        within_b=within_b,
        between=square - by_row - by_column + apart,
        directions=directions,
        distance=within - 2 * between.rows.sum().item() / (n * m),
        counts=(n, m),
    )
