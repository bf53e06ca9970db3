"""A small convolutional classifier of the labelled real data, whose last layer's inputs are its features."""

from pathlib import Path
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganguard.base.codecs import read_tensors, require_finite
from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError
from ganguard.base.settings import Positive, one_line
from ganguard.metrics.features.network import FeatureNetwork, FeatureSettings, extract

SLOPE = 0.2
WEIGHTS = "classifier.safetensors"


class Classifier(FeatureSettings):
    """Settings of the classifier.

    Attributes:
        width: channels of its first layer.
        dimensions: D, the number of features.
        steps: training updates on the real training split.
    """

    kind: Literal["classifier"] = "classifier"
    learns_labels: ClassVar[bool] = True
    width: Positive = 32
    dimensions: Positive = 64
    steps: Positive = 600

    def untrained(self, channels: int, classes: int) -> "ClassifierNetwork":
        """Return an untrained network for images of this many channels and labels of this many classes."""
        return ClassifierNetwork(channels, classes, self.width, self.dimensions)

    def load(self, directory: Path, channels: int) -> "ClassifierNetwork":
        """Return the trained network in `directory`/classifier.safetensors.

        Raises CheckpointError if the file is absent, damaged, or of another network.
        """
        file = directory / WEIGHTS
        try:
            weights, _ = read_tensors(file)
            if (classes := len(weights["logits.weight"])) == 0:
                raise ValueError("it has no classes")
            with torch.device("meta"):
                network = self.untrained(channels, classes)
            for name, value in network.state_dict().items():
                if weights[name].dtype != value.dtype:
                    raise TypeError(f"tensor {name!r} must be {value.dtype}; got {weights[name].dtype}")
            require_finite(weights)
            network.load_state_dict(weights, assign=True)
        except (KeyError, OverflowError, RuntimeError, TypeError, ValueError) as problem:
            raise CheckpointError(
                f"{file}: not the weights of this classifier ({one_line(problem, 160)}). Train it again."
            ) from None
        return network.eval()


class ClassifierNetwork(FeatureNetwork):
    """Images (N, channels, H, W) float32 in [-1, 1], H and W at least 4 -> logits (N, classes).

    Its features are leaky ReLUs. With a plain ReLU some of them are 0 on almost every real image, and
    standardising such a dimension inflates a handful of images until they make up most of the distance.
    """

    def __init__(self, channels: int, classes: int, width: int, dimensions: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width)
        self.conv3, self.norm3 = nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width)
        self.width = width
        self.hidden = nn.Linear(2 * width * 4, dimensions)
        self.logits = nn.Linear(dimensions, classes)

    def working_bytes(self, height: int, width: int) -> int:
        """Return the bytes that it works in for one image.

        The second convolution reads `self.width` channels of float32 and gives twice as many. They lie in
        memory up to twice, in torch's order and in oneDNN's, or before and after the normalisation.
        """
        return (20 * self.width + 16) * height * width

    def features(self, images: Tensor) -> Tensor:
        h = F.relu(self.norm1(self.conv1(images)))
        h = F.max_pool2d(F.relu(self.norm2(self.conv2(h))), 2)
        h = F.adaptive_avg_pool2d(F.relu(self.norm3(self.conv3(h))), 2)
        return F.leaky_relu(self.hidden(h.flatten(1)), SLOPE)

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(self.features(images))

    def probabilities(self, images: Tensor) -> Tensor:
        """Return the softmax of the logits, (N, classes)."""
        return self(images).softmax(1)


def accuracy(network: FeatureNetwork, images: Tensor, labels: Tensor, compute: Compute) -> float:
    """Return the share of images (N, C, H, W) uint8 whose likeliest class is their label (N,)."""
    likeliest = extract(network, images, compute, output="probabilities").argmax(1)
    return (likeliest == labels).double().mean().item()
