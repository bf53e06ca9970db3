"""Checks that every metric applies to the features it is given."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganguard.base.errors import MetricError

Features = Tensor | np.ndarray

# Bounds on the largest entry: products of four entries, as in a product of two covariances, are still finite.
SMALLEST, LARGEST = 1e-60, 1e60


@dataclass(frozen=True)
class MeanStd:
    """A quantity measured on several parts of the data.

    Attributes:
        mean: mean over the parts.
        std: standard deviation between the parts (dividing by their number, not by one less).
    """

    mean: float
    std: float


def as_features(features: Features, name: str, at_least: int) -> Tensor:
    """Return features (N, D) of real numbers as float64.

    Raises MetricError for other shapes or types, fewer than `at_least` rows, NaN, infinity, or a largest
    entry that is neither 0 nor between SMALLEST and LARGEST.
    """
    return as_floats(features, name, at_least).double()


def as_floats(features: Features, name: str, at_least: int) -> Tensor:
    """Return features as `as_features` does, but keep float32 as float32.

    The result may share memory with float32 or float64 input.
    """
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
            f"{name} holds NaN or infinity. Check the images or the feature network that made it."
        )
    largest = max(map(abs, edges))
    if largest and not SMALLEST <= largest <= LARGEST:
        raise MetricError(
            f"the largest entry of {name} must be 0, or {SMALLEST:g} to {LARGEST:g} in absolute value; got "
            f"{largest:.3g}, whose powers exceed the range of a float. Standardise the features first."
        )
    return tensor


def _tensor(features: Features, name: str) -> Tensor:
    """Return features as a tensor, copied only if torch cannot take the array as it lies in memory.

    Raises MetricError if they are not real numbers.
    """
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
    """Raise MetricError if two feature sets have different D."""
    if a.shape[1] != b.shape[1]:
        raise MetricError(f"both feature sets must have the same width; got {a.shape[1]} and {b.shape[1]}.")
