"""From images to the features that distances are computed of, on the scale of an audit."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from ganguard.base.codecs import read_tensors, require_finite
from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError, MetricError, SpecError, unknown_name
from ganguard.base.images import colours_of
from ganguard.base.settings import Plain, Positive, Sparse, one_line, read_record, read_yaml
from ganguard.metrics.features import FEATURES, pretrained
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
    """Takes images (N, C, H, W) uint8 to standardised features (N, D), and to class probabilities.

    Attributes:
        settings: of the network.
        channels: C of the images.
    """

    settings: FeatureSettings
    channels: int
    network: FeatureNetwork
    standardise: Standardisation
    compute: Compute

    def __call__(self, images: Tensor) -> Tensor:
        return self.standardise(extract(self.network, images, self.compute))

    def probabilities(self, images: Tensor) -> Tensor | None:
        """Return class probabilities (N, K) float64 of images; None if the network has none."""
        if not isinstance(self.network, GivesProbabilities):
            return None
        return as_probabilities(extract(self.network, images, self.compute, output="probabilities"))


def as_probabilities(rows: Tensor) -> Tensor:
    """Return rows (N, K) of a softmax in float32 with sums of 1 in float64."""
    rows = rows.double()
    return rows / rows.sum(1, keepdim=True)


def load_embedding(directory: Path, compute: Compute) -> Embedding:
    """Load the network and the scale that a features step wrote. Raises InputError if they are damaged."""
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


class FeatureDescription(Sparse):
    """The contents of features.json, which describes a feature network.

    Attributes:
        channels: of its images.
        dimensions: D of its features.
        held_out_accuracy: of a classifier on the reference split; None for other networks.
        note: what to know of the scale, such as too few images; empty if nothing.
        classes: names of a classifier's classes, in the order of its probabilities; empty, and then left out,
            if it knows none or they have no names.
    """

    settings: Plain
    channels: Positive
    dimensions: Positive
    held_out_accuracy: Annotated[float, Field(ge=0, le=1)] | None
    note: str = ""
    classes: tuple[str, ...] = ()
    unsaid: ClassVar[frozenset[str]] = frozenset({"classes"})


def class_names_of(features: str) -> tuple[str, ...]:
    """Return what the classifier of an audit's features calls its classes; () if it does not say, or the text
    names other features. Raises CheckpointError if they are damaged."""
    path = Path(features) / "features.json"
    return read_record(path, FeatureDescription, CheckpointError).classes if path.is_file() else ()


def network_of(
    features: str, channels: int, compute: Compute
) -> tuple[FeatureSettings, FeatureNetwork, Standardisation | None]:
    """Return the network that a text names, and its scale, which only the network of an audit has.

    Args:
        features: the directory of an audit's features, a network's name, or a YAML mapping.
        channels: of the images.

    Raises InputError if there is no such network, or if it must be trained first.
    """
    if (Path(features) / "features.json").is_file():
        embedding = load_embedding(Path(features), compute)
        if embedding.channels != colours_of(channels):
            raise SpecError(
                f"{features}: made for images of {embedding.channels} channels; these have {channels}. "
                "Choose other features."
            )
        return embedding.settings, embedding.network, embedding.standardise
    mapping = features.lstrip().startswith("{")
    if not mapping and features not in (pretrained.WORD, *FEATURES.table()):
        known = unknown_name("feature network", features, list(FEATURES.table()))
        raise SpecError(f"{known}. Or give the `features` directory of an audit.")
    settings = parse_features(read_yaml(features, "--features") if mapping else features)
    if settings.learns_labels:
        raise MetricError(
            f"{settings.kind} must be trained first. Give the `features` directory of an audit that used it."
        )
    return settings, load_features(settings, Path(), channels), None


def class_probabilities(network: FeatureNetwork, compute: Compute) -> Callable[[Tensor], Tensor]:
    """Return a function from images (N, C, H, W) uint8 to class probabilities (N, K) float64.

    The function raises MetricError if the network knows no classes.
    """

    def told(images: Tensor) -> Tensor:
        return as_probabilities(extract(network, images, compute, output="probabilities"))

    return told
