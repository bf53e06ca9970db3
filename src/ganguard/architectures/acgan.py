"""ACGAN: a GAN whose D also says which class it sees (Odena et al., "Conditional Image Synthesis with
Auxiliary Classifier GANs", ICML 2017, appendix A, tables 1 and 2).

G takes the class beside z, as a vector with a single one, and doubles a small map with transposed 5x5
convolutions. D has six 3x3 convolutions, half of which halve the side, with BatchNorm and dropout. A linear
layer on them gives the score, and another one the logits of the classes; both losses have the cross-entropy
of the classes beside the adversarial one (equations 2 and 3).

The networks are the published ones for 32 pixels (table 2, CIFAR-10) and for 128 (table 1, ImageNet). The
appendix tried noise on D's activations with a deviation of 0, 0.1 and 0.2; here it is 0. Its authors left no
code, so the order within a layer of D is ours: convolution, BatchNorm, leaky ReLU, dropout.
"""

from dataclasses import replace
from itertools import pairwise
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganguard.architectures.drawing import source_on
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
DROPPED = 0.5  # share of D's activations that are 0 in training
DEVIATION = 0.02  # of the initial weights
WIDTH = 96  # channels of G's layer next to an image of 32 pixels, as published
SMALL = (384, 192, 96)  # G's channels at 4, 8 and 16 pixels, for images of 32
LARGE = (768, 384, 256, 192)  # at 8, 16, 32 and 64 pixels, for images of 128
FROM = 5  # doublings from 4 pixels at which G begins with a map twice as large, as published for 128
DISCRIMINATOR = (16, 32, 64, 128, 256, 512)
DOWNS = 3  # layers of D that halve the side


class ACGAN(ConditionalSettings):
    """Settings of ACGAN.

    Attributes:
        latent_dim: entries of z.
        width: scale of all channels; 96 makes those that were published.
        classes: how many classes G and D know; 0 for the same networks without classes.
    """

    kind: Literal["acgan"] = "acgan"
    latent_dim: Positive = 100
    width: Positive = WIDTH

    recipe: ClassVar[Recipe] = Recipe(
        loss="non_saturating",
        learning_rate=2e-4,
        betas=(0.5, 0.999),
        n_dis=1,
        learning_rate_decay="none",
    )

    def build(self, image_shape: tuple[int, int, int]) -> Networks:
        """Build G and D for images (C, H, W)."""
        channels, canvas = canvas_of(image_shape, self.kind)
        G = ACGANGenerator(*self._begun(canvas), channels, self.latent_dim, self.classes)
        widths = self._scaled(DISCRIMINATOR)
        return Networks(G, ACGANDiscriminator(channels, canvas, widths, self.classes))

    def _begun(self, canvas: Canvas) -> tuple[Canvas, list[int]]:
        """Return the canvas of G, and its channels before each doubling."""
        doublings = canvas.doublings
        if doublings < FROM:
            widths = SMALL[:1] * (doublings - len(SMALL)) + SMALL[-doublings:]
            return canvas, self._scaled(widths)
        height, width = canvas.bottom
        begun = replace(canvas, bottom=(2 * height, 2 * width), doublings=doublings - 1)
        return begun, self._scaled(LARGE + LARGE[-1:] * (begun.doublings - len(LARGE)))

    def _scaled(self, widths: tuple[int, ...]) -> list[int]:
        return [max(1, round(channels * self.width / WIDTH)) for channels in widths]


class ACGANGenerator(GeneratorNetwork):
    """z (N, latent_dim), with classes also y (N,) -> images (N, channels, H, W) in [-1, 1].

    widths: channels before each doubling.
    """

    def __init__(
        self, canvas: Canvas, widths: list[int], channels: int, latent_dim: int, classes: int
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.classes = classes
        self.canvas = canvas
        self.project = nn.Linear(latent_dim, widths[0] * canvas.cells)
        if classes:  # a linear layer of a vector with a single one is a row of its weights
            self.embedding = nn.Embedding(classes, widths[0] * canvas.cells)
        self.ups = nn.Sequential(*(_up(*pair) for pair in pairwise(widths)))
        self.to_image = _doubling(widths[-1], channels, bias=True)
        self.apply(_normal_weights)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        require_labels(y, self.classes)
        h = self.project(z) if y is None else self.project(z) + self.embedding(y)
        h = F.relu(h).view(len(z), -1, *self.canvas.bottom)  # (N, widths[0], *bottom)
        return self.canvas.cropped(self.to_image(self.ups(h)).tanh())


class ACGANDiscriminator(DiscriminatorNetwork):
    """images (N, channels, H, W) -> scores (N,), whatever the class, and logits of the classes.

    Attributes:
        class_weight: see `networks.Classifying`; the paper's losses simply add up.
        random: see `drawing.Drawing`; the source of its dropout.
    """

    independent_rows = False  # BatchNorm
    class_weight: float = 1.0
    random: torch.Generator | None = None

    def __init__(self, channels: int, canvas: Canvas, widths: list[int], classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.canvas = canvas
        downs = min(DOWNS, canvas.doublings)
        strides = [2 if number % 2 == 0 and number < 2 * downs else 1 for number in range(len(widths))]
        self.blocks = nn.ModuleList(
            ConvolutionAndDropout(inputs, outputs, stride, normalised=number > 0)
            for number, ((inputs, outputs), stride) in enumerate(
                zip(pairwise([channels, *widths]), strides, strict=True)
            )
        )
        height, width = (side >> downs for side in canvas.size)
        self.linear = nn.Linear(widths[-1] * height * width, 1)
        if classes:
            self.classifier = nn.Linear(widths[-1] * height * width, classes)
        self.apply(_normal_weights)

    def features(self, images: Tensor) -> Tensor:
        random = source_on(images.device, self.random) if self.training else None
        h = self.canvas.framed(images)
        for block in self.blocks:
            h = block(h, random)
        return h.flatten(1)

    def stages(self) -> list[nn.Module]:
        return list(self.blocks)

    def head(self, features: Tensor, y: Tensor | None = None) -> Tensor:
        require_labels(y, self.classes)
        return self.linear(features)

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits of the classes, (N, classes), of D's features (N, F)."""
        return self.classifier(features)


class ConvolutionAndDropout(nn.Module):
    """x (N, inputs, H, W) -> (N, outputs, H / stride, W / stride): conv, BN if `normalised`, leaky ReLU,
    dropout."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, normalised: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=not normalised)
        self.norm = nn.BatchNorm2d(outputs) if normalised else nn.Identity()

    def forward(self, x: Tensor, random: torch.Generator | None) -> Tensor:
        h = F.leaky_relu(self.norm(self.conv(x)), SLOPE)
        if random is None:
            return h
        kept = torch.rand(h.shape, generator=random, device=h.device) >= DROPPED
        return h * kept / (1 - DROPPED)


def _up(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_doubling(inputs, outputs, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


def _doubling(inputs: int, outputs: int, *, bias: bool) -> nn.ConvTranspose2d:
    """Return a layer that doubles the side. Before BatchNorm a bias would have no effect."""
    return nn.ConvTranspose2d(inputs, outputs, 5, 2, padding=2, output_padding=1, bias=bias)


def _normal_weights(module: nn.Module) -> None:
    """Draw the weights of a layer from N(0, 0.02²), and set its bias to 0 (appendix A)."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.Embedding):
        nn.init.normal_(module.weight, 0.0, DEVIATION)
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
        nn.init.zeros_(module.bias)
