"""Kernel distance: the unbiased squared maximum mean discrepancy of two feature sets.

    k(x, y) = (x·y / D + 1)³
    KD = mean of k over pairs within a + mean of k over pairs within b
         - 2 (mean of k over pairs of one row of a and one of b)

(Binkowski et al. 2018, eq. 4, "KID".) Pairs within a set are of two different rows. Without bias, KD does not
depend on how many images were measured. It is 0 on average for two samples of one distribution, so about half
of such values lie below 0.
"""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.base.seeds import torch_generator
from ganguard.metrics.arrays import Features, MeanStd, as_whole
from ganguard.metrics.cubic_kernel import kernel, two_sets
from ganguard.metrics.kernel_error import KernelVariance

# Sets of up to so many rows are compared once, all with all; subsets are then sums over parts of the result.
GRAM_ROWS = 3072
# Subsets of up to so many rows are compared all with all, which takes 75 MB a thread; larger ones in blocks.
SUBSET_ROWS = 3072
LARGEST_SHARE = 1 / 3  # of a set, in subsets whose distances tell how those of fresh ones vary
BLOCK_ROWS = 256  # rows that are compared with a whole set at once


def kernel_distance(
    a: Features, b: Features, *, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> MeanStd:
    """Return the mean and the standard deviation of KD over random subsets of features (N, D) and (M, D).

    Lower is closer. Each subset is drawn without replacement from each set. The standard deviation is that of
    the KD of fresh sets of `subset_size` rows, whatever N and M. Subsets that share many rows vary less; so
    if a subset is more than a third of a set, it comes from the variance of the kernels (`kernel_error`), and
    is NaN for sets of fewer than 4 rows. Features in float32 are multiplied, and rows summed, in float32, the
    rest in float64. Raises MetricError if either set has fewer than `subset_size` rows, and for fewer than 1
    subset of 2 rows, other shapes, NaN or infinity.
    """
    subsets, subset_size = as_whole(subsets, "subsets"), as_whole(subset_size, "subset_size")
    seed = as_whole(seed, "seed")
    if subsets < 1 or subset_size < 2:
        raise MetricError(
            f"there must be at least 1 subset of at least 2 rows; got {subsets} of {subset_size}."
        )
    x, y = two_sets(a, b, subset_size)
    generator = torch_generator(seed, "kernel_distance")
    chosen = [
        [torch.randperm(len(rows), generator=generator)[:subset_size] for rows in (x, y)]
        for _ in range(subsets)
    ]
    values = over_subsets(x, y, chosen)
    return MeanStd(float(values.mean()), _deviation(x, y, values, subset_size))


def over_subsets(x: Tensor, y: Tensor, chosen: list[list[Tensor]]) -> np.ndarray:
    """Return the KD of subsets x[i], y[j] for each [i, j] of one length."""
    subset_size = len(chosen[0][0])
    if max(len(x), len(y)) <= GRAM_ROWS:
        return _by_gram_matrices(x, y, *(torch.stack(indices) for indices in zip(*chosen, strict=True)))
    if subset_size > SUBSET_ROWS:
        return np.array([_discrepancy(x[i], y[j]) for i, j in chosen])
    return _one_by_one(x.numpy(), y.numpy(), [(i.numpy(), j.numpy()) for i, j in chosen])


def _deviation(x: Tensor, y: Tensor, values: np.ndarray, size: int) -> float:
    """Return the standard deviation of KD of sets of so many rows, from the KD of subsets of x and y.

    Subsets without replacement vary less, by the root of the share that they leave out (Cochran 1977, eq.
    2.8).
    """
    share = size / min(len(x), len(y))
    if share <= LARGEST_SHARE:
        return float(values.std()) / math.sqrt(1 - share)
    found = KernelVariance.of(x, y)
    return math.nan if found is None else found.error(size, size)


def kernel_distance_full(a: Features, b: Features) -> float:
    """Return the KD between all of features (N, D) and all of (M, D), N and M at least 2.

    There is no random draw, and so no spread. Lower is closer. Raises MetricError for fewer rows, other
    shapes, NaN or infinity.
    """
    return _discrepancy(*two_sets(a, b, 2))


def _discrepancy(x: Tensor, y: Tensor) -> float:
    """Return the KD between all rows of x and all rows of y."""
    n, m = len(x), len(y)
    between = sum(_sum(kernel(rows, y)) for rows in x.split(BLOCK_ROWS))
    return _within(x) / (n * (n - 1)) + _within(y) / (m * (m - 1)) - 2 * between / (n * m)


def _within(x: Tensor) -> float:
    """Return the sum of k over all pairs of two different rows."""
    total = 0.0
    for start in range(0, len(x), BLOCK_ROWS):
        # k is symmetric: each block is compared only with itself and with the rows that follow.
        k = kernel(x[start : start + BLOCK_ROWS], x[start:])
        own = k[:, : len(k)]
        total += 2 * _sum(k) - _sum(own) - own.diagonal().sum(dtype=torch.float64).item()
    return total


def _sum(k: Tensor) -> float:
    """Return the sum of k.

    Each row is summed pairwise in k's own precision, which loses no more than the products did; the rows'
    sums are added up in float64.
    """
    return k.sum(1).sum(dtype=torch.float64).item()


def _one_by_one(x: np.ndarray, y: np.ndarray, chosen: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the KD of subsets x[i], y[j] for each (i, j), with the subsets spread over threads.

    A subset's kernels stay in the cache of the core that computed them. Those within a set are half the work:
    NumPy recognises the product of a matrix with its own transpose.
    """
    threads = torch.get_num_threads()
    share = math.ceil(len(chosen) / threads)
    shares = [chosen[start : start + share] for start in range(0, len(chosen), share)]
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(lambda some: _discrepancies(x, y, some), shares)))


def _discrepancies(x: np.ndarray, y: np.ndarray, chosen: list[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """Return the KD of each of some subsets, computed in buffers that are allocated once.

    The system clears fresh memory, which would take as long as some of the sums.
    """
    n = len(chosen[0][0])
    a, b = (np.empty((n, x.shape[1]), x.dtype) for _ in range(2))
    k, square = (np.empty((n, n), x.dtype) for _ in range(2))

    def total(left: np.ndarray, right: np.ndarray) -> float:
        np.matmul(left, right.T, out=k)
        np.divide(k, x.shape[1], out=k)
        np.add(k, 1, out=k)
        cubes = np.vecdot(np.multiply(k, k, out=square), k).sum(dtype=np.float64)  # k³, summed by rows
        own = (k.diagonal().astype(np.float64) ** 3).sum() if left is right else 0
        return float(cubes - own)

    values: list[float] = []
    for i, j in chosen:
        np.take(x, i, 0, out=a, mode="clip")  # mode "raise" would fill a temporary copy first
        np.take(y, j, 0, out=b, mode="clip")
        values.append((total(a, a) + total(b, b)) / (n * (n - 1)) - 2 * total(a, b) / n**2)
    return values


def _by_gram_matrices(x: Tensor, y: Tensor, i: Tensor, j: Tensor) -> np.ndarray:
    """Return the KD of subsets x[i[s]], y[j[s]], with i and j (S, n).

    A subset is a row of ones at its members; its sum over k is then a product with the kernel matrix.
    """
    in_x = torch.zeros(len(i), len(x), dtype=torch.float64).scatter_(1, i, 1)
    in_y = torch.zeros(len(j), len(y), dtype=torch.float64).scatter_(1, j, 1)

    def total(left: Tensor, right: Tensor, in_left: Tensor, in_right: Tensor, *, same: bool) -> Tensor:
        k = kernel(left, right).double()
        if same:
            k.fill_diagonal_(0)
        return ((in_left @ k) * in_right).sum(1)

    n = i.shape[1]
    within = total(x, x, in_x, in_x, same=True) + total(y, y, in_y, in_y, same=True)
    between = total(x, y, in_x, in_y, same=False)
    return (within / (n * (n - 1)) - 2 * between / n**2).numpy()
