"""SNGAN: spectrally normalised residual GAN (Miyato et al., "Spectral Normalization for GANs", ICLR 2018,
appendix B.4).

G has residual blocks with BatchNorm and bilinear upsampling. D has residual blocks in which every layer is
divided by its largest singular value (one power iteration per forward pass); its features are summed over
pixels, and one linear layer scores them. The published widths are those of the paper's appendix (32 and 48
pixels) and of Lee & Town, "Mimicry" (2020), which scored the networks at 64 and 128 pixels as well.

With classes (Miyato & Koyama, "cGANs with Projection Discriminator", ICLR 2018), G's BatchNorm has a scale
and a shift for each class, and D adds the inner product of its features with an embedding of the class.
"""

import math
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from ganguard.architectures.conditional_layers import batch_norm
from ganguard.architectures.halving import convolved_and_halved
from ganguard.architectures.networks import (
    ConditionalSettings,
    GeneratorNetwork,
    Networks,
    Recipe,
    made_by,
    require_labels,
)
from ganguard.architectures.residual_discriminator import ResidualDiscriminator
from ganguard.architectures.sizes import Canvas, canvas_of
from ganguard.architectures.spectral_norm import Layer, spectral_norm
from ganguard.base.errors import SpecError
from ganguard.base.settings import Positive


class Widths(NamedTuple):
    """Channels of the blocks of G and D.

    Attributes:
        generator: channels before and after each block of G, from the bottom to the image.
        discriminator: channels after each block of D, from the image.
        downs: number of D's blocks that halve the side.
    """

    generator: tuple[int, ...]
    discriminator: tuple[int, ...]
    downs: int


PUBLISHED = {  # by the side of the images
    32: Widths((256, 256, 256, 256), (128, 128, 128, 128), 2),
    48: Widths((512, 256, 128, 64), (64, 128, 256, 512, 1024), 4),
    64: Widths((1024, 512, 256, 128, 64), (64, 128, 256, 512, 1024), 5),
    128: Widths((1024, 1024, 512, 256, 128, 64), (64, 128, 256, 512, 1024, 1024), 5),
}


class SNGAN(ConditionalSettings):
    """Settings of SNGAN.

    Attributes:
        latent_dim: entries of z.
        width: channels of every layer of G and D.
        width_factor: takes the place of `width`: the published channels for images of 32, 48, 64 or 128
            pixels, times this factor.
        classes: how many classes G and D know; 0 for networks without classes.
    """

    kind: Literal["sngan"] = "sngan"
    latent_dim: Positive = 128
    width: Positive = 32
    width_factor: Annotated[float, Field(gt=0, le=8)] | None = None

    recipe: ClassVar[Recipe] = Recipe(loss="hinge", learning_rate=2e-4, betas=(0.0, 0.9), n_dis=5)

    @model_validator(mode="after")
    def _one_of_both(self) -> "SNGAN":
        if self.width_factor is not None and "width" in self.model_fields_set:
            raise ValueError("set width or width_factor, not both")
        return self

    def left_out(self) -> set[str]:
        """Return the fields at their defaults, and the one of both widths that is not used."""
        return super().left_out() | {"width_factor" if self.width_factor is None else "width"}

    def build(self, image_shape: tuple[int, int, int]) -> Networks:
        """Build G and D for images (C, H, W)."""
        channels, canvas = canvas_of(image_shape, self.kind)
        widths = self._constant(canvas.doublings)
        if self.width_factor is not None:
            widths = _published(canvas, self.width_factor)
        return Networks(
            SNGANGenerator(channels, canvas, widths.generator, self.latent_dim, self.classes),
            SNGANDiscriminator(channels, canvas, widths.discriminator, widths.downs, self.classes),
        )

    def _constant(self, k: int) -> Widths:
        widths = (self.width,) * (k + 1)
        return Widths(widths, widths, max(1, k - 1))


def _published(canvas: Canvas, factor: float) -> Widths:
    resolution = min(canvas.size)
    if resolution not in PUBLISHED:
        below = [size for size in PUBLISHED if size < resolution]
        above = [size for size in PUBLISHED if size > resolution]
        near = " or ".join(str(size) for size in (*below[-1:], *above[:1]))
        built = "" if resolution == min(canvas.image) else f", built for images of {min(canvas.image)}"
        raise SpecError(
            f"sngan's published widths are for images of {', '.join(map(str, PUBLISHED))} pixels; got "
            f"{resolution}{built}. Resize the images to {near}, or set width instead of width_factor."
        )
    generator, discriminator, downs = PUBLISHED[resolution]
    return Widths(_times(generator, factor), _times(discriminator, factor), downs)


def _times(widths: tuple[int, ...], factor: float) -> tuple[int, ...]:
    return tuple(max(1, round(width * factor)) for width in widths)


class SNGANGenerator(GeneratorNetwork):
    """z (N, latent_dim), with classes also y (N,) -> images (N, channels, H, W) in [-1, 1].

    widths: channels before and after each doubling.
    """

    def __init__(
        self, channels: int, canvas: Canvas, widths: tuple[int, ...], latent_dim: int, classes: int = 0
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.classes = classes
        self.canvas = canvas
        self.project = _xavier(nn.Linear(latent_dim, widths[0] * canvas.cells))
        self.blocks = nn.ModuleList(GeneratorBlock(*pair, classes) for pair in pairwise(widths))
        self.norm = nn.BatchNorm2d(widths[-1])
        self.to_image = _xavier(nn.Conv2d(widths[-1], channels, 3, padding=1))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        require_labels(y, self.classes)
        h = self.project(z).view(len(z), -1, *self.canvas.bottom)  # (N, widths[0], *bottom)
        for block in self.blocks:
            h = block(h, y)  # at last (N, widths[-1], *size)
        return self.canvas.cropped(self.to_image(F.relu(self.norm(h))).tanh())


class GeneratorBlock(nn.Module):
    """A residual block that doubles the side: BN, ReLU, up, conv, BN, ReLU, conv. Its shortcut is up and a
    1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, classes: int = 0) -> None:
        super().__init__()
        self.norm1, self.norm2 = batch_norm(inputs, classes), batch_norm(outputs, classes)
        self.conv1 = _xavier(nn.Conv2d(inputs, outputs, 3, padding=1), math.sqrt(2))
        self.conv2 = _xavier(nn.Conv2d(outputs, outputs, 3, padding=1), math.sqrt(2))
        self.shortcut = _xavier(nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        h = self.conv1(_upsample(F.relu(made_by(self.norm1, x, y))))
        h = self.conv2(F.relu(made_by(self.norm2, h, y)))
        # A 1x1 convolution commutes with interpolation, and is cheaper before it.
        return h + _upsample(self.shortcut(x))


class SNGANDiscriminator(ResidualDiscriminator):
    """images (N, channels, H, W), with classes also y (N,) -> scores (N,): one block for each width; the
    first `downs` blocks halve the side."""

    def __init__(
        self, channels: int, canvas: Canvas, widths: tuple[int, ...], downs: int, classes: int = 0
    ) -> None:
        super().__init__()
        self.classes = classes
        self.canvas = canvas
        self.blocks = nn.Sequential(
            FirstBlock(channels, widths[0]),
            *(
                DiscriminatorBlock(*pair, down=number < downs)
                for number, pair in enumerate(pairwise(widths), 1)
            ),
        )
        self.linear = spectral_norm(_xavier(nn.Linear(widths[-1], 1)))
        if classes:
            self.embedding = spectral_norm(_xavier(nn.Embedding(classes, widths[-1])))


class FirstBlock(nn.Module):
    """The residual block on the image itself. It has no activation before its first convolution, and halves
    the side."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = spectral_norm(_xavier(nn.Conv2d(channels, width, 3, padding=1), math.sqrt(2)))
        self.conv2 = spectral_norm(_xavier(nn.Conv2d(width, width, 3, padding=1), math.sqrt(2)))
        self.shortcut = spectral_norm(_xavier(nn.Conv2d(channels, width, 1)))

    def forward(self, x: Tensor) -> Tensor:
        h = convolved_and_halved(self.conv2, F.relu(self.conv1(x)))
        return h + self.shortcut(F.avg_pool2d(x, 2))


class DiscriminatorBlock(nn.Module):
    """A residual block. With `down` it halves the side. If it halves the side or widens, its shortcut is a
    1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, *, down: bool) -> None:
        super().__init__()
        self.conv1 = spectral_norm(_xavier(nn.Conv2d(inputs, inputs, 3, padding=1), math.sqrt(2)))
        self.conv2 = spectral_norm(_xavier(nn.Conv2d(inputs, outputs, 3, padding=1), math.sqrt(2)))
        shortcut = down or inputs != outputs
        self.shortcut = spectral_norm(_xavier(nn.Conv2d(inputs, outputs, 1))) if shortcut else nn.Identity()
        self.down = down

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.conv1(F.relu(x)))
        if not self.down:
            return self.conv2(h) + self.shortcut(x)
        # A 1x1 convolution commutes with averages, and is cheaper after them.
        return convolved_and_halved(self.conv2, h) + self.shortcut(F.avg_pool2d(x, 2))


def _upsample(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _xavier(layer: Layer, gain: float = 1.0) -> Layer:
    nn.init.xavier_uniform_(layer.weight, gain)
    if not isinstance(layer, nn.Embedding) and layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
