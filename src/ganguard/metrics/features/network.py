"""What a feature network is, how it is run, and how its features are put on one scale."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Protocol, cast

import torch
from pydantic import BeforeValidator, SerializeAsAny
from torch import Tensor, nn

from ganguard.base.compute import Compute, use_threads
from ganguard.base.errors import MetricError
from ganguard.base.images import require_images, to_float
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import Settings
from ganguard.metrics.features import FEATURES

CHUNK = 256  # images that go through a feature network at once


class FeatureSettings(Settings):
    """Base of a feature network's settings; `kind` is its name in the table.

    learns_labels: whether the network must be trained on the labelled real data before it can be loaded.
    """

    kind: str
    learns_labels: ClassVar[bool] = False


class FeatureNetwork(nn.Module):
    """images (N, C, H, W) float32 in [-1, 1] -> features (N, D)."""

    def features(self, images: Tensor) -> Tensor:
        """The features, before they are standardised."""
        raise NotImplementedError


def parse_features(value: object) -> FeatureSettings:
    """A name ("classifier") or a mapping with `kind` to the settings of that feature network. Raises SpecError."""
    return value if isinstance(value, FeatureSettings) else FEATURES.parse(value)


class Loads(Protocol):
    """What every feature network's settings can do."""

    def load(self, directory: Path, channels: int) -> FeatureNetwork: ...


def load_features(settings: FeatureSettings, directory: Path, channels: int) -> FeatureNetwork:
    """The network for images with this many channels; one that was trained is read from `directory`. Raises CheckpointError."""
    return cast(Loads, settings).load(directory, channels)


FeatureField = Annotated[SerializeAsAny[FeatureSettings], BeforeValidator(parse_features)]


SMALLEST_SIDE = 4  # pixels


def require_side(images: Tensor) -> None:
    """Raise MetricError where images (N, C, H, W) are too small for the networks of this room."""
    if min(images.shape[2:]) < SMALLEST_SIDE:
        raise MetricError(
            f"images must be at least {SMALLEST_SIDE}x{SMALLEST_SIDE} pixels for features; got {tuple(images.shape[2:])}."
        )


@torch.inference_mode()
def extract(network: FeatureNetwork, images: Tensor, compute: Compute, progress: Progress = silent) -> Tensor:
    """Features (N, D) float32, on CPU, of images (N, C, H, W) uint8, in chunks of `CHUNK`."""
    require_images(images, "images", MetricError)
    require_side(images)
    device = compute.torch_device()
    network = network.to(device).eval()
    rows: list[Tensor] = []
    with use_threads(compute.threads):
        for chunk in images.split(CHUNK):
            rows.append(network.features(to_float(chunk.to(device))).float().cpu())
            progress(min(len(rows) * CHUNK, len(images)), len(images), "features")
    return torch.cat(rows)


@dataclass(frozen=True)
class Standardisation:
    """Per-dimension shift and scale, fitted on the features of the real training split, so that Fréchet distances of
    different feature networks can be compared: two unrelated sets are of the order of 2 D apart.

    mean, std: (D,). A dimension that is constant on the real data keeps its scale.
    """

    mean: Tensor
    std: Tensor

    @staticmethod
    def fit(features: Tensor) -> "Standardisation":
        """From features (N, D) of real images."""
        std = features.std(0)
        return Standardisation(features.mean(0), torch.where(std > 0, std, torch.ones_like(std)))

    def __call__(self, features: Tensor) -> Tensor:
        """(N, D) -> (N, D) with, on the real training split, mean 0 and variance 1 in each dimension."""
        return (features - self.mean) / self.std
