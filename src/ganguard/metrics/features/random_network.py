"""A convolutional network with fixed random weights.

Naeem et al. 2020 (section 4.2) compare generators on random VGG features, and find them reliable for images
far from those that a pretrained network was trained on. It needs no labels and no download.
"""

import math
from pathlib import Path
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganguard.base.seeds import normal
from ganguard.base.settings import NonNegative, Positive
from ganguard.metrics.features.network import FeatureNetwork, FeatureSettings


class RandomNetwork(FeatureSettings):
    """Settings of the random network.

    Attributes:
        dimensions: D, the number of features.
        seed: seed of its weights.
    """

    kind: Literal["random_network"] = "random_network"
    dimensions: Positive = 64
    seed: NonNegative = 0
    gives_maps: ClassVar[bool] = True

    def load(self, directory: Path, channels: int) -> "RandomConvolutions":
        """Return the network for images with this many channels, made from its seed; nothing is read."""
        return RandomConvolutions(channels, self.dimensions, self.seed)


class RandomConvolutions(FeatureNetwork):
    """Three 3x3 convolutions with leaky ReLU, and a random projection to D dimensions.

    The side is halved after the second convolution, and pooled to 2x2 after the third.
    """

    # The second convolution reads 32 channels of float32 and gives 64, each in torch's order and in oneDNN's.
    bytes_a_pixel: ClassVar[int] = 656

    def __init__(self, channels: int, dimensions: int, seed: int) -> None:
        super().__init__()
        shapes = [(32, channels, 3, 3), (64, 32, 3, 3), (64, 64, 3, 3), (dimensions, 256)]
        self.weights = nn.ParameterList(_he_normal(shape, seed, index) for index, shape in enumerate(shapes))
        self.requires_grad_(False)

    def features(self, images: Tensor) -> Tensor:
        h = F.adaptive_avg_pool2d(self.maps(images)[-1], 2)
        return F.linear(h.flatten(1), self.weights[3])

    def maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return what each convolution gives: at the images' side, at half of it, and once more at half."""
        first, second, third, _ = self.weights
        whole = F.leaky_relu(F.conv2d(images, first, padding=1), 0.2)
        half = F.avg_pool2d(F.leaky_relu(F.conv2d(whole, second, padding=1), 0.2), 2)
        return whole, half, F.leaky_relu(F.conv2d(half, third, padding=1), 0.2)


def _he_normal(shape: tuple[int, ...], seed: int, layer: int) -> nn.Parameter:
    """Return N(0, 2 / fan_in) weights (He et al. 2015), a pure function of seed, layer and shape."""
    fan_in = math.prod(shape[1:])
    rows = normal(seed, f"random_network/{layer}", range(shape[0]), fan_in)
    return nn.Parameter(torch.reshape(rows * math.sqrt(2 / fan_in), shape))
