"""BigGAN (Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis", ICLR 2019,
appendix B), as in its first author's PyTorch code.

G has residual blocks whose BatchNorm takes scale and shift from the class and from a part of z: all blocks
share one embedding of the class, and each has its own part of z beside it. D is residual, and adds the inner
product of its features with an embedding of the class (Miyato & Koyama 2018). Both attend to the whole image
at 64 pixels (Zhang et al., "Self-Attention GANs", 2019), and every layer of both is divided by its largest
singular value. Weights begin orthogonal.

Channels follow the authors' plans for 32, 64, 128 and 256 pixels. Between them, the plan with as many
doublings is taken, and that of 32 pixels for fewer.
"""

from itertools import pairwise
from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganguard.architectures.conditional_layers import ConditionedBatchNorm
from ganguard.architectures.halving import convolved_and_halved
from ganguard.architectures.networks import (
    ConditionalSettings,
    GeneratorNetwork,
    Networks,
    Recipe,
    require_labels,
)
from ganguard.architectures.residual_discriminator import ResidualDiscriminator
from ganguard.architectures.self_attention import SelfAttention
from ganguard.architectures.sizes import Canvas, canvas_of
from ganguard.architectures.spectral_norm import Layer, spectral_norm
from ganguard.base.errors import SpecError
from ganguard.base.settings import Positive

EMBEDDED = 128  # entries of the shared embedding
ATTENTIVE = 4  # doublings of the map at which both attend: 64 pixels, from 4


class UnitWidths(NamedTuple):
    """Channels of the blocks, in multiples of the width.

    Attributes:
        generator: before and after each block of G, from the bottom to the image.
        discriminator: after each block of D, from the image. All but the last one halve the side.
    """

    generator: tuple[int, ...]
    discriminator: tuple[int, ...]


PLANS = {  # by the number of doublings, for 64, 128 and 256 pixels
    4: UnitWidths((16, 16, 8, 4, 2), (1, 2, 4, 8, 16)),
    5: UnitWidths((16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16)),
    6: UnitWidths((16, 16, 8, 8, 4, 2, 1), (1, 2, 4, 8, 8, 16, 16)),
}
SMALL = 4  # channels of every layer for 32 pixels, whose D halves the side one time less than G doubles it


class BigGAN(ConditionalSettings):
    """Settings of BigGAN.

    Attributes:
        latent_dim: entries of z, at least as many as G has blocks, and one more.
        width: the unit of all channels. The authors take 96 for 128 pixels and 64 for 32.
        classes: how many classes G and D know; 0 for the same networks without classes.
    """

    kind: Literal["biggan"] = "biggan"
    latent_dim: Positive = 120
    width: Positive = 96

    recipe: ClassVar[Recipe] = Recipe(
        loss="hinge",
        learning_rate=2e-4,
        betas=(0.0, 0.999),
        n_dis=2,
        learning_rate_decay="none",
        generator_pace=0.25,
        orthogonal_weight=1e-4,
    )

    def build(self, image_shape: tuple[int, int, int]) -> Networks:
        """Build G and D for images (C, H, W)."""
        channels, canvas = canvas_of(image_shape, self.kind)
        k = canvas.doublings
        if self.latent_dim <= k:
            raise SpecError(
                f"biggan.latent_dim must be at least {k + 1} for images of {image_shape[1]}x{image_shape[2]} "
                f"pixels, since each block of G takes a part of z; got {self.latent_dim}."
            )
        plan, downs = _plan(k), k if k in PLANS or k > max(PLANS) else max(1, k - 1)
        of_g = [self.width * unit for unit in plan.generator]
        of_d = [self.width * unit for unit in plan.discriminator]
        return Networks(
            BigGANGenerator(channels, canvas, of_g, self.latent_dim, self.classes),
            BigGANDiscriminator(channels, canvas, of_d, downs, self.classes),
        )


def _plan(k: int) -> UnitWidths:
    """Return the channels of networks with k doublings. Beyond 256 pixels, every further block has the
    width."""
    if k < min(PLANS):
        return UnitWidths((SMALL,) * (k + 1), (SMALL,) * (k + 1))
    largest = max(PLANS)
    further, plan = (1,) * max(0, k - largest), PLANS[min(k, largest)]
    return UnitWidths(plan.generator + further, further + plan.discriminator)


class BigGANGenerator(GeneratorNetwork):
    """z (N, latent_dim), with classes also y (N,) -> images (N, channels, H, W) in [-1, 1].

    widths: channels before and after each doubling.
    """

    def __init__(
        self, channels: int, canvas: Canvas, widths: list[int], latent_dim: int, classes: int
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.classes = classes
        self.canvas = canvas
        blocks = len(widths) - 1
        self.part = latent_dim // (blocks + 1)  # entries of z for each block; the first layer has the rest
        self.project = _normal(nn.Linear(latent_dim - blocks * self.part, widths[0] * canvas.cells))
        if classes:
            self.embedding = nn.Embedding(classes, EMBEDDED)
            nn.init.orthogonal_(self.embedding.weight)
        conditioned = self.part + (EMBEDDED if classes else 0)
        self.blocks = nn.ModuleList(GeneratorBlock(*pair, conditioned) for pair in pairwise(widths))
        attends = blocks >= ATTENTIVE
        self.attention = SelfAttention(widths[ATTENTIVE], _normal) if attends else nn.Identity()
        self.norm = nn.BatchNorm2d(widths[-1])
        self.to_image = _normal(nn.Conv2d(widths[-1], channels, 3, padding=1))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        require_labels(y, self.classes)
        first, *parts = self._parts(z)
        if y is not None:
            embedded = self.embedding(y)
            parts = [torch.cat([embedded, part], dim=1) for part in parts]
        h = self.project(first).view(len(z), -1, *self.canvas.bottom)  # (N, widths[0], *bottom)
        for number, (block, part) in enumerate(zip(self.blocks, parts, strict=True), 1):
            h = block(h, part)
            h = self.attention(h) if number == ATTENTIVE else h
        return self.canvas.cropped(self.to_image(F.relu(self.norm(h))).tanh())

    def _parts(self, z: Tensor) -> tuple[Tensor, ...]:
        """Return the parts of z: of the first layer, and of each block."""
        blocks = len(self.blocks)
        return z.split([self.latent_dim - blocks * self.part, *[self.part] * blocks], dim=1)


class GeneratorBlock(nn.Module):
    """A residual block that doubles the side: BN, ReLU, up, conv, BN, ReLU, conv. Its shortcut is up and a
    1x1 convolution.

    conditioned: entries of the vector that scales and shifts.
    """

    def __init__(self, inputs: int, outputs: int, conditioned: int) -> None:
        super().__init__()
        self.norm1 = ConditionedBatchNorm(inputs, conditioned, _normal)
        self.norm2 = ConditionedBatchNorm(outputs, conditioned, _normal)
        self.conv1 = _normal(nn.Conv2d(inputs, outputs, 3, padding=1))
        self.conv2 = _normal(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.shortcut = _normal(nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        h = self.conv1(_upsample(F.relu(self.norm1(x, condition))))
        h = self.conv2(F.relu(self.norm2(h, condition)))
        # A 1x1 convolution commutes with interpolation, and is cheaper before it.
        return h + _upsample(self.shortcut(x))


class BigGANDiscriminator(ResidualDiscriminator):
    """images (N, channels, H, W), with classes also y (N,) -> scores (N,): one block for each width; the
    first `downs` blocks halve the side."""

    def __init__(self, channels: int, canvas: Canvas, widths: list[int], downs: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.canvas = canvas
        blocks: list[nn.Module] = []
        for number, (inputs, outputs) in enumerate(pairwise([channels, *widths])):
            blocks.append(DiscriminatorBlock(inputs, outputs, first=number == 0, down=number < downs))
            if number < downs and canvas.doublings - number - 1 == ATTENTIVE:
                blocks.append(SelfAttention(outputs, _normal))
        self.blocks = nn.Sequential(*blocks)
        self.linear = _normal(nn.Linear(widths[-1], 1))
        if classes:
            self.embedding = _normal(nn.Embedding(classes, widths[-1]))


class DiscriminatorBlock(nn.Module):
    """A residual block: ReLU (but on the image itself), conv, ReLU, conv. With `down` it halves the side. If
    it halves the side or widens, its shortcut is a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, *, first: bool, down: bool) -> None:
        super().__init__()
        self.first = first
        self.conv1 = _normal(nn.Conv2d(inputs, outputs, 3, padding=1))
        self.conv2 = _normal(nn.Conv2d(outputs, outputs, 3, padding=1))
        shortcut = down or inputs != outputs
        self.shortcut = _normal(nn.Conv2d(inputs, outputs, 1)) if shortcut else nn.Identity()
        self.down = down

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.conv1(x if self.first else F.relu(x)))
        if not self.down:
            return self.conv2(h) + self.shortcut(x)
        # A 1x1 convolution commutes with averages, and is cheaper after them.
        return convolved_and_halved(self.conv2, h) + self.shortcut(F.avg_pool2d(x, 2))


def _upsample(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def _normal(layer: Layer) -> Layer:
    """Make a layer's weights begin orthogonal, with its bias at 0, and divide them by their largest singular
    value."""
    nn.init.orthogonal_(layer.weight)
    if not isinstance(layer, nn.Embedding) and layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return spectral_norm(layer, averaged=True)
