"""Train the feature network if it is a classifier, and fit the scale of its features."""

from pathlib import Path

from ganguard.audit.plan.ground_work import FeaturesInputs, FeaturesSettings
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.real import Real, load_real
from ganguard.base.cache import content_key, tensor_digest, write_json, write_tensors
from ganguard.base.errors import MetricError
from ganguard.base.image_rows import ImageRows
from ganguard.base.images import colours_of
from ganguard.base.seeds import seeded_weights
from ganguard.comparison.embedding import FeatureDescription
from ganguard.metrics.features.classifier import WEIGHTS, Classifier, accuracy
from ganguard.metrics.features.extraction import extract_stream
from ganguard.metrics.features.network import (
    Standardisation,
    load_features,
    require_side,
    version_of,
)
from ganguard.metrics.features.scale_checks import scale_note
from ganguard.training.supervised import train_classifier


def run_features(call: StepCall[FeaturesSettings, FeaturesInputs[Path]]) -> Digests:
    """Train the network if it is a classifier, and fit the scale of its features on the real train split."""
    real, settings = load_real(call.inputs.real), call.settings.network
    require_side(real.images)
    held_out: float | None = None
    if isinstance(settings, Classifier):
        held_out = _train_classifier(settings, real, call)
    network = load_features(settings, call.directory, real.images.shape[1])
    train = ImageRows(real.images, real.train).parts()  # read in parts: they may exceed memory
    rows = extract_stream(network, train, call.compute)
    scale = Standardisation.fit(rows)
    write_tensors(call.directory / "scale.safetensors", {"mean": scale.mean, "std": scale.std})
    said = FeatureDescription(
        settings=settings.model_dump(mode="json"),
        channels=colours_of(real.images.shape[1]),
        dimensions=len(scale.mean),
        held_out_accuracy=held_out,
        note=scale_note(rows, "the real train split", instead=""),
        classes=real.classes if isinstance(settings, Classifier) else (),
    )
    write_json(call.directory / "features.json", said.model_dump(mode="json"))
    weights = tensor_digest({**network.state_dict(), "scale/mean": scale.mean, "scale/std": scale.std})
    # Equal weights give other features with other code, of another package's network, or other libraries.
    return {"result": content_key(weights=weights, version=version_of(settings))}


def _train_classifier(
    settings: Classifier, real: Real, call: StepCall[FeaturesSettings, FeaturesInputs[Path]]
) -> float:
    """Train a classifier on the train split, write it, and return its accuracy on the reference split."""
    if real.labels is None:
        raise MetricError(
            "features: classifier learns from labels, and the real data have none. Put every image into the "
            "subfolder of its class, or set features: random_network."
        )
    labels = real.labels
    with seeded_weights(0):
        network = settings.untrained(colours_of(real.images.shape[1]), int(labels.max()) + 1)
    train_classifier(
        network,
        real.images[real.train],
        labels[real.train],
        steps=settings.steps,
        seed=0,
        compute=call.compute,
        progress=call.progress,
    )
    write_tensors(call.directory / WEIGHTS, network.cpu().state_dict())
    return accuracy(network, real.images[real.reference], labels[real.reference], call.compute)


FEATURES = Kind(
    run_features,
    code=(
        "ganguard.base",
        "ganguard.metrics.features",
        "ganguard.training.supervised",
        "ganguard.comparison.embedding",
        "ganguard.audit.steps.real",
        "ganguard.audit.steps.features",
    ),
)
