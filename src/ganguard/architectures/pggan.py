"""PGGAN: a GAN that grows from small images to large ones during training (Karras et al., "Progressive
Growing of GANs for Improved Quality, Stability, and Variation", ICLR 2018, appendix A.1).

G's features are normalised pixel by pixel; D sees how much the images of a batch differ; the weights of both
are equalised. G ends without a tanh, as published: its images leave [-1, 1], and are clamped when they become
bytes.

As in the authors' code, a convolution that doubles or halves the side is fused with the enlarging before it
or the averaging after it, which takes half the time; averages are then taken before the activation. As in
pytorch_GAN_zoo, every layer is scaled by He's constant with the gain of a leaky ReLU, and its bias with it.
Biases that learn faster, as the authors' do, let narrow networks oscillate.
"""

from itertools import pairwise
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganguard.architectures.karras_layers import (
    EqualisedConv2d,
    EqualisedLinear,
    halving_widths,
    minibatch_stddev,
    pixel_norm,
)
from ganguard.architectures.networks import (
    ArchitectureSettings,
    DiscriminatorNetwork,
    GeneratorNetwork,
    Networks,
    Recipe,
    enlarged,
    pooled,
    require_labels,
)
from ganguard.architectures.sizes import Canvas, canvas_of
from ganguard.base.settings import Positive

SLOPE = 0.2
WIDE = 4  # levels of the full width, 4 to 32 pixels as published; every further level halves it


class PGGAN(ArchitectureSettings):
    """Settings of PGGAN.

    Attributes:
        latent_dim: entries of z.
        width: channels of the first four levels (4 to 32 pixels); they halve with every doubling from there.
            512 as published.
    """

    kind: Literal["pggan"] = "pggan"
    latent_dim: Positive = 512
    width: Positive = 512

    recipe: ClassVar[Recipe] = Recipe(
        loss="wasserstein",
        learning_rate=1e-3,
        betas=(0.0, 0.99),
        n_dis=1,
        penalty="gradient",
        penalty_weight=10.0,
        drift=1e-3,
        learning_rate_decay="none",
    )

    def build(self, image_shape: tuple[int, int, int]) -> Networks:
        """Build G and D for images (C, H, W)."""
        channels, canvas = canvas_of(image_shape, self.kind)
        widths = halving_widths(self.width, WIDE, canvas.doublings + 1)
        return Networks(
            PGGANGenerator(channels, canvas, widths, self.latent_dim),
            PGGANDiscriminator(channels, canvas, widths),
        )


class GrowthState(nn.Module):
    """Which levels are in use, and how far the newest is faded in.

    It is part of the state dict, so that the checkpoint of a GAN that is not fully grown gives that GAN's
    images.
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.level = levels - 1
        self.alpha = 1.0

    def set(self, level: int, alpha: float) -> None:
        """Set the growth. Raises ValueError if the level does not exist, or alpha is outside [0, 1]."""
        if level not in range(self.levels) or not 0 <= alpha <= 1:
            levels = f"0 to {self.levels - 1}"
            raise ValueError(
                f"growth must be a level of {levels} and an alpha in [0, 1]; got {level:g} and {alpha:g}"
            )
        self.level, self.alpha = int(level), float(alpha)

    def get_extra_state(self) -> Tensor:
        return torch.tensor([self.level, self.alpha], dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        self.set(*state.tolist())

    @property
    def fades(self) -> bool:
        """Whether two levels are blended."""
        return self.level > 0 and self.alpha < 1


class PGGANGenerator(GeneratorNetwork):
    """z (N, latent_dim) -> images (N, channels, H, W), with a width for each level."""

    def __init__(self, channels: int, canvas: Canvas, widths: list[int], latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.canvas = canvas
        self.levels = len(widths)
        self.growth = GrowthState(self.levels)
        self.project = EqualisedLinear(latent_dim, widths[0] * canvas.cells)
        self.first = EqualisedConv2d(widths[0], widths[0], 3)
        self.blocks = nn.ModuleList(GeneratorBlock(wide, narrow) for wide, narrow in pairwise(widths))
        self.to_image = nn.ModuleList(EqualisedConv2d(width, channels, 1) for width in widths)

    def set_growth(self, level: int, alpha: float) -> None:
        self.growth.set(level, alpha)

    @property
    def level(self) -> int:
        return self.growth.level

    def forward(self, z: Tensor) -> Tensor:
        level, alpha = self.growth.level, self.growth.alpha
        h = self.project(pixel_norm(z))
        h = h.view(len(z), -1, *self.canvas.bottom)  # (N, widths[0], *bottom)
        h = below = _normalised(self.first(_normalised(h)))
        for block in self.blocks[:level]:
            h, below = block(h), h
        images = self.to_image[level](h)  # (N, channels, ...), of the level's size
        if self.growth.fades:
            images = torch.lerp(enlarged(self.to_image[level - 1](below), 1), images, alpha)
        return self.canvas.cropped(enlarged(images, self.levels - 1 - level))


class GeneratorBlock(nn.Module):
    """A block that doubles the side: up and conv in one, leaky ReLU, norm, conv, leaky ReLU, norm."""

    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.up = UpConv2d(wide, narrow)
        self.conv = EqualisedConv2d(narrow, narrow, 3)

    def forward(self, x: Tensor) -> Tensor:
        return _normalised(self.conv(_normalised(self.up(x))))


class PGGANDiscriminator(DiscriminatorNetwork):
    """images (N, channels, H, W) -> scores (N,), with a width for each level.

    An image's score depends on the other images of its group of four.
    """

    independent_rows = False

    def __init__(self, channels: int, canvas: Canvas, widths: list[int]) -> None:
        super().__init__()
        self.canvas = canvas
        self.levels = len(widths)
        self.growth = GrowthState(self.levels)
        self.blocks = nn.ModuleList([LastBlock(channels, canvas.cells, widths[0])])
        self.blocks.extend(DiscriminatorBlock(channels, narrow, wide) for wide, narrow in pairwise(widths))
        self.linear = EqualisedLinear(widths[0], 1)

    def set_growth(self, level: int, alpha: float) -> None:
        self.growth.set(level, alpha)

    @property
    def level(self) -> int:
        return self.growth.level

    def features(self, images: Tensor) -> Tensor:
        level, alpha = self.growth.level, self.growth.alpha
        images = pooled(self.canvas.framed(images), self.levels - 1 - level)  # of the level's size
        h = self.blocks[level](_read(images, self.blocks[level]))
        if self.growth.fades:
            h = torch.lerp(_read(pooled(images, 1), self.blocks[level - 1]), h, alpha)
        for number in reversed(range(level)):
            h = self.blocks[number](h)
        return h

    def stages(self) -> list[nn.Module]:
        return [*reversed(self.blocks)]

    def head(self, features: Tensor, y: Tensor | None = None) -> Tensor:
        require_labels(y, self.classes)
        return self.linear(features)


class DiscriminatorBlock(nn.Module):
    """A level of D above the lowest: conv, leaky ReLU, conv and down in one, leaky ReLU. It also holds the
    layer that reads images of its side."""

    def __init__(self, channels: int, narrow: int, wide: int) -> None:
        super().__init__()
        self.from_image = EqualisedConv2d(channels, narrow, 1)
        self.conv = EqualisedConv2d(narrow, narrow, 3)
        self.down = DownConv2d(narrow, wide)

    def forward(self, x: Tensor) -> Tensor:
        return _leaky(self.down(_leaky(self.conv(x))))


class LastBlock(nn.Module):
    """The lowest level of D: minibatch deviation, conv, leaky ReLU, dense, leaky ReLU. It also holds the
    layer that reads images of its side."""

    def __init__(self, channels: int, cells: int, width: int) -> None:
        super().__init__()
        self.from_image = EqualisedConv2d(channels, width, 1)
        self.conv = EqualisedConv2d(width + 1, width, 3)
        self.dense = EqualisedLinear(width * cells, width)

    def forward(self, x: Tensor) -> Tensor:
        h = _leaky(self.conv(minibatch_stddev(x)))
        return _leaky(self.dense(h.flatten(1)))


class UpConv2d(EqualisedConv2d):
    """Enlarge by repeating pixels, and convolve, as one transposed convolution.

    The kernel is mirrored, which makes no difference to weights that are learned.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.scaled()
        spread = _spread(weight).transpose(0, 1)  # (inputs, outputs, 4, 4)
        return F.conv_transpose2d(x, spread, bias, stride=self.stride, padding=self.padding)


class DownConv2d(EqualisedConv2d):
    """Convolve, and average 2x2 pixels, as one convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.scaled()
        return F.conv2d(x, _spread(weight) / 4, bias, stride=self.stride, padding=self.padding)


def _spread(kernel: Tensor) -> Tensor:
    """Add up the kernel at the four offsets at which 2x2 equal pixels see it: (..., k, k) -> (..., k + 1, k +
    1)."""
    padded = F.pad(kernel, (1, 1, 1, 1))
    return padded[..., 1:, 1:] + padded[..., 1:, :-1] + padded[..., :-1, 1:] + padded[..., :-1, :-1]


def _read(images: Tensor, block: nn.Module) -> Tensor:
    return _leaky(block.from_image(images))  # pyright: ignore[reportCallIssue]


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)


def _normalised(x: Tensor) -> Tensor:
    return pixel_norm(_leaky(x))
