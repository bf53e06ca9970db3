"""StyleGAN2's convolutions, modulated by a style (Karras et al., "Analyzing and Improving the Image Quality
of StyleGAN", CVPR 2020, section 2.2 and figure 2).

    w'_ijk = s_i w_ijk,   w''_ijk = w'_ijk / sqrt(sum_ik w'_ijk^2 + epsilon)
        for style s, input i, output j, pixel k

The images of a batch share one convolution: its inputs are multiplied by s_i, and its outputs divided by the
root. That is equivalent, needs no memory for weights of each image, and was never slower on CPU (256
channels, 16 images: a tenth of the time).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganguard.architectures.karras_layers import EPSILON, EqualisedLinear
from ganguard.architectures.low_pass import blurred


class ModulatedConv2d(nn.Module):
    """x (N, inputs, H, W), w (N, style_dim) -> (N, outputs, H, W), or twice the side with `up`. It has no
    bias.

    Args:
        gain: factor of the outputs.
        up: whether the side is doubled.
        demodulate: whether the outputs are scaled to the size that unit weights give, whatever the style.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        style_dim: int,
        *,
        gain: float = 1.0,
        up: bool = False,
        demodulate: bool = True,
    ) -> None:
        super().__init__()
        self.style = EqualisedLinear(style_dim, inputs, gain=1.0, bias_gain=1.0, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        self.gain = gain
        self.up = up
        self.demodulate = demodulate

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        s = self.style(w)  # (N, inputs)
        weight = self.weight * self.scale
        h = self._convolved(x * s[:, :, None, None], weight)
        if not self.demodulate:
            return h * self.gain
        sums = s.square() @ weight.square().sum(dim=(2, 3)).T  # (N, outputs)
        return h * (self.gain * (sums + EPSILON).rsqrt())[:, :, None, None]

    def _convolved(self, x: Tensor, weight: Tensor) -> Tensor:
        if self.up:
            return blurred(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), padding=1, gain=4.0)
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2)
