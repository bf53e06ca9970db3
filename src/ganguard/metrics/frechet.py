"""Fréchet distance between Gaussians fitted to two feature sets (Heusel et al. 2017, eq. 6; Dowson & Landau 1982).

    FD = |mu_a - mu_b|² + tr(S_a) + tr(S_b) - 2 tr((S_a S_b)^½)

The last trace is the sum of the singular values of A Bᵀ, where A and B are any factors with S_a = Aᵀ A and S_b = Bᵀ B. So no
matrix root is taken. A factor is the centred features themselves, or, where they have more rows than columns, the triangle
of their QR decomposition, which has the same Gram matrix without ever squaring the data.
"""

import math

import torch
from torch import Tensor

from ganguard.metrics.arrays import Features, as_features, require_same_width


def frechet_distance(a: Features, b: Features) -> float:
    """FD between features (N, D) and (M, D), N and M at least 2; lower is closer, 0 for equal sets, symmetric.

    It is biased upwards by small samples: compare only values that were measured with equal numbers of images.
    Raises MetricError for other shapes, fewer rows, NaN or infinity.
    """
    x, y = as_features(a, "a", 2), as_features(b, "b", 2)
    require_same_width(x, y)
    difference = x.mean(0) - y.mean(0)
    A, B = _covariance_factor(x), _covariance_factor(y)
    cross = torch.linalg.svdvals(A @ B.T).sum()
    distance = difference.square().sum() + A.square().sum() + B.square().sum() - 2 * cross
    return max(0.0, distance.item())


def _covariance_factor(features: Tensor) -> Tensor:
    """A (min(N, D), D) with AᵀA = the unbiased covariance of features (N, D)."""
    centred = (features - features.mean(0)) / math.sqrt(len(features) - 1)
    return torch.linalg.qr(centred, mode="r").R if len(centred) > centred.shape[1] else centred
