"""StyleGAN2's low-pass filter [1, 3, 3, 1], applied along rows and columns wherever the side of an image or
of features changes.

The filter and its transpose are each other's gradients, of any order. torch would find these gradients too,
but it takes the gradient of the gradient, which penalties need, channel by channel: a step of R1 took 1.3 to
1.5 times as long on CPU. A trace uses torch's gradients, because a traced file cannot hold Python functions.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

FILTER = (1.0, 3.0, 3.0, 1.0)


def blurred(x: Tensor, *, padding: int, gain: float = 1.0, stride: int = 1) -> Tensor:
    """Filter each channel of x (N, C, H, W). The side grows by 2 * padding - 3, and is divided by stride."""
    filtered = _filtered if torch.jit.is_tracing() else _Filter.apply  # pyright: ignore[reportPrivateImportUsage]
    return filtered(x, padding, stride, gain)  # pyright: ignore[reportReturnType]


def upsampled(images: Tensor) -> Tensor:
    """Double the side of images: (N, C, H, H) -> (N, C, 2 H, 2 H), by zeros between the pixels and the
    filter."""
    transposed = _transposed if torch.jit.is_tracing() else _Transpose.apply  # pyright: ignore[reportPrivateImportUsage]
    return transposed(images, 1, 2, 4.0, 2 * images.shape[-1])  # pyright: ignore[reportReturnType]


def _filtered(x: Tensor, padding: int, stride: int, gain: float) -> Tensor:
    return F.conv2d(x, _kernel(x, gain), padding=padding, stride=stride, groups=x.shape[1])


def _transposed(x: Tensor, padding: int, stride: int, gain: float, side: int) -> Tensor:
    """Apply the transposed filter. `side` is the side of the result, which the stride alone would leave
    open."""
    more = side - ((x.shape[-1] - 1) * stride + len(FILTER) - 2 * padding)
    kernel = _kernel(x, gain)
    return F.conv_transpose2d(
        x, kernel, stride=stride, padding=padding, output_padding=more, groups=x.shape[1]
    )


class _Filter(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, padding: int, stride: int, gain: float) -> Tensor:
        ctx.settings = padding, stride, gain, x.shape[-1]
        return _filtered(x, padding, stride, gain)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return _Transpose.apply(gradients[0], *ctx.settings), None, None, None  # pyright: ignore[reportReturnType]


class _Transpose(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, padding: int, stride: int, gain: float, side: int) -> Tensor:
        ctx.settings = padding, stride, gain
        return _transposed(x, padding, stride, gain, side)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        return _Filter.apply(gradients[0], *ctx.settings), None, None, None, None  # pyright: ignore[reportReturnType]


def _kernel(x: Tensor, gain: float) -> Tensor:
    """Return the filter for C channels, (C, 1, 4, 4); each channel's entries add up to the gain."""
    row = x.new_tensor(FILTER)
    return (torch.outer(row, row) * (gain / sum(FILTER) ** 2)).expand(x.shape[1], 1, -1, -1)
