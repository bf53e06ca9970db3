"""Two sets of images, and what the numbers that measure them share: features, balls, bins, memory."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ganguard.base.compute import Compute
from ganguard.base.errors import MetricError
from ganguard.base.progress import Progress
from ganguard.comparison.compare import BINS, NEIGHBOURS, in_no_order
from ganguard.comparison.embedding import as_probabilities
from ganguard.comparison.image_sets import ImageSet
from ganguard.comparison.natural import fit_natural, natural_value
from ganguard.comparison.pairing import Pairs
from ganguard.comparison.values import (
    Value,
    function_of,
    of_scores,
)
from ganguard.metrics import Balls, Memorisation, NdbJsd, NiqeModel
from ganguard.metrics.features.extraction import FeatureCache, extract_stream
from ganguard.metrics.features.network import FeatureNetwork, Output, Standardisation
from ganguard.metrics.features.scale_checks import outweighed_note, scale_note
from ganguard.metrics.ndb_jsd import Bins, different_rows
from ganguard.metrics.prdc import Memberships
from ganguard.results.measures import Measure


@dataclass(frozen=True)
class TwoSets:
    """Images a, and b that they are measured against.

    Images are read in parts, once for each number of pixels; b is held whole if its pixels are clustered.
    What several numbers share is computed once.

    Attributes:
        scale: of the features; "b" takes it from b, "none" leaves them as the network gives them.
        cache: stores features for later calls; None stores nothing.
        class_names: what the network calls its classes; empty if it knows none, or does not say.
    """

    a: ImageSet
    b: ImageSet
    network: FeatureNetwork
    scale: Standardisation | Literal["b", "none"]
    compute: Compute
    progress: Progress
    cache: FeatureCache | None = None
    class_names: tuple[str, ...] = ()

    def _extracted(self, images: ImageSet, output: Output = "features") -> Tensor:
        parts, total = images.parts(), images.count
        return extract_stream(
            self.network, parts, self.compute, self.progress, total=total, output=output, cache=self.cache
        )

    @cached_property
    def of_a(self) -> Tensor:
        """Features (N, D) of a, as the network gives them."""
        return self._extracted(self.a)

    @cached_property
    def unscaled(self) -> tuple[Tensor, Tensor]:
        """Features of a and of b, as the network gives them."""
        return self.of_a, self._extracted(self.b)

    @cached_property
    def features(self) -> tuple[Tensor, Tensor]:
        x, y = self.unscaled
        if self.scale == "none":
            return x, y
        scale = Standardisation.fit(y, "B", scales=x) if self.scale == "b" else self.scale
        return scale(x), scale(y)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What to know of the scale of the features when distances are read; empty if an audit gives it."""
        if self.scale != "b":
            return ()
        x, y = self.unscaled
        notes = [scale_note(y, "B")]
        if len(x) > 1:
            notes.append(outweighed_note(y, "B", x, "A"))
        return tuple(filter(None, notes))

    @cached_property
    def probabilities(self) -> Tensor:
        """Class probabilities (N, K) of a, in no order."""
        return in_no_order(self.seen_in_a)

    @cached_property
    def seen_in_a(self) -> Tensor:
        """Class probabilities (N, K) of a."""
        return as_probabilities(self._extracted(self.a, "probabilities"))

    @cached_property
    def seen_in_b(self) -> Tensor:
        """Class probabilities (M, K) of b."""
        return as_probabilities(self._extracted(self.b, "probabilities"))

    @cached_property
    def memberships(self) -> Callable[[str], Memberships]:
        """By name of the function that finds them: which images lie in the balls of which images."""
        x, y = self.features
        against, measured = Balls.around(y, "B", k=NEIGHBOURS), Balls.around(x, "A", k=NEIGHBOURS)
        return cache(lambda function: function_of(function)(against, measured, k=NEIGHBOURS))

    @cached_property
    def histograms(self) -> Callable[[str], NdbJsd]:
        """By name of the function that compares them: the images of b and of a in each bin of b's pixels."""
        rows = self.b.all().flatten(1)
        if (different := different_rows(rows)) < BINS:
            raise MetricError(
                f"ndb and jsd need at least {BINS} different images in B; got {different}. Measure against "
                "more images that differ."
            )
        bins = Bins.fit(rows, BINS)
        parts = [bins.count(part.flatten(1), "A", at_least=1) for part in self.a.parts()]
        counts = bins.counts.numpy(), np.sum(parts, axis=0)
        return cache(lambda function: function_of(function)(*counts))

    @cached_property
    def memory(self) -> Callable[[str], Memorisation]:
        """By name of the function that measures it: how near a lies to b, its generator's training images."""
        x, y = self.features
        return cache(lambda function: function_of(function)(y, x))

    @cached_property
    def natural(self) -> NiqeModel:
        """The model of natural images, fitted to b."""
        return fit_natural(self.b)

    def of_images(self, measure: Measure) -> Value:
        score = function_of(measure.function)
        return of_scores(torch.cat([score(part) for part in self.a.parts()]))

    def of_natural(self, measure: Measure) -> Value:
        """Return a number of the images of a with texture, of which some are drawn."""
        return natural_value(function_of(measure.function), self.a, self.natural)

    @cached_property
    def pairs(self) -> Pairs:
        """Which images of a and b are pairs. Raises MetricError if that is not known."""
        return self.a.pairs_with(self.b)

    def of_pairs(self, measure: Measure) -> Value:
        """Return a number of pairs of images. Raises MetricError if it is not known which are pairs."""
        score, pairs = function_of(measure.function), self.pairs
        both = zip(self.a.at(pairs.in_a), self.b.at(pairs.in_b), strict=True)
        scores = torch.cat([score(x, y) for x, y in both])
        if not scores.isfinite().any():
            raise MetricError(
                f"A and B are equal, image by image, and {measure.title} is of those that differ. Measure "
                "another number."
            )
        return of_scores(scores)
