"""The memory that an order takes while its images are made and sent.

Beside it the process holds the network and one micro-batch, which do not grow with the number of orders.
"""

import math

from torch import Tensor

from ganguard.base.errors import SpecError
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget

# Bytes for each value of an image, at most: the image and its defended copy (1 each), floats of a filter (4),
# and the encoded body, which is up to a third larger than the image as PNG in base64. Measured with 384
# images of 3 x 512 x 512: 2.5 without a defence, 3.2 with noise, 5.8 with a Gaussian filter.
BYTES_A_VALUE = 8
BYTES_AN_ENTRY = 100  # for each entry of a code: its text, its number in Python, and the code's copies
BYTES_AN_IMAGE = 2048  # for each image: keys of its random numbers, headers of its file
COPIES = 2  # of an answer that is being sent: the response's, and the part that the socket has not taken


class Memory:
    """The memory for orders of a target.

    Args:
        target: the target.
        most_mib: memory for all orders together, in MiB.

    Attributes:
        most: the same, in bytes.
        an_image: bytes that an order takes for each image while they are made.
        most_images: images for which there is memory; at least 1.

    Raises SpecError if there is not enough for one image.
    """

    def __init__(self, target: BlackBoxTarget, most_mib: int) -> None:
        entries = target.latent_dim if isinstance(target, LatentTarget) else 0
        values = math.prod(target.image_shape)
        self.most = most_mib << 20
        self.an_image = BYTES_A_VALUE * values + BYTES_AN_ENTRY * entries + BYTES_AN_IMAGE
        self.most_images = self.most // self.an_image
        if not self.most_images:
            least = -(-self.an_image >> 20)
            raise SpecError(
                f"spec.most_mib: must be at least {least}, the memory for one image of this target; got "
                f"{most_mib}."
            )

    def of_images(self, images: int) -> int:
        """Return the bytes that an order takes while its images are made."""
        return images * self.an_image

    @staticmethod
    def of_answer(body: bytes, latents: Tensor | None) -> int:
        """Return the bytes that an order takes once its images are encoded, with the codes that it came
        with."""
        return COPIES * len(body) + (0 if latents is None else BYTES_AN_ENTRY * latents.numel())
