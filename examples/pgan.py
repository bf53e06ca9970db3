"""PGAN of pytorch_GAN_zoo (Karras et al. 2018, CelebA at 128x128) as a target, through torch.hub.

    cd examples; ganguard audit pgan.yaml --set real.path=/data/celeba

torch.hub runs code of facebookresearch/pytorch_GAN_zoo and unpickles its weights: do so only if you trust
both. A factory is your own code, and ganguard cannot look at what it loads.
"""

from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

LATENT_DIM = 512


class Clamped(nn.Module):
    """The zoo's G has no tanh at its end; its users clamp what comes out to [-1, 1]."""

    latent_dim = LATENT_DIM

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, z: Tensor) -> Tensor:
        return self.generator(z).clamp(-1, 1)


def make() -> nn.Module:
    """G with averaged weights, as published."""
    return made_from(
        "facebookresearch/pytorch_GAN_zoo:hub", model_name="celeba", pretrained=True, trust_repo=True
    )


def made_from(repository: str, **options: Any) -> nn.Module:
    """The same from any copy of the repository. options: of torch.hub.load and of the zoo's PGAN."""
    with mock.patch("torch.optim.Adam", _adam):
        model: Any = torch.hub.load(repository, "PGAN", useGPU=False, **options)
    return Clamped(model.avgG)


_Adam = torch.optim.Adam


def _adam(parameters: Any, betas: Any, **others: Any) -> torch.optim.Adam:
    """The zoo gives whole numbers among its betas, which today's torch refuses."""
    first, second = betas
    return _Adam(parameters, betas=(float(first), float(second)), **others)
