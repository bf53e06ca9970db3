"""The cubic kernel of features, k(x, y) = (x·y / D + 1)³, and the type in which its sums do not overflow."""

import math

import torch
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.metrics.arrays import Features, as_floats, require_same_width


def two_sets(a: Features, b: Features, at_least: int) -> tuple[Tensor, Tensor]:
    """Return both sets in one float type, wide enough that no sum of kernels overflows."""
    x, y = as_floats(a, "a", at_least), as_floats(b, "b", at_least)
    require_same_width(x, y)
    largest = max(abs(edge.item()) for rows in (x, y) for edge in rows.aminmax())
    room = math.log10(torch.finfo(torch.float64).max / max(len(x), len(y)) ** 2)
    if 6 * math.log10(max(largest, 1)) + 1 > room:
        raise MetricError(
            f"entries of features reach {largest:.3g}, whose kernel exceeds the range of a float. "
            "Standardise the features first."
        )
    kind = torch.promote_types(x.dtype, y.dtype)
    if 6 * math.log10(max(largest, 1)) + 1 > math.log10(torch.finfo(kind).max / max(len(x), len(y))):
        kind = torch.float64  # sums of rows would overflow in a narrower type
    return x.to(kind), y.to(kind)


def kernel(x: Tensor, y: Tensor) -> Tensor:
    """Return k of rows (n, D) and (m, D), (n, m)."""
    return torch.mm(x, y.T).div_(x.shape[1]).add_(1).pow_(3)
