"""Images of any size, from networks that double a small map.

The networks have the smallest size that can be built. G's images are cropped, and D's are framed.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from ganguard.base.errors import SpecError
from ganguard.base.images import CHANNELS
from ganguard.base.settings import MOST_SIDE

LEAST, MOST = 4, 7  # pixels of the smaller side of the map at which G begins


@dataclass(frozen=True)
class Canvas:
    """The size of the networks, and that of their images, which lie in its middle.

    Attributes:
        bottom: (height, width) of the map at which G begins and D ends.
        doublings: how often G doubles both sides, and D halves them.
        image: (height, width) of the images.
    """

    bottom: tuple[int, int]
    doublings: int
    image: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """(Height, width) of what the networks make and take."""
        return self.bottom[0] << self.doublings, self.bottom[1] << self.doublings

    @property
    def cells(self) -> int:
        """Pixels of the map at which G begins and D ends."""
        return self.bottom[0] * self.bottom[1]

    def cropped(self, made: Tensor) -> Tensor:
        """Return the images (N, C, H, W) in the middle of what G made, (N, C, *size)."""
        (height, width), (top, left) = self.image, self._corner()
        return made if self.size == self.image else made[..., top : top + height, left : left + width]

    def framed(self, images: Tensor) -> Tensor:
        """Return images (N, C, H, W) float in [-1, 1] with mid-grey (0) around them: (N, C, *size)."""
        return images if self.size == self.image else F.pad(images, self._frame())

    def continued(self, images: Tensor) -> Tensor:
        """Return images (N, C, H, W) with their outermost pixels repeated around them: (N, C, *size)."""
        return images if self.size == self.image else F.pad(images, self._frame(), mode="replicate")

    def _corner(self) -> tuple[int, int]:
        return (self.size[0] - self.image[0]) // 2, (self.size[1] - self.image[1]) // 2

    def _frame(self) -> tuple[int, int, int, int]:
        """Return what lies to the left and right, above and below, as torch counts it."""
        (height, width), (top, left) = self.size, self._corner()
        return left, width - self.image[1] - left, top, height - self.image[0] - top


def canvas_of(image_shape: tuple[int, int, int], architecture: str) -> tuple[int, Canvas]:
    """Return the channels of images (C, H, W), and the smallest canvas for them.

    The smaller side is LEAST to MOST times a power of two, at least twice; the larger one is a multiple of
    the same power. Raises SpecError for channels other than 1 to 4, and for a side without pixels or of more
    than MOST_SIDE.
    """
    channels, *sides = image_shape
    if channels not in CHANNELS:
        raise SpecError(f"{architecture} makes images of 1 to {max(CHANNELS)} channels; got {channels}.")
    if not all(1 <= side <= MOST_SIDE for side in sides):
        raise SpecError(
            f"{architecture} makes images whose sides have 1 to {MOST_SIDE} pixels; got "
            f"{sides[0]}x{sides[1]} (height x width)."
        )
    k = 1
    while -(-min(sides) >> k) > MOST:
        k += 1
    height, width = (max(LEAST, -(-side >> k)) for side in sides)
    return channels, Canvas((height, width), k, (sides[0], sides[1]))
