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
