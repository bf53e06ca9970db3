"""DiffAugment (Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS 2020):
whatever D sees, real or generated, is changed at random in ways through which gradients flow, so that D
cannot learn few images by heart.

The paper's three changes, in its order and strength: colour, translation by up to an eighth of the side, and
a square cut out, of half the side.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

SHIFTED = 1 / 8  # of a side, at most
CUT = 1 / 2  # of a side
NUMBERS = 7  # random ones that an image takes


def diffaugment(images: Tensor, random: Tensor) -> Tensor:
    """Images (N, C, H, W) float in [-1, 1], each changed by its own row of `random` (N, 7), uniform in [0,
    1)."""
    return cut_out(translated(coloured(images, random[:, :3]), random[:, 3:5]), random[:, 5:])


def coloured(images: Tensor, random: Tensor) -> Tensor:
    """Brightness moved by -0.5 to 0.5, saturation scaled by 0 to 2 and contrast by 0.5 to 1.5; random: (N,
    3)."""
    brightness, saturation, contrast = random.view(*random.shape, 1, 1, 1).unbind(1)
    moved = images + (brightness - 0.5)
    grey = moved.mean(1, keepdim=True)
    vivid = torch.lerp(grey, moved, 2 * saturation)
    middle = vivid.mean((1, 2, 3), keepdim=True)
    return torch.lerp(middle, vivid, contrast + 0.5)


def translated(images: Tensor, random: Tensor) -> Tensor:
    """Moved by up to an eighth of a side, whole pixels; what comes in is grey (0). random: (N, 2), down and
    right."""
    count, _, height, width = images.shape
    reach = [int(side * SHIFTED + 0.5) for side in (height, width)]
    padded = F.pad(images, (reach[1], reach[1], reach[0], reach[0]))
    starts = [(random[:, i] * (2 * reach[i] + 1)).long() for i in range(2)]
    rows = starts[0][:, None] + torch.arange(height, device=images.device)  # (N, H)
    columns = starts[1][:, None] + torch.arange(width, device=images.device)  # (N, W)
    every = torch.arange(count, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[every, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cut_out(images: Tensor, random: Tensor) -> Tensor:
    """A square of half the side, whose middle may lie anywhere in the image, is grey (0). random: (N, 2), its
    middle."""
    (height, width), place = images.shape[2:], torch.arange(max(images.shape[2:]), device=images.device)
    rows = _stretch(random[:, 0], height, place[:height])
    columns = _stretch(random[:, 1], width, place[:width])
    return images * ~(rows[:, :, None] & columns[:, None, :])[:, None]


def _stretch(random: Tensor, side: int, place: Tensor) -> Tensor:
    """Which places (side,) of an axis lie in the square, (N, side)."""
    length = int(side * CUT + 0.5)
    start = (random[:, None] * (side + 1 - length % 2)).long() - length // 2
    return (place >= start) & (place < start + length)
