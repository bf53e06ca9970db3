"""Measure any two sets of images, by any number that needs no third set: what `ganguard measure` does."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganguard.base.compute import Compute, limit_threads
from ganguard.base.errors import MetricError, SpecError, unknown_name
from ganguard.base.progress import Progress
from ganguard.comparison.compare import BINS, NEIGHBOURS, NIQE_IMAGES, in_no_order
from ganguard.comparison.embedding import as_probabilities, network_of
from ganguard.comparison.image_sets import ImageSet
from ganguard.comparison.values import (
    Histograms,
    Value,
    compare_histograms,
    function_of,
    of_balls,
    of_bins,
    of_features,
    of_memory,
    of_probabilities,
    of_scores,
)
from ganguard.metrics import Balls, Memorisation, NiqeModel, fit_niqe, has_texture
from ganguard.metrics.features.extraction import FeatureCache, extract_stream, network_key
from ganguard.metrics.features.network import FeatureNetwork, Output, Standardisation
from ganguard.metrics.ndb_jsd import Bins
from ganguard.metrics.niqe import niqe_block
from ganguard.metrics.prdc import Memberships
from ganguard.results.measures import MEASURES, Measure, Of, of_two_sets


@dataclass(frozen=True)
class TwoSets:
    """Images a, and b that they are measured against.

    Images are read in parts, once for each number of pixels; b is held whole if its pixels are clustered.
    What several numbers share is computed once.

    Attributes:
        scale: of the features; None takes it from b.
        cache: stores features for later calls; None stores nothing.
    """

    a: ImageSet
    b: ImageSet
    network: FeatureNetwork
    scale: Standardisation | None
    compute: Compute
    progress: Progress
    cache: FeatureCache | None = None

    def _extracted(self, images: ImageSet, output: Output = "features") -> Tensor:
        parts, total = images.parts(), images.count
        return extract_stream(
            self.network, parts, self.compute, self.progress, total=total, output=output, cache=self.cache
        )

    @cached_property
    def features(self) -> tuple[Tensor, Tensor]:
        x, y = map(self._extracted, (self.a, self.b))
        scale = self.scale or Standardisation.fit(y)
        return scale(x), scale(y)

    @cached_property
    def probabilities(self) -> Tensor:
        """Class probabilities (N, K) of a, in no order."""
        return in_no_order(as_probabilities(self._extracted(self.a, "probabilities")))

    @cached_property
    def memberships(self) -> Callable[[str], Memberships]:
        """By name of the function that finds them: which images lie in the balls of which images."""
        x, y = self.features
        against, measured = Balls.around(y, "B", k=NEIGHBOURS), Balls.around(x, "A", k=NEIGHBOURS)
        return cache(lambda function: function_of(function)(against, measured, k=NEIGHBOURS))

    @cached_property
    def histograms(self) -> Callable[[str], Histograms]:
        """By name of the function that compares them: the images of b and of a in each bin of b's pixels."""
        bins = Bins.fit(torch.cat(list(self.b.parts())).flatten(1), BINS)
        parts = [bins.count(part.flatten(1), "A", at_least=1) for part in self.a.parts()]
        counts = bins.counts.numpy(), np.sum(parts, axis=0)
        return cache(lambda function: compare_histograms(function, *counts))

    @cached_property
    def memory(self) -> Callable[[str], Memorisation]:
        """By name of the function that measures it: how near a lies to b, its generator's training images."""
        x, y = self.features
        return cache(lambda function: function_of(function)(y, x))

    @cached_property
    def natural(self) -> NiqeModel:
        """The model of natural images, fitted to b."""
        return fit_niqe(self.b.parts(), block_size=niqe_block(self.b.shape))

    def of_images(self, measure: Measure) -> Value:
        score = function_of(measure.function)
        return of_scores(torch.cat([score(part) for part in self.a.parts()]))

    def of_natural(self, measure: Measure) -> Value:
        """Return a number of the images with texture among NIQE_IMAGES of a, which are drawn."""
        score = function_of(measure.function)
        parts = [part[has_texture(part, self.natural)] for part in self._some(NIQE_IMAGES)]
        scores = [score(part, self.natural) for part in parts if len(part)]
        if not scores:
            raise MetricError(
                "no image of A has texture in two of its blocks, which NIQE needs. Measure PIQE instead."
            )
        return of_scores(torch.cat(scores), sum(map(len, scores)))

    def _some(self, count: int) -> Iterator[Tensor]:
        """Yield at most `count` images of a, in parts. They are drawn, since files lie class by class."""
        taken = torch.zeros(self.a.count, dtype=torch.bool)
        taken[in_no_order(torch.arange(self.a.count))[:count]] = True
        start = 0
        for part in self.a.parts():
            if len(chosen := part[taken[start : start + len(part)]]):
                yield chosen
            start += len(part)

    def of_pairs(self, measure: Measure) -> Value:
        """Return a number of the pairs that differ. Raises MetricError if one set has more images."""
        if self.a.count != self.b.count:
            raise MetricError(
                f"A and B must be pairs of images, as many of each; got {self.a.count:,} and "
                f"{self.b.count:,}. Set --samples."
            )
        score = function_of(measure.function)
        pairs = zip(self.a.parts(), self.b.parts(), strict=True)
        scores = torch.cat([score(x, y) for x, y in pairs])
        if not scores.isfinite().any():
            raise MetricError(
                f"A and B are equal, image by image, and {measure.title} is of those that differ. Measure "
                "another number."
            )
        return of_scores(scores)

    def value(self, measure: Measure) -> Value:
        """Return a number with its spread. Raises MetricError if these sets do not allow it."""
        alone = measure.of in _OF_ONE_SET
        images = self.a.count if alone else min(self.a.count, self.b.count)
        dimensions = self.features[0].shape[1] if measure.fewest_a_dimension else 1
        if shortage := measure.shortage(images=images, dimensions=dimensions, side=min(self.a.shape[1:])):
            raise MetricError(shortage)
        found = KINDS[measure.of](self, measure)
        if found is None:
            raise MetricError(f"{measure.name} is not defined for these sets.")
        return found


_OF_ONE_SET = ("probabilities", "images", "natural images")
KINDS: dict[Of, Callable[[TwoSets, Measure], Value | None]] = {
    "features": lambda sets, measure: of_features(measure, *sets.features),
    "balls": lambda sets, measure: of_balls(measure, sets.memberships(measure.function)),
    "bins": lambda sets, measure: of_bins(measure, sets.histograms(measure.function)),
    "probabilities": lambda sets, measure: of_probabilities(measure, sets.probabilities),
    "images": TwoSets.of_images,
    "natural images": TwoSets.of_natural,
    "pairs": TwoSets.of_pairs,
    "training images": lambda sets, measure: of_memory(measure, sets.memory(measure.function)),
}
"""How a number is computed, by what it is computed of. Those of held-out images need a third set."""


def measure_sets(
    a: ImageSet,
    b: ImageSet,
    features: str,
    metrics: str,
    compute: Compute,
    progress: Progress,
    *,
    cache: Path | None = None,
) -> Mapping[str, Value | str]:
    """Return numbers of images a against images b, by name, or why these sets do not allow one.

    Args:
        features: the directory of an audit's features, or a network that needs no training, by name or as a
            YAML mapping, scaled by b.
        metrics: names out of `of_two_sets` with commas between, or "all" among them.
        cache: a directory in which features are kept, by the content of images and network.

    Raises InputError if the two sets do not fit each other or the features, or if a number that was named,
    without "all", is not allowed.
    """
    names, every = _named(metrics)
    if a.shape != b.shape:
        raise MetricError(
            f"images of {a.shape} and {b.shape} (C, H, W) cannot be compared. Set --size for folders."
        )
    settings, network, scale = network_of(features, a.shape[0], compute)
    kept = None if cache is None else FeatureCache(cache, network_key(settings, network, compute))
    sets = TwoSets(a, b, network, scale, compute, progress, kept)
    values: dict[str, Value | str] = {}
    with limit_threads(compute.threads):
        for done, name in enumerate(names, 1):
            try:
                values[name] = sets.value(MEASURES[name])
            except MetricError as problem:
                if not every:
                    raise
                values[name] = f"not measured: {problem}"
            progress(done, len(names), name)
    return values


def _named(metrics: str) -> tuple[list[str], bool]:
    """Return the names that a text lists, and whether it says "all". Raises SpecError for an unknown one."""
    names, known = [name.strip() for name in metrics.split(",")], [m.name for m in of_two_sets()]
    for name in names:
        if name not in (options := ["all", *known]):
            raise SpecError(unknown_name("metric", name, options))
    every = "all" in names
    return known if every else names, every
