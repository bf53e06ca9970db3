"""The door of every metric on features: what is let in, and as what."""

import numpy as np
import torch
from torch import Tensor

from ganguard.base.errors import MetricError

Features = Tensor | np.ndarray


def as_features(features: Features, name: str, at_least: int) -> Tensor:
    """(N, D) real numbers as float64. Raises MetricError for other shapes, fewer than `at_least` rows, NaN or infinity."""
    tensor = torch.as_tensor(features).detach().cpu().to(torch.float64)
    if tensor.ndim != 2 or tensor.shape[1] == 0:
        raise MetricError(f"{name} must be features (N, D); got shape {tuple(tensor.shape)}.")
    if len(tensor) < at_least:
        raise MetricError(f"{name} must hold at least {at_least} rows; got {len(tensor)}. Measure more images.")
    if not torch.isfinite(tensor).all():
        raise MetricError(f"{name} holds NaN or infinity. Look at the images or the feature network that made it.")
    return tensor


def require_same_width(a: Tensor, b: Tensor) -> None:
    """Raises MetricError where two feature sets have different D."""
    if a.shape[1] != b.shape[1]:
        raise MetricError(f"both feature sets must have one width; got {a.shape[1]} and {b.shape[1]}.")
