"""Layers that progressive GANs introduced and StyleGAN2 kept (Karras et al., "Progressive Growing of GANs",
ICLR 2018, sections 3 and 4).

Equalised learning rate: weights begin as N(0, 1) and are scaled at every use by He's constant, gain /
sqrt(inputs). Adam's steps have the same length for every weight, so all layers learn at one pace.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GAIN = math.sqrt(2)  # compensates for the part of a signal's size that a leaky ReLU removes (He et al. 2015)
EPSILON = 1e-8  # added to a mean of squares under a root
GROUP = 4  # images over which the minibatch deviation is taken


class EqualisedLinear(nn.Module):
    """x (N, inputs) -> (N, outputs).

    Args:
        gain: factor of the weights besides He's constant.
        bias_gain: factor of the bias; None takes the weights' whole factor.
        pace: learning rate relative to other layers.
        bias: initial value of the bias.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        gain: float = GAIN,
        bias_gain: float | None = None,
        pace: float = 1.0,
        bias: float = 0.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / pace)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.scale = pace * gain / math.sqrt(inputs)
        self.bias_scale = self.scale if bias_gain is None else pace * bias_gain

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.bias_scale)


class EqualisedEmbedding(nn.Module):
    """y (N,) int64 -> (N, width): the equalised dense layer of a class that is written as a vector with a
    single one."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.scale = 1 / math.sqrt(classes)

    def forward(self, y: Tensor) -> Tensor:
        return F.embedding(y, self.weight) * self.scale + self.bias


class EqualisedConv2d(nn.Module):
    """x (N, inputs, H, W) -> (N, outputs, H', W'): a convolution with an odd kernel. It keeps the side unless
    it has a stride.

    Args:
        gain: factor of the weights besides He's constant.
        bias_gain: factor of the bias; None takes the weights' whole factor.
        padding: pixels of zeros at each edge; None keeps the side.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        gain: float = GAIN,
        bias_gain: float | None = None,
        stride: int = 1,
        padding: int | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs * kernel**2)
        self.bias_scale = self.scale if bias_gain is None else bias_gain
        self.stride = stride
        self.padding = kernel // 2 if padding is None else padding

    def scaled(self) -> tuple[Tensor, Tensor]:
        """Return the weights (outputs, inputs, kernel, kernel) and the bias (outputs,) as they are used."""
        return self.weight * self.scale, self.bias * self.bias_scale

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.scaled()
        return F.conv2d(x, weight, bias, stride=self.stride, padding=self.padding)


def halving_widths(widest: int, wide: int, levels: int) -> list[int]:
    """Return the channels of each level from the bottom: `wide` levels of the widest, then half as many with
    every doubling."""
    return [max(1, widest >> max(0, level + 1 - wide)) for level in range(levels)]


def pixel_norm(x: Tensor) -> Tensor:
    """Scale each pixel's channels, or each code's entries, of x (N, C, ...) to a mean square of 1 (section
    4.2)."""
    return x * (x.square().mean(dim=1, keepdim=True) + EPSILON).rsqrt()


def minibatch_stddev(x: Tensor) -> Tensor:
    """Add a channel that holds how much the images of a group differ: x (N, C, H, W) -> (N, C + 1, H, W)
    (section 3).

    Groups consist of four consecutive images, so an image's group does not depend on how many images follow
    it. The N mod 4 last images form a group of their own. A single image deviates by 0.
    """
    whole = len(x) - len(x) % GROUP
    deviations = [_deviation(part) for part in (x[:whole], x[whole:]) if len(part)]
    return torch.cat([x, torch.cat(deviations).expand(-1, -1, *x.shape[2:])], dim=1)


def _deviation(x: Tensor) -> Tensor:
    """Return for each image (N, 1, 1, 1) the standard deviation of every channel and pixel over its group,
    averaged."""
    size = min(GROUP, len(x))
    groups = x.unflatten(0, (-1, size))  # (groups, size, C, H, W)
    deviations = (groups.var(dim=1, correction=0) + EPSILON).sqrt().mean(dim=(1, 2, 3))
    return deviations.repeat_interleave(size).view(-1, 1, 1, 1)
