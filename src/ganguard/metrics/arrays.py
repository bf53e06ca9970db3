"""The door of every metric on features: what is let in, and as what."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganguard.base.errors import MetricError

Features = Tensor | np.ndarray


@dataclass(frozen=True)
class MeanStd:
    """A quantity that was measured on several parts of the data: the mean of the parts, and the standard deviation between
    them (over all parts, not the parts less one)."""

    mean: float
    std: float


def as_features(features: Features, name: str, at_least: int) -> Tensor:
    """(N, D) real numbers as float64. Raises MetricError for other shapes, fewer than `at_least` rows, NaN or infinity."""
    return as_floats(features, name, at_least).double()


def as_floats(features: Features, name: str, at_least: int) -> Tensor:
    """The same, left in float32 where that is what came: no copy is made of what is float32 or float64 already."""
    tensor = torch.as_tensor(features).detach().cpu()
    if tensor.dtype != torch.float32:
        tensor = tensor.double()
    if tensor.ndim != 2 or tensor.shape[1] == 0:
        raise MetricError(f"{name} must be features (N, D); got shape {tuple(tensor.shape)}.")
    if len(tensor) < at_least:
        raise MetricError(f"{name} must hold at least {at_least} rows; got {len(tensor)}. Measure more images.")
    if not all(math.isfinite(edge) for edge in torch.stack(tensor.aminmax()).tolist()):
        raise MetricError(f"{name} holds NaN or infinity. Look at the images or the feature network that made it.")
    return tensor


def require_same_width(a: Tensor, b: Tensor) -> None:
    """Raises MetricError where two feature sets have different D."""
    if a.shape[1] != b.shape[1]:
        raise MetricError(f"both feature sets must have one width; got {a.shape[1]} and {b.shape[1]}.")
