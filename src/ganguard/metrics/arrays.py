"""The door of every metric on features: what is let in, and as what."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganguard.base.errors import MetricError

Features = Tensor | np.ndarray

SMALLEST, LARGEST = (
    1e-60,
    1e60,
)  # of the largest entry: products of four, as in a covariance of covariances, are floats still


@dataclass(frozen=True)
class MeanStd:
    """A quantity that was measured on several parts of the data: the mean of the parts, and the standard
    deviation between them (over all parts, not the parts less one)."""

    mean: float
    std: float


def as_features(features: Features, name: str, at_least: int) -> Tensor:
    """(N, D) real numbers as float64. Raises MetricError for other shapes or types, fewer than `at_least`
    rows, NaN, infinity, or a largest entry that is neither 0 nor between SMALLEST and LARGEST."""
    return as_floats(features, name, at_least).double()


def as_floats(features: Features, name: str, at_least: int) -> Tensor:
    """The same, left in float32 where that is what came: no copy is made of what is float32 or float64
    already, and could be written to."""
    tensor = _tensor(features, name)
    if tensor.dtype != torch.float32:
        tensor = tensor.double()
    if tensor.ndim != 2 or tensor.shape[1] == 0:
        raise MetricError(f"{name} must be features (N, D); got shape {tuple(tensor.shape)}.")
    if len(tensor) < at_least:
        raise MetricError(
            f"{name} must hold at least {at_least} rows; got {len(tensor)}. Measure more images."
        )
    edges: list[float] = torch.stack(tensor.aminmax()).tolist()
    if not all(math.isfinite(edge) for edge in edges):
        raise MetricError(
            f"{name} holds NaN or infinity. Look at the images or the feature network that made it."
        )
    largest = max(map(abs, edges))
    if largest and not SMALLEST <= largest <= LARGEST:
        raise MetricError(
            f"the largest entry of {name} must be 0, or of {SMALLEST:g} to {LARGEST:g} in size; got "
            f"{largest:.3g}, whose powers no float holds. Standardise the features first."
        )
    return tensor


def _tensor(features: Features, name: str) -> Tensor:
    """Features as a tensor; arrays that torch cannot take as they lie are copied. Raises MetricError for what
    are no real numbers."""
    if isinstance(features, Tensor):
        if features.is_complex():
            raise MetricError(f"{name} must be real numbers; got {features.dtype}.")
        return features.detach().cpu()
    array = np.asarray(features)
    if array.dtype.kind not in "biuf":
        raise MetricError(f"{name} must be real numbers; got {array.dtype}.")
    if array.dtype != np.float32:
        array = array.astype(np.float64, copy=False)
    backwards = min(array.strides, default=0) < 0
    return torch.from_numpy(array.copy() if backwards or not array.flags.writeable else array)


def require_same_width(a: Tensor, b: Tensor) -> None:
    """Raises MetricError where two feature sets have different D."""
    if a.shape[1] != b.shape[1]:
        raise MetricError(f"both feature sets must have one width; got {a.shape[1]} and {b.shape[1]}.")
