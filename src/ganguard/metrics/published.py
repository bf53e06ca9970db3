"""Numbers as others publish them: of features as a network gives them, without a scale.

KID is by the protocol of torch-fidelity, the Vendi score by that of its authors' package, and CMMD by that of
its authors. The Fréchet distance and the inception score need no protocol of their own: `frechet_distance`
of unscaled features, and `inception_score`, are the published ones.
"""

import numpy as np
import torch
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.metrics.arrays import (
    Features,
    MeanStd,
    as_features,
    as_floats,
    as_whole,
    require_same_width,
)
from ganguard.metrics.cubic_kernel import two_sets
from ganguard.metrics.kernel import over_subsets

SUBSETS, SUBSET = 100, 1000  # Binkowski et al. 2018, as in torch-fidelity
SEED = 2020  # of torch-fidelity's subsets
SIGMA, SCALE = 10.0, 1000.0  # of CMMD (Jayasumana et al. 2024, section 4)
ROWS_AT_ONCE = 1024  # of a matrix of kernels


def kid(
    a: Features, b: Features, *, subsets: int = SUBSETS, subset_size: int = SUBSET, seed: int = SEED
) -> MeanStd:
    """Return KID: the mean and the standard deviation of the kernel distance over random subsets.

    It is that of torch-fidelity: cubic kernel (x·y / D + 1)³, and the same subsets for the same seed. If a
    set is smaller than a subset, subsets are as large as the smaller set, as in the code of StyleGAN. The
    standard deviation is that of subsets, and no error of the mean: subsets share rows.

    Raises MetricError for fewer than 1 subset of 2 rows, fewer rows than 2, other shapes, NaN or infinity.

    Args:
        a: features (N, D).
        b: features (M, D).
        subsets: number of subsets.
        subset_size: rows of each set in a subset.
        seed: of the subsets.
    """
    subsets, subset_size = as_whole(subsets, "subsets", 1), as_whole(subset_size, "subset_size", 2)
    seed = as_whole(seed, "seed", 0) % 2**32
    x, y = two_sets(a, b, 2)
    size = min(subset_size, len(x), len(y))
    if size == len(x) == len(y):
        subsets = 1  # all are the whole sets
    generator = np.random.RandomState(seed)
    chosen = [
        [torch.from_numpy(generator.choice(len(rows), size, replace=False)) for rows in (x, y)]
        for _ in range(subsets)
    ]
    values = over_subsets(x, y, chosen)
    return MeanStd(float(values.mean()), float(values.std()))


def vendi_score(features: Features) -> float:
    """Return the Vendi score of features (N, D): how many different rows there are, in effect.

    It is exp of the entropy of the eigenvalues of K / N, where K holds the cosines of all pairs of rows
    (Friedman & Dieng 2023, definition 3.1). It lies between 1, for equal directions, and the smaller of N and
    D; higher is more varied. It sees no real image. It grows with N: compare equal numbers of images.

    Raises MetricError for a row of zeros, which has no direction, other shapes, NaN or infinity.
    """
    x = as_features(features, "features", 1)
    # K and the smaller of it and its dual, the D x D matrix of products, have the same eigenvalues above 0.
    units = _directions(x, "features")
    products = units.T @ units if x.shape[1] < len(x) else units @ units.T
    shares = torch.linalg.eigvalsh(products / len(x)).clamp_(min=0)
    return torch.exp(-torch.xlogy(shares, shares).sum()).item()


def cmmd(a: Features, b: Features) -> float:
    """Return CMMD, 1,000 times the squared maximum mean discrepancy of directions, by a Gaussian kernel.

        k(x, y) = exp(-|x - y|² / (2 σ²)),  σ = 10,  of rows scaled to length 1

    (Jayasumana et al. 2024, section 4; the mean over all pairs, those of a row with itself too, as in their
    code.) It is meant for image embeddings of CLIP. Lower is closer, 0 for equal sets; small samples bias it
    upwards.

    Raises MetricError for a row of zeros, other shapes, NaN or infinity.

    Args:
        a: features (N, D).
        b: features (M, D).
    """
    x, y = as_floats(a, "a", 1).double(), as_floats(b, "b", 1).double()
    require_same_width(x, y)
    x, y = _directions(x, "a"), _directions(y, "b")
    # Kernels are all near 1: what they lack of 1 is averaged, which loses no digits.
    return max(0.0, SCALE * (2 * _mean_lack(x, y) - _mean_lack(x, x) - _mean_lack(y, y)))


def _directions(rows: Tensor, name: str) -> Tensor:
    """Return rows (N, D) scaled to length 1. Raises MetricError for one of zeros."""
    largest = rows.abs().amax(1, keepdim=True)  # whose square might be no float
    if (zeros := int((largest == 0).sum())) > 0:
        raise MetricError(
            f"{name} holds {zeros} rows of zeros, which have no direction. Leave them out, or use other "
            "features."
        )
    rows = rows / largest
    return rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)


def _mean_lack(x: Tensor, y: Tensor) -> float:
    """Return the mean of 1 - k over all pairs of rows (N, D) and (M, D) of length 1, whose |x - y|² is 2 - 2
    x·y.
    """
    total = 0.0
    for rows in x.split(ROWS_AT_ONCE):
        total -= torch.special.expm1((rows @ y.T - 1) / SIGMA**2).sum().item()
    return total / (len(x) * len(y))
