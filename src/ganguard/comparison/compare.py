"""Every metric of one set of images, by itself or against another, as records with their spread.

The spread is the standard error that comes of measuring so many images and no more. It says nothing of how
another copy, or another purchase, would differ: that is what seeds are for.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.base.seeds import derived_seed, torch_generator
from ganguard.metrics import (
    Balls,
    GaussianStatistics,
    NiqeModel,
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
    psnr,
    ssim,
)
from ganguard.metrics.bootstrap import bootstrap_error
from ganguard.metrics.frechet import FEWEST_ROWS
from ganguard.metrics.ndb_jsd import Bins, compare_bins
from ganguard.metrics.niqe import SMALLEST_BLOCK, niqe_block
from ganguard.metrics.prdc import memberships
from ganguard.results.records import Against, Measurement, Subject

NEIGHBOURS = 5  # k of precision, recall, density and coverage
LINE_POINTS, LINES = (
    3,
    10,
)  # sizes that FD infinity's line is fitted to in each bootstrap replicate, and how many of these
# of features: with fewer, the smallest parts that the line goes through are no Gaussians of their rank
ROWS_A_DIMENSION = 20
SUBSETS, SUBSET = 20, 1000  # of rows, whose kernel distances say how much that of all varies
BINS = 100  # of NDB
FEWEST_A_BIN = 5  # rows a bin: with fewer, no share of a bin can be told from another
REDRAWN = 200  # histograms that NDB's spread is taken from
SPLITS = 10  # of the inception score
SMALLEST_PIQE_SIDE = 16  # pixels: one block
NIQE_IMAGES = 1000  # that are judged by NIQE
Value = tuple[float, float | None]  # and its spread


def compare(
    subject: Subject, measured: Balls, against: Balls, name: Against, draw: int = 0
) -> list[Measurement]:
    """Every metric of one set's features against another's, as records that do not say yet whose attack it
    was."""
    x, y = measured.points, against.points
    values = {"frechet_distance": _frechet(x, y)}
    if min(len(x), len(y)) >= max(FEWEST_ROWS, ROWS_A_DIMENSION * x.shape[1]):
        values["frechet_distance_infinity"] = _frechet_infinity(x, y)
    values["kernel_distance"] = kernel_distance_full(x, y), kernel_error(x, y)
    found = memberships(against, measured, k=NEIGHBOURS)
    scores, errors = found.scores(), found.errors()
    for metric in ("precision", "recall", "density", "coverage"):
        values[metric] = getattr(scores, metric), getattr(errors, metric)
    return _records(subject, values, name, len(x), len(y), draw)


def frechet_record(subject: Subject, x: Tensor, y: Tensor, name: Against, draw: int) -> Measurement:
    """The Fréchet distance alone, without a spread: for one of many that have a spread together."""
    return _records(
        subject, {"frechet_distance": (frechet_distance(x, y), None)}, name, len(x), len(y), draw
    )[0]


def pixel_bins(images: Tensor) -> Bins | None:
    """The bins of images (N, C, H, W) uint8 by their pixels; None where they are too few, or too many are
    alike."""
    x = images.flatten(1)
    if len(x) < FEWEST_A_BIN * BINS or len(x.unique(dim=0)) < BINS:
        return None
    return Bins.fit(x, BINS)


def compare_pixels(
    subject: Subject, measured: Tensor, against: Bins | None, name: Against, draw: int = 0
) -> list[Measurement]:
    """NDB and JSD of images (N, C, H, W) uint8 against the bins of others; none without bins, or with too few
    images."""
    if against is None or len(measured) < FEWEST_A_BIN * BINS:
        return []
    found = compare_bins(against.counts.numpy(), against.count(measured.flatten(1)))
    generator = np.random.default_rng(derived_seed(0, "histograms"))
    in_x, in_y = (
        generator.multinomial(sum(counts), np.array(counts) / sum(counts), REDRAWN)
        for counts in (found.reference_counts, found.query_counts)
    )
    drawn = [compare_bins(of_x, of_y) for of_x, of_y in zip(in_x, in_y, strict=True)]
    values: dict[str, Value] = {
        "ndb": (found.share, float(np.std([again.share for again in drawn]))),
        "jsd": (found.jsd, float(np.std([again.jsd for again in drawn]))),
    }
    return _records(subject, values, name, len(measured), int(against.counts.sum()), draw)


def by_itself(
    subject: Subject, images: Tensor, probabilities: Tensor | None, natural: NiqeModel | None, draw: int = 0
) -> list[Measurement]:
    """What is measured of one set of images (N, C, H, W) uint8: their inception score, where a network gives
    the probabilities (N, K) of classes; their PIQE, where they are large enough; and, beside the model
    `natural`, the NIQE of those among the first 1,000 that have texture."""
    values: dict[str, Value] = {}
    if probabilities is not None and len(probabilities) >= SPLITS:
        score = inception_score(probabilities, splits=SPLITS)
        values["inception_score"] = score.mean, score.std / math.sqrt(SPLITS)
    if min(images.shape[2:]) >= SMALLEST_PIQE_SIDE:
        scores = piqe(images).double()
        values["piqe"] = _mean(scores)
    found = _records(subject, values, "nothing", len(images), 0, draw)
    if natural is not None:
        judged = images[:NIQE_IMAGES]
        judged = judged[has_texture(judged, natural)]
        if len(judged):
            found += _records(
                subject, {"niqe": _mean(niqe(judged, natural))}, "nothing", len(judged), 0, draw
            )
    return found


def compare_pairs(subject: Subject, measured: Tensor, undefended: Tensor) -> list[Measurement]:
    """PSNR and SSIM of images (N, C, H, W) uint8 to those of the same codes that no defence changed. Pairs
    that are equal have no PSNR, and are left out of it."""
    values: dict[str, Value] = {"ssim": _mean(ssim(measured, undefended))}
    ratios = psnr(measured, undefended)
    if len(finite := ratios[ratios.isfinite()]):
        values["psnr"] = _mean(finite)
    return _records(subject, values, "undefended", len(measured), len(undefended), 0)


def natural_model(images: Tensor) -> NiqeModel | None:
    """The NIQE model of real images (N, C, H, W) uint8; None where they are too small, too few or too flat
    for one."""
    block_size = niqe_block(images.shape)
    if block_size < SMALLEST_BLOCK:
        return None
    try:
        return fit_niqe(images, block_size=block_size)
    except MetricError:
        return None


def compare_with_training(
    subject: Subject, measured: Tensor, trained_on: Tensor, fresh: Tensor, name: Against = "purchase"
) -> list[Measurement]:
    """Does a copy replay what it was trained on? Features measured (N, D) beside the latter's (M, D), M at
    least 2, and beside `fresh`, of images of the same origin that the adversary never saw."""
    found = memorisation(trained_on, measured, held_out=fresh)
    share = found.authentic
    values: dict[str, Value] = {"authenticity": (share, math.sqrt(share * (1 - share) / len(measured)))}
    if found.held_out is not None and found.distance_ratio is not None:
        error = bootstrap_error(
            lambda a, b: (a.median() / b.median()).item(), found.distances, found.held_out.distances
        )
        values["nearest_distance_ratio"] = found.distance_ratio, error if math.isfinite(error) else None
    return _records(subject, values, name, len(measured), len(trained_on), 0)


def _mean(scores: Tensor) -> Value:
    """One image alone does not say how much others would differ."""
    spread = (scores.std(correction=0) / len(scores) ** 0.5).item() if len(scores) > 1 else None
    return scores.mean().item(), spread


def _frechet(x: Tensor, y: Tensor) -> Value:
    def of(a: Tensor, b: Tensor) -> float:
        return frechet_distance(GaussianStatistics.of(a), GaussianStatistics.of(b))

    return frechet_distance(x, y), bootstrap_error(of, x, y)


def _frechet_infinity(x: Tensor, y: Tensor) -> Value:
    def of(a: Tensor, b: Tensor) -> float:
        return frechet_distance_infinity(a, b, points=LINE_POINTS)

    return frechet_distance_infinity(x, y), bootstrap_error(of, x, y, replicates=LINES)


def kernel_error(x: Tensor, y: Tensor) -> float | None:
    """Of the kernel distance of all of x (N, D) and y (M, D), N and M at least 4, or it is None: the spread
    between subsets, which falls with the root of their size (Politis & Romano 1994)."""
    fewest = min(len(x), len(y))
    size = min(SUBSET, fewest // 2)
    if size < 2:
        return None
    return kernel_distance(x, y, subsets=SUBSETS, subset_size=size).std * math.sqrt(size / fewest)


def _records(
    subject: Subject, values: dict[str, Value], name: Against, images: int, compared: int, draw: int
) -> list[Measurement]:
    def records() -> Iterator[Measurement]:
        for metric, (value, spread) in values.items():
            yield Measurement(
                subject=subject,
                draw=draw,
                metric=metric,
                against=name,
                value=rounded_to_zero(value),
                spread=None if spread is None else rounded_to_zero(spread),
                images=images,
                compared=compared,
            )

    return list(records())


def rounded_to_zero(value: float) -> float:
    """A number as records hold it: what rounding left of a 0 is 0."""
    return 0.0 if abs(value) < 1e-100 else float(value)


def in_no_order(rows: Tensor) -> Tensor:
    """Rows (N, ...) in an order that is drawn, and always the same: real images lie class by class, and what
    is measured of the first of them, or of one stretch after another, would be of a few classes."""
    return rows[torch.randperm(len(rows), generator=torch_generator(0, "in no order"))]


def as_probabilities(rows: Tensor) -> Tensor:
    """Rows (N, K) of a softmax in float32, each with sum 1 in float64."""
    rows = rows.double()
    return rows / rows.sum(1, keepdim=True)
