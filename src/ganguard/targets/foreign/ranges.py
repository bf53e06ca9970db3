"""The range of a foreign generator's pixels: what it says, and what its images show."""

from typing import Annotated

import torch
from pydantic import AfterValidator
from torch import Tensor

from ganguard.base.errors import TargetError
from ganguard.base.settings import Number, shortened

OWN = (-1.0, 1.0)
"""The range that networks of GANs have, and the one of a generator that states none."""
TOLERANCE = 0.01
"""Values that lie no further outside are rounding, or a resampling filter's overshoot: a level of 256."""
FEW = 0.05
"""At most this share of values may lie further outside: networks without tanh at their end overshoot, and
their images are clamped when they are shown."""
FAR = 4.0
"""No value may lie further from 0 than this, in units of half the range."""
DARK, BLACK, LIGHT = -0.1, -0.5, 0.5
FEW_DARK, FEW_BLACK = 0.01, 1e-4
"""Images are in [0, 1] if some values are above LIGHT, and at most a share of FEW_DARK below DARK, where a
filter may overshoot, and of FEW_BLACK below BLACK."""
NARROW = 0.6
"""A warning is due if the middle 99.8 % of values fill less than this share of the range."""
MOST_VALUES = 1 << 20  # of which quantiles are taken; the rest is skipped at even steps


def _ascending(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] >= limits[1]:
        raise ValueError(f"must be the lowest value and the highest; got {shortened(list(limits))}")
    return limits


PixelRange = Annotated[tuple[Number, Number], AfterValidator(_ascending)]
"""The values of black and white in a generator's images, such as (0, 255)."""


def to_own(images: Tensor, stated: tuple[float, float] | None) -> Tensor:
    """Return images as float32 in [-1, 1], from images in the stated range."""
    images = images.to(torch.float32)
    if stated is None or stated == OWN:
        return images
    low, high = stated
    return (images - low).mul_(2 / (high - low)).sub_(1.0)


def require_range(images: Tensor, stated: tuple[float, float] | None) -> list[str]:
    """Return remarks on the values of images, converted by `to_own`.

    Raises TargetError if they are surely in another range than the stated one.
    """
    low, high = images.min().item(), images.max().item()
    outside = (images.abs() > 1 + TOLERANCE).float().mean().item()
    said = stated or OWN
    if outside > FEW or max(-low, high) > FAR or (stated is None and _unit(images, high)):
        hint = _likely(images, low, high) if stated is None else "Set `range` to what it gives."
        raise TargetError(
            f"the generator must give images in [{said[0]:g}, {said[1]:g}]; got "
            f"[{_as_stated(low, said):.3g}, {_as_stated(high, said):.3g}]. {hint}"
        )
    return [*_clamped(outside, said), *_narrow(images, said)]


def _unit(images: Tensor, high: float) -> bool:
    """Return whether images are surely in [0, 1], or in its upper half at least."""
    dark, black = ((images < limit).float().mean().item() for limit in (DARK, BLACK))
    return (dark <= FEW_DARK and black <= FEW_BLACK and high > LIGHT) or images.min().item() >= 0


def _likely(images: Tensor, low: float, high: float) -> str:
    """Return what to do about images that are not in [-1, 1]."""
    if _unit(images, high) and high <= FAR:
        return "Set `range: [0, 1]`, or scale them in its forward."
    if 16 < high <= 300 and low > -45:
        return "Set `range: [0, 255]`, or scale them in its forward."
    return "Scale them, or clamp, in its forward; or set `range: [LOW, HIGH]` to black's and white's values."


def _clamped(outside: float, said: tuple[float, float]) -> list[str]:
    if not outside:
        return []
    return [f"{outside:.2%} of its values lie outside [{said[0]:g}, {said[1]:g}], and are clamped"]


def _narrow(images: Tensor, said: tuple[float, float]) -> list[str]:
    """Return a remark if the images hardly fill their range."""
    values = images.flatten()
    values = values[:: -(-len(values) // MOST_VALUES)]
    low, high = torch.quantile(
        values.clamp(-1, 1), torch.tensor([0.001, 0.999], device=values.device)
    ).tolist()
    if high - low >= NARROW * 2:
        return []
    levels = round((high - low) * 127.5) + 1
    return [
        f"its images use only [{_as_stated(low, said):.2g}, {_as_stated(high, said):.2g}] of "
        f"[{said[0]:g}, {said[1]:g}], about {levels} of 256 grey levels: if their black and white are other "
        "values, set `range: [LOW, HIGH]`"
    ]


def _as_stated(value: float, said: tuple[float, float]) -> float:
    """Return a value of [-1, 1] in the stated range."""
    return (value + 1) / 2 * (said[1] - said[0]) + said[0]
