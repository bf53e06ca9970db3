"""Measure any two sets of images, by any number that needs no third set: what `ganguard measure` does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ganguard.base.compute import Compute, limit_threads
from ganguard.base.errors import MetricError, SpecError
from ganguard.base.progress import Progress
from ganguard.comparison.embedding import class_names_of, network_of
from ganguard.comparison.image_sets import ImageSet
from ganguard.comparison.metric_names import named_metrics
from ganguard.comparison.pairing import How
from ganguard.comparison.sets_by_class import consistency, coverage, within_classes
from ganguard.comparison.two_sets import TwoSets
from ganguard.comparison.values import (
    Value,
    of_balls,
    of_bins,
    of_features,
    of_memory,
    of_one,
    of_probabilities,
)
from ganguard.metrics.features.clip import ClipNetwork
from ganguard.metrics.features.extraction import FeatureCache, network_key
from ganguard.metrics.features.network import Standardisation
from ganguard.results.measured import NetworkRecord
from ganguard.results.measures import MEASURES, Measure, Of

ScaleName = Literal["audit", "b", "none"]
"""What features are scaled by: the audit that they are from, images b, or nothing, as published ones are."""
_OF_ONE_SET = ("probabilities", "images", "natural images", "unscaled features of one set", "asked classes")


def _of_clip(sets: TwoSets, measure: Measure) -> Value:
    """Return a number of CLIP's embeddings. Raises MetricError if another network was chosen."""
    if not isinstance(sets.network, ClipNetwork):
        raise MetricError(f"{measure.name} is of CLIP's embeddings. Set --features clip.")
    return of_features(measure, *sets.unscaled)


KINDS: dict[Of, Callable[[TwoSets, Measure], Value | None]] = {
    "features": lambda sets, measure: of_features(measure, *sets.features),
    "unscaled features": lambda sets, measure: of_features(measure, *sets.unscaled),
    "unscaled features of one set": lambda sets, measure: of_one(measure, sets.of_a),
    "CLIP features": _of_clip,
    "balls": lambda sets, measure: of_balls(measure, sets.memberships(measure.function)),
    "bins": lambda sets, measure: of_bins(measure, sets.histograms(measure.function)),
    "probabilities": lambda sets, measure: of_probabilities(measure, sets.probabilities),
    "images": TwoSets.of_images,
    "natural images": TwoSets.of_natural,
    "pairs": TwoSets.of_pairs,
    "training images": lambda sets, measure: of_memory(measure, sets.memory(measure.function)),
    "classes": lambda sets, _: within_classes(sets),
    "asked classes": lambda sets, _: consistency(sets),
    "seen classes": lambda sets, _: coverage(sets),
}
"""How a number is computed, by what it is computed of. Those of held-out images need a third set."""


def value_of(sets: TwoSets, measure: Measure) -> Value:
    """Return a number with its spread. Raises MetricError if these sets do not allow it."""
    alone = measure.of in _OF_ONE_SET
    images = sets.a.count if alone else min(sets.a.count, sets.b.count)
    dimensions = sets.features[0].shape[1] if measure.fewest_a_dimension else 1
    if shortage := measure.shortage(images=images, dimensions=dimensions, side=min(sets.a.shape[1:])):
        raise MetricError(shortage)
    found = KINDS[measure.of](sets, measure)
    if found is None:
        raise MetricError(f"{measure.name} is not defined for these sets.")
    return found


@dataclass(frozen=True)
class Measured:
    """What was found of two sets.

    Attributes:
        values: each number that was measured, by name.
        refused: why a number was not measured, by name.
        network: the feature network and its scale; None if no features were taken.
        pairs: by what pairs were found; None if none were wanted.
        notes: what to know when the numbers are read.
    """

    values: Mapping[str, Value]
    refused: Mapping[str, str]
    network: NetworkRecord | None = None
    pairs: How | None = None
    notes: tuple[str, ...] = ()


def measured_sets(
    a: ImageSet,
    b: ImageSet,
    features: str,
    metrics: str,
    compute: Compute,
    progress: Progress,
    *,
    cache: Path | None = None,
    scale: ScaleName | None = None,
) -> Measured:
    """Return numbers of images a against images b, and how they were measured.

    Args:
        features: the directory of an audit's features, or a network that needs no training, by name or as a
            YAML mapping.
        metrics: names out of `of_two_sets` with commas between, or "all" among them.
        scale: of the features; None is that of the audit if they are from one, and otherwise of b.
        cache: a directory in which features are kept, by the content of images and network.

    Raises InputError if the two sets do not fit each other or the features, or if a number that was named,
    without "all", is not allowed.
    """
    names, every = named_metrics(metrics)
    require_same_shape(a, b)
    settings, network, audited = network_of(features, a.shape[0], compute)
    scaled_by = scale_of(scale, audited, features)
    kept = None if cache is None else FeatureCache(cache, network_key(settings, network, compute))
    sets = TwoSets(a, b, network, scaled_by, compute, progress, kept, class_names_of(features))
    values, refused = dict[str, Value](), dict[str, str]()
    with limit_threads(compute.threads):
        for done, name in enumerate(names, 1):
            try:
                values[name] = value_of(sets, MEASURES[name])
            except MetricError as problem:
                if not every:
                    raise
                refused[name] = str(problem)
            progress(done, len(names), name)
    used = None
    notes = sets.notes if "features" in vars(sets) else ()
    unscaled = scaled_by == "none" or "features" not in vars(sets)
    if "of_a" in vars(sets):
        used = NetworkRecord(
            settings=settings.model_dump(mode="json"),
            dimensions=sets.of_a.shape[1],
            scaled_by="nothing" if unscaled else "B" if scaled_by == "b" else "audit",
        )
    return Measured(values, refused, used, sets.pairs.how if "pairs" in vars(sets) else None, notes)


def scale_of(
    scale: ScaleName | None, audited: Standardisation | None, features: str
) -> Standardisation | Literal["b", "none"]:
    """Return the scale of that name. Raises SpecError for that of an audit if the features are from none."""
    if scale in ("b", "none"):
        return scale
    if audited is not None:
        return audited
    if scale == "audit":
        raise SpecError(
            f"--scale audit: {features} is no directory of an audit's features, which hold its scale. Give "
            "one, or --scale b."
        )
    return "b"


def require_same_shape(a: ImageSet, b: ImageSet) -> None:
    """Raise MetricError unless two sets have images of one shape."""
    if a.shape == b.shape:
        return
    if a.shape[1:] == b.shape[1:]:
        raise MetricError(
            f"images of A have {a.shape[0]} channels, those of B {b.shape[0]}, and they cannot be compared. "
            "--channels 3 repeats the grey, --channels 1 makes the others grey."
        )
    raise MetricError(
        f"images of A have {a.shape[2]}x{a.shape[1]} pixels, those of B {b.shape[2]}x{b.shape[1]}, and they "
        "cannot be compared. --size N, or --size WIDTHxHEIGHT, resizes images of files, and of data sets "
        "that are cut to size; others must be made in the size of the other set."
    )
