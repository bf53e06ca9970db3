"""Adaptive discriminator augmentation, ADA (Karras et al., "Training Generative Adversarial Networks with
Limited Data", NeurIPS 2020).

Whatever D sees, real or generated, passes through random changes, each of which happens with probability p.
p rises while D is surer of the real images that it trains on than it should be, and falls otherwise, so that
there is as much change as the number of images asks for. While p stays well below 1, G does not learn the
changes themselves (section 2.2).

The changes and their strengths are those of the paper's appendix B, but for those that a picture of a few
pixels cannot bear: places between pixels are read bilinearly, without the paper's wavelet filter, and there
are no turns by 90 degrees, stretches, hues or bands of frequencies.
"""

import math
from collections.abc import Callable
from typing import Annotated, Literal, Self, get_args

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from ganguard.base.images import has_opacity
from ganguard.base.settings import Positive, Settings
from ganguard.training.augment import CUT, SHIFTED, Augmentation, Uniform, diffaugmented

Change = Literal["flip", "translation", "scaling", "rotation", "colour", "noise", "cutout"]
CHANGES: tuple[Change, ...] = get_args(Change)
USUAL: tuple[Change, ...] = ("translation", "scaling", "rotation", "colour")

EVERY = 4  # updates of D between two changes of p
SCALED = 0.2  # standard deviation of the logarithm of the scale, to base 2
BRIGHTENED = 0.2  # standard deviation of what is added, where images are in [-1, 1]
CONTRASTED, SATURATED = 0.5, 1.0  # standard deviations of the logarithms of the factors, to base 2
NOISED = 0.1  # standard deviation of the noise's own standard deviation
_GATES: tuple[str, ...] = (
    "flip",
    "translation",
    "scaling",
    "rotation",
    "brightness",
    "contrast",
    "saturation",
    "noise",
    "cutout",
)
NUMBERS = len(_GATES) + 11  # random numbers for each image, beside those of the noise's pixels
TINY = 1e-7  # the least probability whose normal quantile is read


class Adaptive(Settings):
    """Settings of ADA.

    Attributes:
        target: r, the mean sign of D's scores of real images that p is moved towards; 1 if D knows them all,
            0 if it is at a loss.
        images: real images that D sees while p goes from 0 to 1. The paper's 500,000 are for long trainings.
        start: p at first.
        most: the largest p. The paper saw no change leak into G below 0.8.
        changes: which changes there are. "flip" mirrors, which few sets of images allow.
    """

    kind: Literal["ada"] = "ada"
    target: Annotated[float, Field(gt=-1, lt=1)] = 0.6
    images: Positive = 500_000
    start: Annotated[float, Field(ge=0, le=1)] = 0.0
    most: Annotated[float, Field(gt=0, le=1)] = 0.8
    changes: Annotated[tuple[Change, ...], Field(min_length=1)] = USUAL

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.start > self.most:
            raise ValueError(f"start must not be above most, {self.most:g}; got {self.start:g}")
        if len(set(self.changes)) < len(self.changes):
            raise ValueError(f"changes must be distinct; got {', '.join(self.changes)}")
        return self


class AdaptiveAugmentation(nn.Module):
    """Changes images with a probability p that follows how surely D knows the real ones (section 2.3).

    p, and the signs seen since it last moved, are part of a training's state.
    """

    p: Tensor
    signs: Tensor

    def __init__(self, settings: Adaptive) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("p", torch.tensor(settings.start))
        self.register_buffer("signs", torch.zeros(()))

    def forward(self, images: Tensor, uniform: Uniform) -> Tensor:
        """Change images (N, C, H, W) float in [-1, 1]. uniform: draws numbers for each image."""
        noisy = "noise" in self.settings.changes
        noise = normal_of(uniform(*images.shape[1:])) if noisy else None
        return changed(images, uniform(NUMBERS), noise, self.p, self.settings.changes)

    @torch.no_grad()
    def note(self, scores: Tensor, update: int, images: int, everywhere: Callable[[Tensor], Tensor]) -> None:
        """Note D's scores (N,) of real images at an update of D, and move p after every fourth.

        Args:
            scores: raw; above 0 means real.
            update: number of the update, from 0.
            images: real images of an update, of all processes together.
            everywhere: turns the mean of this process's images into the mean over all processes.
        """
        self.signs += everywhere(scores.sign().mean())
        if (update + 1) % EVERY == 0:
            surer = (self.signs / EVERY - self.settings.target).sign()
            self.p += surer * (EVERY * images / self.settings.images)
            self.p.clamp_(0, self.settings.most)
            self.signs.zero_()


def augmentation_of(said: str | Adaptive, device: torch.device) -> Augmentation | None:
    """Return what changes the images that D sees, as a training's settings name it, or None."""
    if isinstance(said, Adaptive):
        return AdaptiveAugmentation(said).to(device)
    return diffaugmented if said == "diffaugment" else None


def changed(
    images: Tensor, random: Tensor, noise: Tensor | None, p: Tensor, changes: tuple[Change, ...]
) -> Tensor:
    """Change each image by its own row of random numbers.

    Args:
        images: (N, C, H, W) float in [-1, 1].
        random: (N, NUMBERS), uniform in [0, 1).
        noise: (N, C, H, W), N(0, 1); only read if "noise" is among the changes.
        p: (), the probability of each change.
        changes: those that may happen.
    """
    happens = dict(zip(_GATES, (random[:, : len(_GATES)] < p).unbind(1), strict=True))
    values = random[:, len(_GATES) :]
    if {"flip", "translation", "scaling", "rotation"} & set(changes):
        images = _moved(images, happens, values[:, :5], changes)
    if "colour" in changes:
        images = coloured(images, happens, normal_of(values[:, 5:8]))
    if "noise" in changes and noise is not None:
        strength = NOISED * normal_of(values[:, 8]).abs() * happens["noise"]
        images = images + strength.view(-1, 1, 1, 1) * noise
    if "cutout" in changes:
        images = _with_hole(images, happens["cutout"], values[:, 9:11])
    return images


def normal_of(uniform: Tensor) -> Tensor:
    """Return N(0, 1) numbers of the same quantiles as numbers uniform in [0, 1)."""
    return torch.special.ndtri(uniform.clamp(TINY, 1 - TINY))


def _moved(images: Tensor, happens: dict[str, Tensor], values: Tensor, changes: tuple[Change, ...]) -> Tensor:
    """Mirror, shift by whole pixels, scale and turn images about their middle. values: (N, 5), uniform."""
    sides = torch.tensor(images.shape[:-3:-1], device=images.device)  # W, H
    off = torch.zeros_like(values[:, 0])
    mirrored, shift, scale, angle = off + 1, torch.stack([off, off], 1), off + 1, off
    if "flip" in changes:
        mirrored = torch.where(happens["flip"] & (values[:, 0] < 0.5), -1.0, 1.0)
    if "translation" in changes:
        reach = (sides * SHIFTED + 0.5).floor()
        shift = (values[:, 1:3] * (2 * reach + 1)).floor() - reach
        shift = shift * happens["translation"][:, None]
    if "scaling" in changes:
        scale = torch.where(happens["scaling"], (SCALED * normal_of(values[:, 3])).exp2(), 1.0)
    if "rotation" in changes:
        angle = torch.where(happens["rotation"], (2 * values[:, 4] - 1) * math.pi, 0.0)
    return moved(images, mirrored, shift, scale, angle)


def moved(images: Tensor, mirrored: Tensor, shift: Tensor, scale: Tensor, angle: Tensor) -> Tensor:
    """Mirror, shift, scale and turn images (N, C, H, W), in this order, about their middle.

    What comes in is the image's own reflection.

    Args:
        images: float.
        mirrored: (N,) -1 to mirror left and right, 1 to leave.
        shift: (N, 2) pixels to the right and down.
        scale: (N,) 2 doubles what is seen.
        angle: (N,) radians, clockwise as images are shown.
    """
    height, width = images.shape[2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=images.device) - (height - 1) / 2,
        torch.arange(width, device=images.device) - (width - 1) / 2,
        indexing="ij",
    )
    cos, sin = ((f(angle) / scale)[:, None, None] for f in (torch.cos, torch.sin))
    right, down = shift[:, :, None, None].unbind(1)
    from_x = mirrored[:, None, None] * (cos * x + sin * y - right)  # what each pixel is read from
    from_y = cos * y - sin * x - down
    grid = torch.stack([2 * from_x / width, 2 * from_y / height], 3)
    return F.grid_sample(images, grid.to(images.dtype), "bilinear", "reflection", align_corners=False)


def coloured(images: Tensor, happens: dict[str, Tensor], normal: Tensor) -> Tensor:
    """Change the brightness, the contrast about mid-grey, and the saturation of images; opacity stays.

    normal: (N, 3), N(0, 1).
    """
    if has_opacity(images.shape[1]):
        return torch.cat([coloured(images[:, :-1], happens, normal), images[:, -1:]], 1)
    off = torch.zeros_like(normal[:, 0])
    added = torch.where(happens["brightness"], BRIGHTENED * normal[:, 0], off)
    contrast = torch.where(happens["contrast"], CONTRASTED * normal[:, 1], off).exp2()
    saturation = torch.where(happens["saturation"], SATURATED * normal[:, 2], off).exp2()
    lit = (images + added.view(-1, 1, 1, 1)) * contrast.view(-1, 1, 1, 1)
    return torch.lerp(lit.mean(1, keepdim=True), lit, saturation.view(-1, 1, 1, 1))


def _with_hole(images: Tensor, happens: Tensor, values: Tensor) -> Tensor:
    """Make a rectangle of half the sides grey (0), about a middle anywhere. values: (N, 2), uniform."""
    held = [
        ((torch.arange(side, device=images.device) + 0.5) / side - value[:, None]).abs() < CUT / 2
        for side, value in zip(images.shape[2:], values.unbind(1), strict=True)
    ]
    hole = held[0][:, :, None] & held[1][:, None, :] & happens[:, None, None]
    return images * ~hole[:, None]
