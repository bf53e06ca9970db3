"""Any two sets of images, measured by any of the metrics: the work behind `ganguard measure`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganguard.base.compute import Compute, limit_threads
from ganguard.base.errors import MetricError, SpecError, unknown_name
from ganguard.base.progress import Progress
from ganguard.comparison.compare import NEIGHBOURS, as_probabilities, in_no_order, kernel_error
from ganguard.comparison.embedding import network_of
from ganguard.comparison.image_sets import ImageSet
from ganguard.metrics import (
    Balls,
    fit_niqe,
    frechet_distance,
    frechet_distance_infinity,
    has_texture,
    inception_score,
    kernel_distance,
    kernel_distance_full,
    memorisation,
    niqe,
    piqe,
    precision_recall_density_coverage,
    psnr,
    ssim,
)
from ganguard.metrics.features.extraction import FeatureCache, extract_stream, network_key
from ganguard.metrics.features.network import FeatureNetwork, Output, Standardisation
from ganguard.metrics.ndb_jsd import Bins, compare_bins
from ganguard.metrics.niqe import niqe_block

LARGEST_SUBSET = 1000  # rows of a subset of the kernel distance


@dataclass(frozen=True)
class TwoSets:
    """Images a, and b that they are measured against. Images are read in parts, as often as there are metrics
    that look at pixels (and b whole, where its pixels are clustered); what metrics share is computed once.

    scale: of the features; None takes it from b. cache: where features are found that were made before, and
    kept.
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
    def neighbourhoods(self) -> dict[str, float]:
        x, y = self.features
        found = precision_recall_density_coverage(
            Balls.around(y, "B", k=NEIGHBOURS), Balls.around(x, "A", k=NEIGHBOURS), k=NEIGHBOURS
        )
        return vars(found)

    @cached_property
    def histograms(self) -> dict[str, float]:
        bins = Bins.fit(torch.cat(list(self.b.parts())).flatten(1))
        counts = [bins.count(part.flatten(1), "A", at_least=1) for part in self.a.parts()]
        found = compare_bins(bins.counts.numpy(), np.sum(counts, axis=0))
        return {"ndb": found.share, "ndb_expected": found.expected_share, "jsd": found.jsd}

    def kernel(self) -> dict[str, float | None]:
        """Mean and standard deviation of subsets; of sets no larger than one, of all their rows, and its
        standard error."""
        x, y = self.features
        if min(len(x), len(y)) <= LARGEST_SUBSET:
            return {"mean": kernel_distance_full(x, y), "std": kernel_error(x, y)}
        return vars(kernel_distance(x, y, subset_size=LARGEST_SUBSET))

    def score(self) -> dict[str, float]:
        return vars(inception_score(in_no_order(as_probabilities(self._extracted(self.a, "probabilities")))))

    def memory(self) -> dict[str, float]:
        x, y = self.features
        found = memorisation(y, x)
        return {"authentic": found.authentic, "copies": found.copies, "near_copies": found.near_copies}

    def niqe(self) -> dict[str, float]:
        """Of the images of a that have texture, which the measure needs: their mean, and the share of a that
        they are."""
        model = fit_niqe(self.b.parts(), block_size=niqe_block(self.b.shape))
        scores = torch.cat([niqe(part[has_texture(part, model)], model) for part in self.a.parts()])
        if not len(scores):
            raise MetricError(
                "no image of A has texture in two of its blocks, which NIQE needs. Measure PIQE instead."
            )
        return {"mean": scores.mean().item(), "share_with_texture": len(scores) / self.a.count}

    def piqe(self) -> float:
        """Of the images of a, their mean."""
        return torch.cat([piqe(part) for part in self.a.parts()]).mean().item()

    def of_pairs(self, measure: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Of each pair of images, (N,). Raises MetricError where one set has more."""
        if self.a.count != self.b.count:
            raise MetricError(
                f"A and B must be pairs of images, as many of each; got {self.a.count:,} and "
                f"{self.b.count:,}. Set --samples."
            )
        pairs = zip(self.a.parts(), self.b.parts(), strict=True)
        return torch.cat([measure(x, y) for x, y in pairs])

    def psnr(self) -> float:
        """The mean over the pairs that differ: of equal images it is infinite. Raises MetricError where none
        do."""
        ratios = self.of_pairs(psnr)
        finite = ratios[ratios.isfinite()]
        if not len(finite):
            raise MetricError(
                "A and B are equal, image by image, and PSNR is of those that differ. Measure SSIM instead."
            )
        return finite.mean().item()


MEASURES: dict[str, Callable[[TwoSets], Any]] = {
    "frechet_distance": lambda s: frechet_distance(*s.features),
    "frechet_distance_infinity": lambda s: frechet_distance_infinity(*s.features),
    "kernel_distance": TwoSets.kernel,
    "precision": lambda s: s.neighbourhoods["precision"],
    "recall": lambda s: s.neighbourhoods["recall"],
    "density": lambda s: s.neighbourhoods["density"],
    "coverage": lambda s: s.neighbourhoods["coverage"],
    "ndb": lambda s: {"share": s.histograms["ndb"], "expected_of_equal_sets": s.histograms["ndb_expected"]},
    "jsd": lambda s: s.histograms["jsd"],
    "inception_score": TwoSets.score,
    "authentic": TwoSets.memory,
    "piqe": TwoSets.piqe,
    "niqe": TwoSets.niqe,
    "psnr": TwoSets.psnr,
    "ssim": lambda s: s.of_pairs(ssim).mean().item(),
}
"""What can be measured, by name."""


def measure_sets(
    a: ImageSet,
    b: ImageSet,
    features: str,
    metrics: str,
    compute: Compute,
    progress: Progress,
    *,
    cache: Path | None = None,
) -> dict[str, float | dict[str, float | None] | str]:
    """Metrics of images a against images b.

    features: the directory of an audit's features, or a network that needs no training, by name or as a YAML
    mapping, scaled by
    b. metrics: names out of MEASURES with commas between, or "all" among them: then one that refuses these
    sets says why in its place. cache: a directory in which features are kept, by the content of images and
    network. Raises InputError where the two sets do not fit each other, the features or a metric.
    """
    names = [name.strip() for name in metrics.split(",")]
    known = ["all", *MEASURES]
    for name in names:
        if name not in known:
            raise SpecError(unknown_name("metric", name, known))
    if every := "all" in names:
        names = list(MEASURES)
    if a.shape != b.shape:
        raise MetricError(
            f"images of {a.shape} and {b.shape} (C, H, W) cannot be compared. Set --size for folders."
        )
    settings, network, scale = network_of(features, a.shape[0], compute)
    kept = None if cache is None else FeatureCache(cache, network_key(settings, network, compute))
    sets = TwoSets(a, b, network, scale, compute, progress, kept)
    values: dict[str, float | dict[str, float | None] | str] = {}
    with limit_threads(compute.threads):
        for done, name in enumerate(names, 1):
            try:
                values[name] = MEASURES[name](sets)
            except MetricError as problem:
                if not every:
                    raise
                values[name] = f"not measured: {problem}"
            progress(done, len(names), name)
    return values
