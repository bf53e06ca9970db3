"""Filtering (Hu & Pang 2021): Gaussian and median filters on every image that is given out.

They are scipy.ndimage's, on which scikit-image's stand. At the border the image is repeated ("nearest").
"""

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import scipy.ndimage
import torch
from pydantic import Field, field_validator
from torch import Tensor

from ganguard.base.errors import SpecError
from ganguard.base.settings import Float, Positive
from ganguard.defences.protocol import OutputDefence, Tools
from ganguard.defences.streams import Streams

TRUNCATE = 4.0  # reach of the Gaussian window, in standard deviations


class GaussianFilter(OutputDefence):
    """Smooth images with a Gaussian window.

    Attributes:
        sigma: standard deviation of the window in pixels; 0 leaves images as they are.
    """

    kind: Literal["gaussian_filter"] = "gaussian_filter"
    sigma: Annotated[Float, Field(ge=0, le=64)]
    libraries: ClassVar[tuple[str, ...]] = ("numpy", "scipy", "torch")

    def label(self) -> str:
        """Return the kind and sigma."""
        return f"gaussian filter {self.sigma:g}"

    def scaled(self, factor: float) -> Self:
        """Return the defence with `factor` times the sigma."""
        return self.model_copy(update={"sigma": min(64.0, self.sigma * factor)})

    def change(self, images: Tensor, streams: Streams, tools: Tools) -> Tensor:
        """Return images (N, C, H, W) uint8, each channel smoothed by itself."""
        if self.sigma == 0:
            return images
        sigma = (0, 0, self.sigma, self.sigma)
        means = scipy.ndimage.gaussian_filter(
            images.numpy(), sigma, output=np.float32, mode="nearest", truncate=TRUNCATE
        )
        return torch.from_numpy(means).round_().to(torch.uint8)  # means of bytes never leave [0, 255]

    def surrogate(self, images: Tensor) -> Tensor:
        """Return float images smoothed by the same window.

        It equals the defence except for rounding, and for the border if an image is smaller than the window.
        """
        from kornia.filters import gaussian_blur2d

        reach = int(TRUNCATE * self.sigma + 0.5)
        if reach == 0:
            return images
        padded = torch.nn.functional.pad(images, (reach,) * 4, mode="replicate")
        size = 2 * reach + 1
        blurred = gaussian_blur2d(padded, (size, size), (self.sigma, self.sigma))
        return blurred[..., reach:-reach, reach:-reach]


class MedianFilter(OutputDefence):
    """Replace each pixel by the median of a window around it.

    Attributes:
        size: side of the square window in pixels, odd; 1 leaves images as they are.
    """

    kind: Literal["median_filter"] = "median_filter"
    size: Annotated[Positive, Field(le=31)] = 3
    libraries: ClassVar[tuple[str, ...]] = ("numpy", "scipy")

    @field_validator("size")
    @classmethod
    def _odd(cls, size: int) -> int:
        if size % 2 == 0:
            raise ValueError(f"must be odd, so that the window has a central pixel; got {size}")
        return size

    def label(self) -> str:
        """Return the kind and size."""
        return f"median filter {self.size}"

    def scaled(self, factor: float) -> Self:
        """Return the defence with a window that reaches `factor` times as far, to the nearest pixel."""
        reach = min(15, round((self.size - 1) / 2 * factor))
        return self.model_copy(update={"size": 2 * reach + 1})

    def require(self, image_shape: tuple[int, int, int], tools: Tools) -> None:
        """Raise SpecError if the window does not fit into images (C, H, W)."""
        if self.size > min(image_shape[1:]):
            raise SpecError(
                f"median_filter: size must be at most the images' side, {min(image_shape[1:])}; got "
                f"{self.size}."
            )

    def change(self, images: Tensor, streams: Streams, tools: Tools) -> Tensor:
        """Return images (N, C, H, W) uint8, each pixel the median of those around it in its channel."""
        if self.size == 1:
            return images
        size = (1, 1, self.size, self.size)
        return torch.from_numpy(scipy.ndimage.median_filter(images.numpy(), size, mode="nearest"))

    def surrogate(self, images: Tensor) -> Tensor:
        """Return the same for float images; the gradient goes to the pixel that is the median."""
        from kornia.filters import median_blur

        reach = self.size // 2
        if reach == 0:
            return images
        padded = torch.nn.functional.pad(images, (reach,) * 4, mode="replicate")
        return median_blur(padded, self.size)[..., reach:-reach, reach:-reach]
