"""Self-attention over the pixels of a map (Zhang et al., "Self-Attention Generative Adversarial Networks",
ICML 2019, section 3), with the keys and values of every 2x2 pixels pooled, as in its authors' code and in
BigGAN's."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """x (N, channels, H, W) -> x + strength * what each pixel attends to; the strength begins at 0.

    Args:
        channels: of x.
        made: turns a convolution into the one that is used.
    """

    def __init__(self, channels: int, made: Callable[[nn.Conv2d], nn.Conv2d]) -> None:
        super().__init__()
        narrow, half = max(1, channels // 8), max(1, channels // 2)
        self.queries, self.keys, self.values, self.out = (
            made(nn.Conv2d(inputs, outputs, 1, bias=False))
            for inputs, outputs in (
                (channels, narrow),
                (channels, narrow),
                (channels, half),
                (half, channels),
            )
        )
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        queries = self.queries(x).flatten(2)  # (N, narrow, H W)
        keys = F.max_pool2d(self.keys(x), 2).flatten(2)  # (N, narrow, H W / 4)
        values = F.max_pool2d(self.values(x), 2).flatten(2)  # (N, half, H W / 4)
        shares = torch.bmm(queries.transpose(1, 2), keys).softmax(dim=-1)  # (N, H W, H W / 4)
        attended = torch.bmm(values, shares.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.strength * self.out(attended)
