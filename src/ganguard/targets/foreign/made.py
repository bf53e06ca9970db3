"""What a generator that is not ganguard's has made: is it images at all?"""

import torch
from torch import Tensor

from ganguard.base.errors import TargetError
from ganguard.base.images import CHANNELS, has_opacity


def require_made(images: Tensor, count: int, what: str, asked: str) -> None:
    """Raise TargetError if a tensor is not `count` finite images (N, C, H, W).

    Args:
        images: what was made.
        count: how many were asked for.
        what: what messages call that which made them, such as "generator".
        asked: what messages call that which they were asked by, such as "codes".
    """
    if (
        images.ndim != 4
        or len(images) != count
        or images.shape[1] not in CHANNELS
        or (has_opacity(images.shape[1]) and images.shape[3] in (1, 3))  # their channels come last
        or not images.numel()
    ):
        raise TargetError(
            f"the {what} must give ({count}, C, H, W) with C of 1 to {max(CHANNELS)} for {count} {asked}; "
            f"got {tuple(images.shape)}."
        )
    require_finite(images, what)


def require_finite(images: Tensor, what: str) -> None:
    """Raise TargetError if images hold NaN or infinity."""
    if not torch.isfinite(images).all():
        raise TargetError(f"the {what} gave NaN or infinity. Check its weights and its precision.")


def require_generator_output(images: object, pixel_range: tuple[float, float] | None, count: int) -> None:
    """Raise TargetError if a generator's answer to `count` codes is not that many finite images.

    Whole numbers are taken if their range is stated.
    """
    if not isinstance(images, Tensor) or not (images.is_floating_point() or (pixel_range and _whole(images))):
        what = f"{images.dtype} tensor" if isinstance(images, Tensor) else type(images).__name__
        hint = " Set `range: [0, 255]`." if isinstance(images, Tensor) and images.dtype == torch.uint8 else ""
        raise TargetError(f"the generator must give a float tensor of images in [-1, 1]; got {what}.{hint}")
    require_made(images, count, "generator", "codes")


def _whole(images: Tensor) -> bool:
    return not (images.is_complex() or images.is_quantized or images.dtype == torch.bool)
