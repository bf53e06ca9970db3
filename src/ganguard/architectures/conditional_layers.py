"""The layers by which a class reaches G and D.

Each has its BatchNorm as a part, which training on several devices can replace by one that they share.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class ClassBatchNorm(nn.Module):
    """BatchNorm whose scale and shift belong to a class (Dumoulin et al. 2017; Miyato & Koyama 2018).

    Scales begin at 1 and shifts at 0.

    Args:
        channels: of x.
        classes: how many classes, at least 1.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale, self.shift = nn.Embedding(classes, channels), nn.Embedding(classes, channels)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return x (N, C, H, W), normalised, scaled and shifted as images of classes y (N,)."""
        scale, shift = self.scale(y)[:, :, None, None], self.shift(y)[:, :, None, None]
        return torch.addcmul(shift, self.norm(x), scale)


def batch_norm(channels: int, classes: int) -> nn.Module:
    """Return a BatchNorm to be called with x and, if there are classes, y."""
    return ClassBatchNorm(channels, classes) if classes else nn.BatchNorm2d(channels)


class ConditionedBatchNorm(nn.Module):
    """BatchNorm that a vector scales and shifts, by a linear layer each (Brock et al. 2019, appendix B):
    x is normalised, multiplied by 1 + scale, and shifted.

    Args:
        channels: of x.
        conditioned: entries of the vector.
        made: turns a linear layer into the one that is used.
    """

    def __init__(self, channels: int, conditioned: int, made: Callable[[nn.Linear], nn.Linear]) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale, self.shift = (made(nn.Linear(conditioned, channels, bias=False)) for _ in range(2))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return x (N, C, H, W), normalised, scaled and shifted as condition (N, conditioned) says."""
        scale, shift = (layer(condition)[:, :, None, None] for layer in (self.scale, self.shift))
        return torch.addcmul(shift, self.norm(x), 1 + scale)


def projection(features: Tensor, embedded: Tensor) -> Tensor:
    """Return the inner product of D's features and an embedded class, (N, F) each, as (N, 1) (Miyato & Koyama
    2018, equation 3)."""
    return (features * embedded).sum(1, keepdim=True)
