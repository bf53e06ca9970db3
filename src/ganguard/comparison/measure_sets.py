"""Measure any two sets of images, by any number that needs no third set: what `ganguard measure` does."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from ganguard.base.compute import Compute, limit_threads
from ganguard.base.errors import MetricError, SpecError, unknown_name
from ganguard.base.progress import Progress
from ganguard.comparison.embedding import is_of_audit, network_of
from ganguard.comparison.image_sets import ImageSet
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
from ganguard.results.measures import MEASURES, Measure, Of, of_two_sets

ScaleName = Literal["audit", "b", "none"]
"""What features are scaled by: the audit that they are from, images b, or nothing, as published ones are."""
_OF_ONE_SET = ("probabilities", "images", "natural images", "unscaled features of one set")


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


def measure_sets(
    a: ImageSet,
    b: ImageSet,
    features: str,
    metrics: str,
    compute: Compute,
    progress: Progress,
    *,
    cache: Path | None = None,
    scale: ScaleName | None = None,
) -> Mapping[str, Value | str]:
    """Return numbers of images a against images b, by name, or why these sets do not allow one.

    Args:
        features: the directory of an audit's features, or a network that needs no training, by name or as a
            YAML mapping.
        metrics: names out of `of_two_sets` with commas between, or "all" among them.
        scale: of the features; None is that of the audit if they are from one, and otherwise of b.
        cache: a directory in which features are kept, by the content of images and network.

    Raises InputError if the two sets do not fit each other or the features, or if a number that was named,
    without "all", is not allowed.
    """
    names, every = _named(metrics)
    if a.shape != b.shape:
        raise MetricError(
            f"images of {a.shape} and {b.shape} (C, H, W) cannot be compared. Set --size for folders."
        )
    settings, network, audited = network_of(features, a.shape[0], compute)
    scaled_by = scale_of(scale, audited, features)
    kept = None if cache is None else FeatureCache(cache, network_key(settings, network, compute))
    sets = TwoSets(a, b, network, scaled_by, compute, progress, kept)
    values: dict[str, Value | str] = {}
    with limit_threads(compute.threads):
        for done, name in enumerate(names, 1):
            try:
                values[name] = value_of(sets, MEASURES[name])
            except MetricError as problem:
                if not every:
                    raise
                values[name] = f"not measured: {problem}"
            progress(done, len(names), name)
    return values


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


def scale_name(scale: ScaleName | None, features: str) -> ScaleName:
    """Return the name of the scale that `measure_sets` uses."""
    return scale or ("audit" if is_of_audit(features) else "b")


def _named(metrics: str) -> tuple[list[str], bool]:
    """Return the names that a text lists, and whether it says "all". Raises SpecError for an unknown one."""
    names, known = [name.strip() for name in metrics.split(",")], [m.name for m in of_two_sets()]
    for name in names:
        if name not in (options := ["all", *known]):
            raise SpecError(unknown_name("metric", name, options))
    every = "all" in names
    return known if every else names, every
