"""Mean and covariance that come from elsewhere, checked before a distance is taken of them."""

import numpy as np
import torch
from torch import Tensor

from ganguard.base.errors import MetricError

# Largest asymmetry of a covariance, as a share of its largest entry, and largest share of its largest
# eigenvalue by which another may lie below 0: what rounding to float32 leaves.
ASYMMETRIC, NEGATIVE = 1e-6, 1e-6


def as_float64(values: Tensor | np.ndarray, name: str) -> Tensor:
    """Return real numbers, of any type, as a float64 tensor of their own on CPU. Raises MetricError."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    try:
        array = np.asarray(values)
    except ValueError:  # lists of several lengths
        array = np.asarray(None)
    if array.dtype.kind not in "fiu" or isinstance(values, np.ma.MaskedArray):
        raise MetricError(
            f"{name} must be an array of real numbers; got {type(values).__name__} of {array.dtype}."
        )
    return torch.from_numpy(array.astype(np.float64, copy=True))


def symmetric(S: Tensor, name: str) -> Tensor:
    """Return a covariance (D, D), or a multiple of one, as an exactly symmetric matrix.

    Raises MetricError if it is not symmetric, or has an eigenvalue below 0, by more than rounding.
    """
    apart, largest = (S - S.T).abs().max().item(), S.abs().max().item()
    if apart > ASYMMETRIC * largest:
        raise MetricError(
            f"{name} must be symmetric; two entries that mirror each other differ by {apart:.3g}. Compute "
            "the covariance again."
        )
    even = (S + S.T) / 2
    edges = torch.linalg.eigvalsh(even)
    if edges[0] < -NEGATIVE * edges[-1].abs():
        raise MetricError(
            f"{name} must have no negative eigenvalue, as every covariance; its least is {edges[0]:.3g}, its "
            f"largest {edges[-1]:.3g}. Compute the covariance again, in float64."
        )
    return even
