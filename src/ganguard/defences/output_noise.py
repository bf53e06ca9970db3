"""Random noise (Hu & Pang 2021): independent Gaussian noise on every pixel of an image that is given out."""

from typing import Annotated, Literal, Self

from pydantic import Field
from torch import Tensor

from ganguard.base.images import to_float, to_uint8
from ganguard.defences.protocol import OutputDefence, Tools
from ganguard.defences.streams import Streams


class GaussianNoise(OutputDefence):
    """std: of the noise, on the scale of [-1, 1]; 0.1 is 12.75 of 255. 0 leaves images as they are."""

    kind: Literal["gaussian_noise"] = "gaussian_noise"
    std: Annotated[float, Field(ge=0, le=2)]

    def label(self) -> str:
        """Kind and std."""
        return f"gaussian noise {self.std:g}"

    def scaled(self, factor: float) -> Self:
        """Noise of `factor` times the std."""
        return self.model_copy(update={"std": min(2.0, self.std * factor)})

    def change(self, images: Tensor, streams: Streams, tools: Tools) -> Tensor:
        """Images (N, C, H, W) uint8 and noise of their own streams, clamped to [0, 255]."""
        noise = streams.normal(images[0].numel()).view(images.shape)
        return to_uint8(to_float(images).add_(noise, alpha=self.std))
