"""DCGAN: strided convolutions with BatchNorm (Radford et al., "Unsupervised Representation Learning with
DCGANs", 2016).

G begins with a small map and doubles it with transposed 4x4 convolutions; D halves it with strided ones. Both
have a 3x3 convolution at the image end, so that images of one doubling (8x8) still pass two layers.
"""

import math
from itertools import pairwise
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ganguard.architectures.networks import (
    ArchitectureSettings,
    DiscriminatorNetwork,
    GeneratorNetwork,
    Networks,
    Recipe,
    require_labels,
)
from ganguard.architectures.sizes import Canvas, canvas_of
from ganguard.base.settings import Positive

SLOPE = 0.2
GROUPS = 16  # most groups into which GroupNorm divides the channels
MOST_WIDTHS = 8  # channels grow from `width` at the image to at most 8 * width


class DCGAN(ArchitectureSettings):
    """Settings of DCGAN.

    Attributes:
        latent_dim: entries of z.
        width: channels of the layer next to the image. They double with every halving of the side, up to 8 *
            width.
        discriminator_norm: "batch" as published, or "group" (Wu & He 2018), which scores each image by
            itself; differentially private training needs that.
    """

    kind: Literal["dcgan"] = "dcgan"
    latent_dim: Positive = 128
    width: Positive = 32
    discriminator_norm: Literal["batch", "group"] = "batch"

    recipe: ClassVar[Recipe] = Recipe(loss="non_saturating", learning_rate=2e-4, betas=(0.5, 0.999), n_dis=1)

    def build(self, image_shape: tuple[int, int, int]) -> Networks:
        """Build G and D for images (C, H, W)."""
        channels, canvas = canvas_of(image_shape, self.kind)
        # from the image inwards
        widths = [self.width * min(2**level, MOST_WIDTHS) for level in range(canvas.doublings + 1)]
        return Networks(
            DCGANGenerator(channels, canvas, widths, self.latent_dim),
            DCGANDiscriminator(channels, canvas, widths, self.discriminator_norm),
        )


class DCGANGenerator(GeneratorNetwork):
    """z (N, latent_dim) -> images (N, channels, H, W) in [-1, 1]."""

    def __init__(self, channels: int, canvas: Canvas, widths: list[int], latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.canvas = canvas
        inner = widths[-1]
        self.project = nn.Linear(latent_dim, inner * canvas.cells)
        self.norm = nn.BatchNorm2d(inner)
        self.ups = nn.Sequential(*(_up(wide, narrow) for narrow, wide in reversed(list(pairwise(widths)))))
        self.to_image = nn.Conv2d(widths[0], channels, 3, padding=1)
        self.apply(_normal_weights)

    def forward(self, z: Tensor) -> Tensor:
        h = self.project(z).view(len(z), -1, *self.canvas.bottom)  # (N, widths[-1], *bottom)
        h = self.ups(F.relu(self.norm(h)))  # (N, widths[0], *size)
        return self.canvas.cropped(self.to_image(h).tanh())


class DCGANDiscriminator(DiscriminatorNetwork):
    """images (N, channels, H, W) -> scores (N,)."""

    def __init__(self, channels: int, canvas: Canvas, widths: list[int], norm: str) -> None:
        super().__init__()
        self.independent_rows = norm == "group"
        self.canvas = canvas
        self.from_image = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.downs = nn.Sequential(*(_down(narrow, wide, norm) for narrow, wide in pairwise(widths)))
        self.linear = nn.Linear(widths[-1] * canvas.cells, 1)
        self.apply(_normal_weights)

    def features(self, images: Tensor) -> Tensor:
        h = F.leaky_relu(self.from_image(self.canvas.framed(images)), SLOPE)
        return self.downs(h).flatten(1)

    def stages(self) -> list[nn.Module]:
        return [self.from_image, *self.downs]

    def head(self, features: Tensor, y: Tensor | None = None) -> Tensor:
        require_labels(y, self.classes)
        return self.linear(features)


def _up(wide: int, narrow: int) -> nn.Sequential:
    layer = nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(narrow), nn.ReLU())


def _down(narrow: int, wide: int, norm: str) -> nn.Sequential:
    layer = nn.Conv2d(narrow, wide, 4, stride=2, padding=1, bias=False)
    normalise = nn.BatchNorm2d(wide) if norm == "batch" else nn.GroupNorm(math.gcd(wide, GROUPS), wide)
    return nn.Sequential(layer, normalise, nn.LeakyReLU(SLOPE))


def _normal_weights(module: nn.Module) -> None:
    """Draw weights from N(0, 0.02) and BatchNorm's scales from N(1, 0.02), as in the paper's section 4."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
