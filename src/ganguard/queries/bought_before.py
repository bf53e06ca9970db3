"""A target that an adversary asks for nothing, because it holds images that it bought of it before."""

import torch
from torch import Tensor

from ganguard.base.errors import TargetError
from ganguard.targets.ask import asked_of
from ganguard.targets.conditions import Conditions, conditions_of, require_conditions
from ganguard.targets.images import BoughtImages
from ganguard.targets.protocol import BlackBoxTarget, Discriminator, WhiteBoxTarget


class BoughtBefore:
    """A BlackBoxTarget whose images are those that were bought before.

    Args:
        images: gives them.
        conditions: what each of them was bought for; None if nobody knows, or the target takes no conditions.
    """

    def __init__(self, images: BlackBoxTarget, conditions: Conditions | None = None) -> None:
        self._images, self.conditions = images, conditions
        self.identity = images.identity
        self.image_shape = images.image_shape

    def sample(self, indices: range, *, seed: int, conditions: Tensor | None = None) -> Tensor:
        """Return images (len(indices), C, H, W) uint8.

        conditions: (len(indices),) int64; they must be those that the images were bought for.

        Raises TargetError if so many were not bought, or not for these conditions.
        """
        images = self._images.sample(indices, seed=seed)
        if conditions is not None:
            require_conditions(conditions, self.conditions, len(indices))
            given = asked_of(self, None, indices, seed=seed)
            if given is None or not torch.equal(conditions, given):
                raise TargetError(
                    "these images were bought before, for conditions of their own, and none can be had for "
                    "others."
                )
        return images


class BoughtBeforeWhiteBox(BoughtBefore):
    """The same, of a target whose D is handed over."""

    def __init__(
        self, images: BlackBoxTarget, conditions: Conditions | None, discriminator: Discriminator
    ) -> None:
        super().__init__(images, conditions)
        self.discriminator = discriminator


def bought_before(target: BlackBoxTarget, images: BlackBoxTarget) -> BoughtBefore:
    """Return a target as an adversary sees it that holds images of it, and D if the target hands it over.

    Its conditions are what the images were bought for, if the target can be asked for any and the images tell
    it.

    Raises TargetError if they were bought for what the target cannot be asked for.
    """
    conditions, known = None, conditions_of(target)
    if known is not None and isinstance(images, BoughtImages):
        conditions = images.conditions_among(known)
    if isinstance(target, WhiteBoxTarget):
        return BoughtBeforeWhiteBox(images, conditions, target.discriminator)
    return BoughtBefore(images, conditions)
