"""Random noise (Hu & Pang 2021): independent Gaussian noise on every pixel of an image that is given out."""

from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from ganguard.base.images import to_float, to_uint8
from ganguard.base.settings import Float
from ganguard.defences.protocol import OutputDefence, Tools
from ganguard.defences.streams import Streams

# Numbers in a piece of work: its memory is reused, instead of being allocated again for each request.
VALUES_AT_ONCE = 1 << 18


class GaussianNoise(OutputDefence):
    """Add Gaussian noise to images.

    Attributes:
        std: standard deviation on the scale of [-1, 1]: 0.1 is 12.75 of 255; 0 leaves images as they are.
    """

    kind: Literal["gaussian_noise"] = "gaussian_noise"
    std: Annotated[Float, Field(ge=0, le=2)]

    def label(self) -> str:
        """Return the kind and std."""
        return f"gaussian noise {self.std:g}"

    def scaled(self, factor: float) -> Self:
        """Return the defence with `factor` times the std."""
        return self.model_copy(update={"std": min(2.0, self.std * factor)})

    def change(self, images: Tensor, streams: Streams, tools: Tools) -> Tensor:
        """Return images (N, C, H, W) uint8 plus noise of their own streams, clamped to [0, 255]."""
        width = images.shape[1:].numel()
        at_once = max(1, VALUES_AT_ONCE // width)
        changed = torch.empty_like(images)
        for start in range(0, len(images), at_once):
            part = slice(start, start + at_once)
            noise = streams[part].normal(width).view(images[part].shape)
            changed[part] = to_uint8(to_float(images[part]).add_(noise, alpha=self.std))
        return changed
