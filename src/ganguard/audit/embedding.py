"""From images to what distances are taken of: the features of an audit's network, on its scale."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ganguard.audit.comparisons import as_probabilities
from ganguard.audit.steps import FeatureDescription
from ganguard.base.codecs import read_tensors, require_finite
from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError
from ganguard.base.settings import one_line, read_record
from ganguard.metrics.features.network import (
    FeatureNetwork,
    FeatureSettings,
    GivesProbabilities,
    Standardisation,
    extract,
    load_features,
    parse_features,
)


@dataclass(frozen=True)
class Embedding:
    """images (N, C, H, W) uint8 -> standardised features (N, D), and the probabilities of classes where the
    network has any. channels: C."""

    settings: FeatureSettings
    channels: int
    network: FeatureNetwork
    standardise: Standardisation
    compute: Compute

    def __call__(self, images: Tensor) -> Tensor:
        return self.standardise(extract(self.network, images, self.compute))

    def probabilities(self, images: Tensor) -> Tensor | None:
        """(N, classes) float64, or None."""
        if not isinstance(self.network, GivesProbabilities):
            return None
        return as_probabilities(extract(self.network, images, self.compute, output="probabilities"))


def load_embedding(directory: Path, compute: Compute) -> Embedding:
    """The network that a features step wrote to `directory`, and its scale. Raises InputError where they are
    damaged."""
    said = read_record(directory / "features.json", FeatureDescription, CheckpointError)
    settings = parse_features(said.settings)
    network = load_features(settings, directory, said.channels)
    file = directory / "scale.safetensors"
    try:
        scale, _ = read_tensors(file)
        require_finite(scale)
        mean, std = scale["mean"], scale["std"]
        if (mean.shape, std.shape) != ((said.dimensions,), (said.dimensions,)):
            raise ValueError(
                f"it is of shape {tuple(mean.shape)} and {tuple(std.shape)}, not ({said.dimensions},)"
            )
    except (KeyError, ValueError) as problem:
        raise CheckpointError(
            f"{file}: not the scale of features ({one_line(problem, 160)}). Run the audit again."
        ) from None
    return Embedding(settings, said.channels, network, Standardisation(mean, std), compute)
