"""The residual networks of mimicry and StudioGAN, as far as they differ from ganguard's SNGAN.

Both write D's activation in place. The shortcut of a block of D therefore sees what the block's first ReLU
left, not what came in. StudioGAN's G enlarges by repeating pixels, and divides by the square root of the
variance plus 1e-4 in its BatchNorm; the blocks of its D widen at their first convolution.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from ganguard.architectures.networks import made_by
from ganguard.architectures.sizes import Canvas
from ganguard.architectures.sngan import (
    DiscriminatorBlock,
    GeneratorBlock,
    SNGANDiscriminator,
    SNGANGenerator,
)
from ganguard.architectures.spectral_norm import spectral_norm


class RepeatingBlock(GeneratorBlock):
    """A block of G that doubles the side by repeating each pixel."""

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        h = self.conv1(_repeated(F.relu(made_by(self.norm1, x, y))))
        h = self.conv2(F.relu(made_by(self.norm2, h, y)))
        return h + _repeated(self.shortcut(x))


class RectifiedBlock(DiscriminatorBlock):
    """A block of D whose shortcut sees its rectified input.

    widens_first: whether it widens at its first convolution, and not at its second one.
    """

    def __init__(self, inputs: int, outputs: int, *, down: bool, widens_first: bool) -> None:
        super().__init__(inputs, outputs, down=down)
        if widens_first:
            self.conv1 = spectral_norm(nn.Conv2d(inputs, outputs, 3, padding=1))
            self.conv2 = spectral_norm(nn.Conv2d(outputs, outputs, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.relu(x))


def generator(
    channels: int,
    bottom: int,
    widths: Sequence[int],
    latent_dim: int,
    classes: int = 0,
    *,
    repeating: bool,
    epsilon: float,
) -> SNGANGenerator:
    """Return a G with the widths of its blocks' norms, and of the last norm.

    Args:
        channels: of the images.
        bottom: side of the first feature map.
        widths: channels before each block, and after the last.
        latent_dim: entries of z.
        classes: how many classes it knows; 0 for none.
        repeating: whether blocks enlarge by repeating pixels.
        epsilon: what BatchNorm adds to the variance.
    """
    side = bottom << (len(widths) - 1)
    canvas = Canvas((bottom, bottom), len(widths) - 1, (side, side))
    G = SNGANGenerator(channels, canvas, tuple(widths), latent_dim, classes)
    if repeating:
        G.blocks = nn.ModuleList(RepeatingBlock(*pair, classes) for pair in pairwise(widths))
    for part in G.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eps = epsilon
    return G


def discriminator(
    channels: int, widths: Sequence[int], downs: int, classes: int = 0, *, side: int, widens_first: bool
) -> SNGANDiscriminator:
    """Return a D with the widths after each block, of which the first `downs` halve the side.

    Args:
        channels: of the images.
        widths: after each block.
        downs: how many blocks halve the side.
        classes: how many classes it knows; 0 for none.
        side: of the images, which are square.
        widens_first: see `RectifiedBlock`.
    """
    D = SNGANDiscriminator(channels, Canvas((side, side), 0, (side, side)), tuple(widths), downs, classes)
    first = D.blocks[0]
    others = [
        RectifiedBlock(wide, narrow, down=number < downs, widens_first=widens_first)
        for number, (wide, narrow) in enumerate(pairwise(widths), 1)
    ]
    D.blocks = nn.Sequential(first, *others)
    return D


def _repeated(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")
