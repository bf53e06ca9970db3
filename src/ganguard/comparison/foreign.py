"""The Fréchet distance to statistics that somebody else computed: mean and covariance of features."""

from dataclasses import dataclass
from pathlib import Path

from ganguard.base.compute import Compute, limit_threads
from ganguard.base.errors import MetricError, SpecError
from ganguard.base.progress import Progress
from ganguard.comparison.embedding import network_of
from ganguard.comparison.image_sets import ImageSet
from ganguard.comparison.measure_sets import Measured
from ganguard.comparison.metric_names import named_metrics
from ganguard.comparison.values import Value
from ganguard.data.npz import NpzMoments
from ganguard.metrics import GaussianStatistics, frechet_distance
from ganguard.metrics.features.extraction import FeatureCache, extract_stream, network_key
from ganguard.results.measured import NetworkRecord
from ganguard.results.measures import DISTANCE, UNSCALED_DISTANCE

ALLOWED = (DISTANCE, UNSCALED_DISTANCE)  # of statistics they are one number: nothing is scaled
SAME_NETWORK = (
    "features and statistics must come of one network, with equal weights and preprocessing, which nothing "
    "here can check but their number of dimensions"
)


@dataclass(frozen=True)
class Foreign:
    """Statistics of features, without their images.

    name: of their file.
    """

    name: str
    statistics: GaussianStatistics

    @staticmethod
    def of(name: str, found: NpzMoments) -> "Foreign":
        """Return the statistics of a file. Raises MetricError, with the file's name, if they are none."""
        try:
            return Foreign(name, GaussianStatistics.of_moments(found.mean, found.covariance))
        except MetricError as problem:
            raise MetricError(f"{name}: {problem}") from None


def measure_foreign(
    a: ImageSet | Foreign,
    b: ImageSet | Foreign,
    features: str | None,
    metrics: str,
    compute: Compute,
    progress: Progress,
    *,
    cache: Path | None = None,
) -> Measured:
    """Return the Fréchet distance between two sets, of which one or both are statistics.

    The features of images are taken as the network gives them, without a scale of ours, as the statistics
    are. The distance has no spread: only one side could be drawn again.

    Args:
        features: the network of the images' features, named as for `measured_sets`.
        metrics: names out of ALLOWED, or "all" for both.
        cache: a directory in which features are kept.

    Raises:
        SpecError: another number was named, or no network is, and one is needed.
        MetricError: the network's features have another number of dimensions than the statistics.
    """
    names, every = named_metrics(metrics)
    of = " and ".join(side.name for side in (a, b) if isinstance(side, Foreign))
    others = {name: f"{of}: only mean and covariance are known" for name in names if name not in ALLOWED}
    if others and not every:
        raise SpecError(
            f"{next(iter(others))} cannot be measured: of {of} only mean and covariance are known. They "
            f"allow --metrics {UNSCALED_DISTANCE}."
        )
    network, sides = None, list[GaussianStatistics]()
    with limit_threads(compute.threads):
        for side in (a, b):
            if isinstance(side, Foreign):
                sides.append(side.statistics)
            else:
                found, network = _statistics(side, features, of, compute, progress, cache)
                sides.append(found)
        widths = [len(side.mean) for side in sides]
        if widths[0] != widths[1]:
            raise MetricError(
                f"A has features of {widths[0]:,} dimensions, B of {widths[1]:,}: they are of different "
                "networks. Give --features the network that the statistics were made with."
            )
        value = Value(frechet_distance(*sides), None)
    values = {name: value for name in names if name in ALLOWED}
    return Measured(values, others, network, notes=(SAME_NETWORK,))


def _statistics(
    images: ImageSet,
    features: str | None,
    of: str,
    compute: Compute,
    progress: Progress,
    cache: Path | None,
) -> tuple[GaussianStatistics, NetworkRecord]:
    if features is None:
        raise SpecError(
            f"{of}: statistics of features, which do not say of which network. Name it, such as "
            "--features inception for those of pytorch-fid."
        )
    settings, network, _ = network_of(features, images.shape[0], compute)
    kept = None if cache is None else FeatureCache(cache, network_key(settings, network, compute))
    rows = extract_stream(network, images.parts(), compute, progress, total=images.count, cache=kept)
    said = NetworkRecord(
        settings=settings.model_dump(mode="json"), dimensions=rows.shape[1], scaled_by="nothing"
    )
    return GaussianStatistics.of(rows), said
