"""A target that an adversary asks for nothing, because it holds images that it bought of it before."""

from torch import Tensor

from ganguard.targets.protocol import BlackBoxTarget, Discriminator, WhiteBoxTarget


class BoughtBefore:
    """A BlackBoxTarget whose images are those that were bought before.

    Args:
        images: gives them.
    """

    def __init__(self, images: BlackBoxTarget) -> None:
        self._images = images
        self.identity = images.identity
        self.image_shape = images.image_shape

    def sample(self, indices: range, *, seed: int) -> Tensor:
        """Return images (len(indices), C, H, W) uint8. Raises TargetError if so many were not bought."""
        return self._images.sample(indices, seed=seed)


class BoughtBeforeWhiteBox(BoughtBefore):
    """The same, of a target whose D is handed over."""

    def __init__(self, images: BlackBoxTarget, discriminator: Discriminator) -> None:
        super().__init__(images)
        self.discriminator = discriminator


def bought_before(target: BlackBoxTarget, images: BlackBoxTarget) -> BoughtBefore:
    """Return a target as an adversary sees it that holds images of it, and D if the target hands it over."""
    if isinstance(target, WhiteBoxTarget):
        return BoughtBeforeWhiteBox(images, target.discriminator)
    return BoughtBefore(images)
