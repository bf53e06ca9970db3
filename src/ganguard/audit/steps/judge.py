"""The feature network of an adversary's own judge, made from nothing but the real images that it holds.

It is another network than the one that grades: a judge that saw what the grader sees would choose what the
grader likes.
"""

from pathlib import Path

from torch import Tensor

from ganguard.audit.spec.judge import JUDGE_OF_ALL
from ganguard.audit.steps.judge_classes import classes_to_learn, require_classes
from ganguard.base.cache import tensor_digest, write_json, write_tensors
from ganguard.base.compute import Compute
from ganguard.base.images import colours_of
from ganguard.base.labels import Labels
from ganguard.base.seeds import derived_seed, seeded_weights
from ganguard.comparison.embedding import Embedding, FeatureDescription, load_embedding
from ganguard.metrics.features.classifier import WEIGHTS, Classifier
from ganguard.metrics.features.network import FeatureSettings, Standardisation, extract, load_features
from ganguard.training.supervised import train_classifier

_FOLDER = "judge"


def write_judge(
    settings: FeatureSettings | None,
    directory: Path,
    own: Tensor,
    everything: Tensor,
    labels: Labels | None,
    compute: Compute,
    *,
    seed: int,
) -> str:
    """Make the network below the directory of a known step, and return a digest of its weights.

    Args:
        settings: the network; None takes a small classifier, or a random network if there are no classes.
        directory: of the step.
        own: the real images (m, C, H, W) uint8 that the adversary trains with.
        everything: all that it holds, which give the features their scale.
        labels: the classes of `own`; None without any.
        compute: device type and threads.
        seed: of the adversary.

    Raises MetricError if a classifier is wanted, and there are no two classes to learn.
    """
    own_choice = Classifier(width=24, dimensions=48, steps=300) if classes_to_learn(labels) else JUDGE_OF_ALL
    chosen = settings or own_choice
    there = directory / _FOLDER
    there.mkdir(exist_ok=True)
    if isinstance(chosen, Classifier):
        learnt = require_classes(labels)
        with seeded_weights(derived_seed(seed, "judge")):
            network = chosen.untrained(colours_of(own.shape[1]), len(learnt.names))
        rows = own if labels is None else own[labels.numbers >= 0]
        trained = derived_seed(seed, "judge")
        train_classifier(network, rows, learnt.numbers, steps=chosen.steps, seed=trained, compute=compute)
        write_tensors(there / WEIGHTS, network.cpu().state_dict())
    network = load_features(chosen, there, own.shape[1])
    scale = Standardisation.fit(extract(network, everything, compute), "the adversary's own set")
    write_tensors(there / "scale.safetensors", {"mean": scale.mean, "std": scale.std})
    said = FeatureDescription(
        settings=chosen.model_dump(mode="json"),
        channels=colours_of(own.shape[1]),
        dimensions=len(scale.mean),
        held_out_accuracy=None,
    )
    write_json(there / "features.json", said.model_dump(mode="json"))
    return tensor_digest({**network.state_dict(), "scale/mean": scale.mean, "scale/std": scale.std})


def read_judge(known: Path, compute: Compute) -> Embedding:
    """Return the network that a known step wrote."""
    return load_embedding(known / _FOLDER, compute)
