"""The loss that trains a velocity (Liu et al. 2023, equation 1; Lipman et al. 2023, section 3)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ganguard.training.device import Pass


def velocity_loss(velocity: Pass, x: Tensor, z: Tensor, t: Tensor, y: Tensor | None) -> Tensor:
    """Return the mean squared error, (), of a velocity on the straight lines from z to x, both (N, C, H, W),
    at times t (N,), of classes y (N,)."""
    between = torch.lerp(z, x, t[:, None, None, None])
    found = velocity(between, t) if y is None else velocity(between, t, y)
    return F.mse_loss(found.float(), x - z)
