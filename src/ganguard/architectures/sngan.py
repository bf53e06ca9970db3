"""SNGAN: spectrally normalised residual GAN (Miyato et al., "Spectral Normalization for GANs", ICLR 2018, appendix B.4).

G: residual blocks with BatchNorm and bilinear upsampling. D: residual blocks, every layer divided by its largest singular
value (one power iteration per forward pass), features summed over pixels, one linear score.
"""

import math
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ganguard.architectures.networks import (
    ArchitectureSettings,
    Discriminator,
    Generator,
    Networks,
    Recipe,
    doublings,
    require_square,
)
from ganguard.architectures.spectral_norm import Layer, spectral_norm
from ganguard.base.settings import Positive


class SNGAN(ArchitectureSettings):
    """Settings of SNGAN.

    latent_dim: entries of z.
    width: channels of every layer of G and D.
    """

    kind: Literal["sngan"] = "sngan"
    latent_dim: Positive = 128
    width: Positive = 32

    recipe: ClassVar[Recipe] = Recipe(loss="hinge", learning_rate=2e-4, betas=(0.0, 0.9), n_dis=5)

    def build(self, image_shape: tuple[int, int, int]) -> Networks:
        """G and D for square images (C, H, H)."""
        channels, resolution = require_square(image_shape, self.kind)
        bottom, k = doublings(resolution, self.kind)
        return Networks(
            SNGANGenerator(channels, bottom, k, self.latent_dim, self.width),
            SNGANDiscriminator(channels, k, self.width),
        )


class SNGANGenerator(Generator):
    """z (N, latent_dim) -> images (N, channels, bottom * 2^k, bottom * 2^k) in [-1, 1]."""

    def __init__(self, channels: int, bottom: int, k: int, latent_dim: int, width: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.bottom = bottom
        self.project = _xavier(nn.Linear(latent_dim, width * bottom**2))
        self.blocks = nn.Sequential(*(GeneratorBlock(width) for _ in range(k)))
        self.norm = nn.BatchNorm2d(width)
        self.to_image = _xavier(nn.Conv2d(width, channels, 3, padding=1))

    def forward(self, z: Tensor) -> Tensor:
        h = self.project(z).view(len(z), -1, self.bottom, self.bottom)  # (N, width, bottom, bottom)
        h = self.blocks(h)  # (N, width, H, H)
        return self.to_image(F.relu(self.norm(h))).tanh()


class GeneratorBlock(nn.Module):
    """Residual block that doubles the side: BN, ReLU, up, conv, BN, ReLU, conv, beside up and a 1x1 convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.conv1 = _xavier(nn.Conv2d(width, width, 3, padding=1), math.sqrt(2))
        self.conv2 = _xavier(nn.Conv2d(width, width, 3, padding=1), math.sqrt(2))
        self.shortcut = _xavier(nn.Conv2d(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(_upsample(F.relu(self.norm1(x))))
        h = self.conv2(F.relu(self.norm2(h)))
        return h + _upsample(self.shortcut(x))  # a 1x1 convolution commutes with interpolation, and is cheaper first


class SNGANDiscriminator(Discriminator):
    """images (N, channels, H, H) -> scores (N,): k + 1 blocks, of which the first max(1, k - 1) halve the side."""

    independent_rows = True

    def __init__(self, channels: int, k: int, width: int) -> None:
        super().__init__()
        downs = max(1, k - 1)
        self.blocks = nn.Sequential(
            FirstBlock(channels, width),
            *(DiscriminatorBlock(width, down=True) for _ in range(downs - 1)),
            *(DiscriminatorBlock(width, down=False) for _ in range(k + 1 - downs)),
        )
        self.linear = spectral_norm(_xavier(nn.Linear(width, 1)))

    def features(self, images: Tensor) -> Tensor:
        return F.relu(self.blocks(images)).sum(dim=(2, 3))

    def stages(self) -> list[nn.Module]:
        return list(self.blocks)

    def head(self, features: Tensor) -> Tensor:
        return self.linear(features)


class FirstBlock(nn.Module):
    """Residual block on the image itself: no activation before the first convolution; halves the side."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = spectral_norm(_xavier(nn.Conv2d(channels, width, 3, padding=1), math.sqrt(2)))
        self.conv2 = spectral_norm(_xavier(nn.Conv2d(width, width, 3, padding=1), math.sqrt(2)))
        self.shortcut = spectral_norm(_xavier(nn.Conv2d(channels, width, 1)))

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(F.relu(self.conv1(x)))
        return F.avg_pool2d(h, 2) + self.shortcut(F.avg_pool2d(x, 2))


class DiscriminatorBlock(nn.Module):
    """Residual block; with `down` it halves the side and has a 1x1 convolution on the shortcut."""

    def __init__(self, width: int, *, down: bool) -> None:
        super().__init__()
        self.conv1 = spectral_norm(_xavier(nn.Conv2d(width, width, 3, padding=1), math.sqrt(2)))
        self.conv2 = spectral_norm(_xavier(nn.Conv2d(width, width, 3, padding=1), math.sqrt(2)))
        self.shortcut = spectral_norm(_xavier(nn.Conv2d(width, width, 1))) if down else nn.Identity()
        self.pool = nn.AvgPool2d(2) if down else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(F.relu(self.conv1(F.relu(x))))
        return self.pool(h + self.shortcut(x))


def _upsample(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _xavier(layer: Layer, gain: float = 1.0) -> Layer:
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
