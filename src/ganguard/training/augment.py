"""DiffAugment (Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS 2020).

Whatever D sees, real or generated, is changed at random, so that D cannot memorise a few images. Gradients
flow through the changes.

These are the paper's three changes, in its order and strength: colour, translation by up to an eighth of the
side, and a square cutout of half the side.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ganguard.base.images import has_opacity

Uniform = Callable[..., Tensor]
"""Draws numbers of a shape, given as arguments, for each of N images: (N, …), uniform in [0, 1)."""

Augmentation = Callable[[Tensor, Uniform], Tensor]
"""Changes images (N, C, H, W) float in [-1, 1] at random, as gradients flow through it."""

SHIFTED = 1 / 8  # largest translation, as a share of the side
CUT = 1 / 2  # side of the cutout, as a share of the side
NUMBERS = 7  # random numbers for each image


def diffaugmented(images: Tensor, uniform: Uniform) -> Tensor:
    """Change images (N, C, H, W) float in [-1, 1] by numbers that `uniform` draws."""
    return diffaugment(images, uniform(NUMBERS))


def diffaugment(images: Tensor, random: Tensor) -> Tensor:
    """Change each image of (N, C, H, W) float in [-1, 1] by its own row of `random` (N, 7), uniform in [0,
    1)."""
    return cut_out(translated(coloured(images, random[:, :3]), random[:, 3:5]), random[:, 5:])


def coloured(images: Tensor, random: Tensor) -> Tensor:
    """Move the brightness by -0.5 to 0.5, and scale the saturation by 0 to 2 and the contrast by 0.5 to 1.5.
    Opacity stays as it is. `random` is (N, 3)."""
    if has_opacity(images.shape[1]):
        return torch.cat([coloured(images[:, :-1], random), images[:, -1:]], 1)
    brightness, saturation, contrast = random.view(*random.shape, 1, 1, 1).unbind(1)
    moved = images + (brightness - 0.5)
    grey = moved.mean(1, keepdim=True)
    vivid = torch.lerp(grey, moved, 2 * saturation)
    middle = vivid.mean((1, 2, 3), keepdim=True)
    return torch.lerp(middle, vivid, contrast + 0.5)


def translated(images: Tensor, random: Tensor) -> Tensor:
    """Move images by up to an eighth of a side, in whole pixels. What comes in is grey (0). `random` is (N,
    2): down and right."""
    count, _, height, width = images.shape
    reach = [int(side * SHIFTED + 0.5) for side in (height, width)]
    padded = F.pad(images, (reach[1], reach[1], reach[0], reach[0]))
    starts = [(random[:, i] * (2 * reach[i] + 1)).long() for i in range(2)]
    rows = starts[0][:, None] + torch.arange(height, device=images.device)  # (N, H)
    columns = starts[1][:, None] + torch.arange(width, device=images.device)  # (N, W)
    every = torch.arange(count, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[every, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cut_out(images: Tensor, random: Tensor) -> Tensor:
    """Make a square of half the side grey (0). Its middle may lie anywhere in the image; `random` is (N, 2),
    the middle."""
    (height, width), place = images.shape[2:], torch.arange(max(images.shape[2:]), device=images.device)
    rows = _stretch(random[:, 0], height, place[:height])
    columns = _stretch(random[:, 1], width, place[:width])
    return images * ~(rows[:, :, None] & columns[:, None, :])[:, None]


def _stretch(random: Tensor, side: int, place: Tensor) -> Tensor:
    """Return which places (side,) of an axis lie in the square, (N, side) bool."""
    length = int(side * CUT + 0.5)
    start = (random[:, None] * (side + 1 - length % 2)).long() - length // 2
    return (place >= start) & (place < start + length)
