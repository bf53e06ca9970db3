"""StyleGAN2 (Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020), its
configuration F: G adds up images of every resolution, D is residual, and nothing grows.

z is normalised and mapped to a style w, which modulates every convolution of G. Noise of learned strength
adds detail that no code determines. G ends without a tanh, as published: its images leave [-1, 1], and are
clamped when they become bytes. Activations are leaky ReLUs times sqrt(2). That factor, and the one of a sum
of two branches, is folded into the weights and biases before them, which is equivalent.

With classes (its authors' next code, Karras et al., "Training Generative Adversarial Networks with Limited
Data", NeurIPS 2020), an embedding of the class stands beside z at the mapping's entrance. D has a mapping of
the class alone, and its score is the inner product with D's features (Miyato & Koyama 2018).
"""

import math
from itertools import pairwise
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganguard.architectures.conditional_layers import projection
from ganguard.architectures.drawing import source_on
from ganguard.architectures.karras_layers import (
    GAIN,
    EqualisedConv2d,
    EqualisedEmbedding,
    EqualisedLinear,
    halving_widths,
    minibatch_stddev,
    pixel_norm,
)
from ganguard.architectures.low_pass import blurred, upsampled
from ganguard.architectures.modulated import ModulatedConv2d
from ganguard.architectures.networks import (
    ConditionalSettings,
    DiscriminatorNetwork,
    GeneratorNetwork,
    Networks,
    Recipe,
    require_labels,
)
from ganguard.architectures.sizes import Canvas, canvas_of
from ganguard.base.settings import Positive

SLOPE = 0.2
WIDE = 5  # levels of the full width, 4 to 64 pixels as published; every further level halves it
MAPPING_LAYERS = 8
MAPPING_PACE = 0.01  # learning rate of the mapping, relative to the rest
MIXED = 0.9  # share of training images that take the styles of their last layers from a second code


class StyleGAN2(ConditionalSettings):
    """Settings of StyleGAN2.

    Attributes:
        latent_dim: entries of z, and of w.
        width: channels of the first five levels (4 to 64 pixels); they halve with every doubling from there.
            512 as published.
        classes: how many classes G and D know; 0 for networks without classes.
    """

    kind: Literal["stylegan2"] = "stylegan2"
    latent_dim: Positive = 512
    width: Positive = 512

    recipe: ClassVar[Recipe] = Recipe(
        loss="non_saturating",
        learning_rate=2e-3,
        betas=(0.0, 0.99),
        n_dis=1,
        penalty="r1",
        penalty_weight=10.0,
        penalty_every=16,
        path_length_weight=2.0,
        path_length_every=4,
        learning_rate_decay="none",
    )

    def build(self, image_shape: tuple[int, int, int]) -> Networks:
        """Build G and D for images (C, H, W)."""
        channels, canvas = canvas_of(image_shape, self.kind)
        widths = halving_widths(self.width, WIDE, canvas.doublings + 1)
        return Networks(
            StyleGAN2Generator(channels, canvas, widths, self.latent_dim, self.classes),
            StyleGAN2Discriminator(channels, canvas, widths, self.classes),
        )


class StyleGAN2Generator(GeneratorNetwork):
    """z (N, latent_dim), with classes also y (N,) -> images (N, channels, H, W), with a width for each level.

    Attributes:
        random: see `networks.StyleBased`.
    """

    random: torch.Generator | None = None

    def __init__(
        self, channels: int, canvas: Canvas, widths: list[int], latent_dim: int, classes: int = 0
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.classes = classes
        self.mapper = _mapper(2 * latent_dim if classes else latent_dim, latent_dim)
        if classes:
            self.embedding = EqualisedEmbedding(classes, latent_dim)
        self.canvas = canvas
        self.bottom = nn.Parameter(torch.randn(1, widths[0], *canvas.bottom))
        self.layers = nn.ModuleList([SynthesisLayer(widths[0], widths[0], canvas.bottom, latent_dim)])
        for level, (wide, narrow) in enumerate(pairwise(widths), 1):
            size = canvas.bottom[0] << level, canvas.bottom[1] << level
            self.layers.append(SynthesisLayer(wide, narrow, size, latent_dim, up=True))
            self.layers.append(SynthesisLayer(narrow, narrow, size, latent_dim))
        self.to_image = nn.ModuleList(ToImage(width, channels, latent_dim) for width in widths)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.synthesis(self.mapping(z, y))

    def mapping(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim) and classes y (N,) to w (N, layers, latent_dim): a style for each layer, and
        one for the last `to_image`."""
        require_labels(y, self.classes)
        styles = self._style(z, y).expand(-1, len(self.layers) + 1, -1)
        random = source_on(z.device, self.random) if self.training else None
        return styles if random is None else self._mixed(styles, y, random)

    def synthesis(self, w: Tensor) -> Tensor:
        """Map w (N, layers, latent_dim) to images (N, C, H, W)."""
        random = source_on(w.device, self.random) if self.training else None
        h = self.layers[0](self.bottom.expand(len(w), -1, -1, -1), w[:, 0], random)
        images = self.to_image[0](h, w[:, 1])
        for number in range(1, len(self.layers), 2):  # each level has two layers, and adds an image
            h = self.layers[number](h, w[:, number], random)
            h = self.layers[number + 1](h, w[:, number + 1], random)
            images = upsampled(images) + self.to_image[number // 2 + 1](h, w[:, number + 2])
        return self.canvas.cropped(images)

    def _style(self, z: Tensor, y: Tensor | None) -> Tensor:
        h = pixel_norm(z)
        if y is not None:
            h = torch.cat([h, pixel_norm(self.embedding(y))], dim=1)
        return self.mapper(h)[:, None]  # (N, 1, latent_dim)

    def _mixed(self, styles: Tensor, y: Tensor | None, random: torch.Generator) -> Tensor:
        """Replace the styles from some layer on, which is drawn for each image, by those of another code of
        the same class (Karras et al. 2019, section 3.1)."""
        (count, layers, _), device = styles.shape, styles.device
        other = self._style(torch.randn(count, self.latent_dim, generator=random, device=device), y)
        begins = torch.randint(1, layers, (count, 1, 1), generator=random, device=device)
        mixes = torch.rand(count, 1, 1, generator=random, device=device) < MIXED
        keeps = torch.arange(layers, device=device)[:, None] < begins
        return torch.where(keeps | ~mixes, styles, other)


def _mapper(inputs: int, width: int) -> nn.Sequential:
    """Return a mapping network: (N, inputs) -> (N, width)."""
    return nn.Sequential(*(MappingLayer(width if n else inputs, width) for n in range(MAPPING_LAYERS)))


class MappingLayer(nn.Module):
    """w (N, inputs) -> (N, width): dense, leaky ReLU."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.dense = EqualisedLinear(inputs, width, bias_gain=GAIN, pace=MAPPING_PACE)

    def forward(self, w: Tensor) -> Tensor:
        return _leaky(self.dense(w))


class SynthesisLayer(nn.Module):
    """x (N, inputs, H, W), w (N, D) -> (N, outputs, *size): modulated conv, noise, bias, leaky ReLU."""

    noise: Tensor

    def __init__(
        self, inputs: int, outputs: int, size: tuple[int, int], style_dim: int, *, up: bool = False
    ) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(inputs, outputs, 3, style_dim, gain=GAIN, up=up)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("noise", torch.randn(*size))

    def forward(self, x: Tensor, w: Tensor, random: torch.Generator | None) -> Tensor:
        noise = self.noise
        if random is not None:
            noise = torch.randn(len(x), 1, *noise.shape, generator=random, device=x.device)
        h = self.conv(x, w) + (GAIN * self.strength) * noise
        return _leaky(h + (GAIN * self.bias)[:, None, None])


class ToImage(nn.Module):
    """x (N, width, H, W), w (N, D) -> (N, channels, H, W): 1x1 conv, modulated but not demodulated."""

    def __init__(self, width: int, channels: int, style_dim: int) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(width, channels, 1, style_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        return self.conv(x, w) + self.bias[:, None, None]


class StyleGAN2Discriminator(DiscriminatorNetwork):
    """images (N, channels, H, W), with classes also y (N,) -> scores (N,), with a width for each level.

    An image's score depends on the other images of its group of four.
    """

    independent_rows = False

    def __init__(self, channels: int, canvas: Canvas, widths: list[int], classes: int = 0) -> None:
        super().__init__()
        self.classes = classes
        self.canvas = canvas
        self.from_image = FromImage(channels, widths[-1])
        self.blocks = nn.Sequential(
            *(DiscriminatorBlock(narrow, wide) for wide, narrow in reversed(list(pairwise(widths))))
        )
        self.last = LastBlock(widths[0], canvas.cells)
        self.linear = EqualisedLinear(widths[0], widths[0] if classes else 1, gain=1.0, bias_gain=1.0)
        if classes:
            self.embedding = EqualisedEmbedding(classes, widths[0])
            self.mapper = _mapper(widths[0], widths[0])

    def features(self, images: Tensor) -> Tensor:
        return self.last(self.blocks(self.from_image(self.canvas.framed(images))))

    def stages(self) -> list[nn.Module]:
        return [self.from_image, *self.blocks, self.last]

    def head(self, features: Tensor, y: Tensor | None = None) -> Tensor:
        require_labels(y, self.classes)
        if y is None:
            return self.linear(features)
        mapped = self.mapper(pixel_norm(self.embedding(y)))
        return projection(self.linear(features), mapped) / math.sqrt(mapped.shape[1])


class FromImage(nn.Module):
    """images (N, channels, H, W) -> (N, width, H, W): 1x1 conv, leaky ReLU."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv = EqualisedConv2d(channels, width, 1, bias_gain=GAIN)

    def forward(self, images: Tensor) -> Tensor:
        return _leaky(self.conv(images))


class DiscriminatorBlock(nn.Module):
    """A residual block that halves the side: conv, leaky ReLU, blur, conv, leaky ReLU. Its shortcut is blur
    and a 1x1 convolution."""

    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__()
        self.conv = EqualisedConv2d(narrow, narrow, 3, bias_gain=GAIN)
        self.down = EqualisedConv2d(narrow, wide, 3, gain=1.0, bias_gain=1.0, stride=2, padding=0)
        self.shortcut = Shortcut(narrow, wide)

    def forward(self, x: Tensor) -> Tensor:
        h = _leaky(self.conv(x))
        h = _leaky(self.down(blurred(h, padding=2)))
        return h + self.shortcut(x)


class Shortcut(nn.Module):
    """x (N, narrow, H, W) -> (N, wide, H / 2, W / 2): blur, 1x1 conv without bias; divided by sqrt(2)."""

    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(wide, narrow, 1, 1))
        self.scale = 1 / math.sqrt(2 * narrow)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(blurred(x, padding=1, stride=2), self.weight * self.scale)


class LastBlock(nn.Module):
    """x (N, width, *bottom) -> (N, width): minibatch deviation, conv, leaky ReLU, dense, leaky
    ReLU."""

    def __init__(self, width: int, cells: int) -> None:
        super().__init__()
        self.conv = EqualisedConv2d(width + 1, width, 3, bias_gain=GAIN)
        self.dense = EqualisedLinear(width * cells, width, bias_gain=GAIN)

    def forward(self, x: Tensor) -> Tensor:
        h = _leaky(self.conv(minibatch_stddev(x)))
        return _leaky(self.dense(h.flatten(1)))


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)
