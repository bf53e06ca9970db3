"""Spectral normalisation (Miyato et al., "Spectral Normalization for GANs", ICLR 2018, section 2.1 and
Algorithm 1).

    W_SN = W / sigma,   sigma = uᵀ W v
    in training, before each use:   v <- Wᵀ u / |Wᵀ u|,   u <- W v / |W v|

torch's own parametrization does the same. This one can be built without memory ("meta" device), where torch's
imports its compiler, which takes three seconds. It does not copy weights that lie with their channels last.
It stays in float32 whatever the precision of a training: under CUDA's autocast, u and v would have eight
bits.
"""

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

EPSILON = 1e-12  # smallest norm to divide by
FIRST_ITERATIONS = 15  # before any training, as in torch

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d, nn.Embedding)


class SpectralNorm(nn.Module):
    """weight -> weight / sigma.

    The weight counts as a matrix with a row for each output channel, and a column for each pixel and input
    channel of its kernel. The buffers u (rows,) and v (columns,) approach its first singular vectors.

    Args:
        weight: (out, in) or (out, in, h, w).
        averaged: whether the average of such networks is used. Averages of u and v do not have length 1, so
            sigma is taken after one more iteration in evaluation mode, too; the buffers then stay.
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor, *, averaged: bool = False) -> None:
        super().__init__()
        self.averaged = averaged
        W = _as_matrix(weight.detach())
        self.register_buffer("u", torch.randn(W.shape[0], device=W.device))
        self.register_buffer("v", torch.randn(W.shape[1], device=W.device))
        if not W.is_meta:
            self._iterate(W, FIRST_ITERATIONS)

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            W = _as_matrix(weight)
            if self.training:
                u, v = self._iterate(W.detach(), 1)
            else:
                u, v = _nearer(W.detach(), self.u) if self.averaged else (self.u, self.v)
            return weight / torch.dot(u, torch.mv(W, v))

    @torch.no_grad()
    def _iterate(self, W: Tensor, times: int) -> tuple[Tensor, Tensor]:
        """Return new u and v, and keep them in the buffers. The buffers change in place; the returned tensors
        never do."""
        u, v = self.u, self.v
        for _ in range(times):
            u, v = _nearer(W, u)
        self.u.copy_(u)
        self.v.copy_(v)
        return u, v


def spectral_norm(layer: Layer, *, averaged: bool = False) -> Layer:
    """Make a layer divide its weight by the largest singular value, and return the layer.

    averaged: see `SpectralNorm`.
    """
    # unsafe=True only skips torch's check that shape and type stay; they do.
    register_parametrization(layer, "weight", SpectralNorm(layer.weight, averaged=averaged), unsafe=True)
    return layer


def _nearer(W: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Return u and v after one power iteration."""
    v = _normalised(torch.mv(W.T, u))
    return _normalised(torch.mv(W, v)), v


def _as_matrix(weight: Tensor) -> Tensor:
    """Return a weight (out, in) as it is, and (out, in, h, w) as (out, h * w * in). The latter is a view if
    channels are last in memory."""
    return weight if weight.ndim == 2 else weight.permute(0, 2, 3, 1).flatten(1)


def _normalised(vector: Tensor) -> Tensor:
    return vector / torch.dot(vector, vector).sqrt().clamp_min(EPSILON)
