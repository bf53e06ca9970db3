"""A 3x3 convolution and the average of 2x2 pixels after it, as one convolution.

Both are linear, so their product is a convolution of 4x4 with a stride of 2 (as in Karras et al.,
"Progressive Growing of GANs", whose code calls it a fused scale). A pixel of the result costs 16 products
instead of 36.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMALLEST = 16
"""Pixels of a side from which both are one. What is smaller costs little, and adds in the order in which the
published numbers of 8x8 digits were computed."""


def convolved_and_halved(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Convolve x (N, C, H, W), and return the averages of 2x2 pixels, (N, C', H / 2, W / 2).

    Args:
        layer: a convolution of 3x3 with a stride and a padding of 1.
        x: H and W are even.
    """
    if min(x.shape[2:]) < SMALLEST:
        return F.avg_pool2d(layer(x), 2)
    return F.conv2d(x, _averaged(layer.weight), layer.bias, stride=2, padding=1)


def _averaged(weight: Tensor) -> Tensor:
    """Return the 4x4 kernel (out, in, 4, 4) of a 3x3 one: its mean over four places in it."""
    shifted = [F.pad(weight, (right, 1 - right, down, 1 - down)) for right in (0, 1) for down in (0, 1)]
    kernel = torch.stack(shifted).mean(0)
    last = weight.is_contiguous(memory_format=torch.channels_last)
    return kernel.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
