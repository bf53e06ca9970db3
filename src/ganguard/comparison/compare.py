"""Every number of one set of images, by itself or against another, as records with their spread.

Each function measures what the table of measures declares of its kind of inputs, and leaves out what these
are too few or too small for.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.base.seeds import torch_generator
from ganguard.comparison.values import (
    Value,
    audited,
    function_of,
    of_balls,
    of_bins,
    of_features,
    of_memory,
    of_one,
    of_probabilities,
    of_scores,
)
from ganguard.metrics import Balls, NiqeModel, fit_niqe, frechet_distance, has_texture
from ganguard.metrics.ndb_jsd import Bins, different_rows
from ganguard.metrics.niqe import SMALLEST_BLOCK, niqe_block
from ganguard.results.measure import Of
from ganguard.results.measures import DISTANCE, MEASURES, Measure
from ganguard.results.records import Against, Measurement, Subject

NEIGHBOURS = 5  # k of precision, recall, density and coverage
BINS = 100  # of the pixels, for NDB and JSD
NIQE_IMAGES = 1000  # that are judged by NIQE


class Published(NamedTuple):
    """How standardised features are read as published ones.

    Attributes:
        unscaled: takes features (N, D) to those that the network gave.
        kinds: what numbers can be computed of two sets of them.
    """

    unscaled: Callable[[Tensor], Tensor]
    kinds: tuple[Of, ...]


def compare(
    subject: Subject,
    measured: Balls,
    against: Balls,
    name: Against,
    draw: int = 0,
    *,
    published: Published | None = None,
) -> list[Measurement]:
    """Return every number of one set's features against another's, and the published ones beside them.

    The records do not name an attack yet.
    """
    x, y = measured.points, against.points
    fewest, dimensions = min(len(x), len(y)), x.shape[1]
    wanted = [m for m in audited("features") if not m.shortage(images=fewest, dimensions=dimensions)]
    values = {m.name: of_features(m, x, y) for m in wanted}
    if published is not None:
        raw = published.unscaled(x), published.unscaled(y)
        units = [m for kind in published.kinds for m in audited(kind) if not m.shortage(images=fewest)]
        values |= {m.name: of_features(m, *raw) for m in units}
    # one call gives several numbers
    found = cache(lambda function: function_of(function)(against, measured, k=NEIGHBOURS))
    values |= {m.name: of_balls(m, found(m.function)) for m in audited("balls")}
    return _records(subject, values, name, len(x), len(y), draw)


def frechet_record(subject: Subject, x: Tensor, y: Tensor, name: Against, draw: int) -> Measurement:
    """Return the Fréchet distance alone, without a spread: one of many that have a spread together."""
    value = Value(frechet_distance(x, y), None)
    return _records(subject, {DISTANCE: value}, name, len(x), len(y), draw)[0]


def compare_with_train(subject: Subject, measured: Tensor, train: Tensor, draw: int = 0) -> Measurement:
    """Return the Fréchet distance of features (N, D) to those (M, D) of the real train split, with spread.

    It is the paper's accuracy, the distance to p_r. A model that remembers training images looks near by it.
    """
    value = of_features(MEASURES[DISTANCE], measured, train)
    return _records(subject, {DISTANCE: value}, "train", len(measured), len(train), draw)[0]


def halvings(pool: Tensor, count: int) -> list[Measurement]:
    """Return the distances between random halves of the target's images, as draws 1, 2 … `count` - 1.

    One pair of draws says little about the distance to expect. Halvings of the same images say much more, and
    nothing is bought for them.

    pool: features (2 N, D) of two draws.
    """
    found: list[Measurement] = []
    half = len(pool) // 2
    for draw in range(1, count):
        order = torch.randperm(2 * half, generator=torch_generator(draw, "halving"))
        found.append(frechet_record("target", pool[order[:half]], pool[order[half:]], "target", draw))
    return found


def pixel_bins(images: Tensor) -> Bins | None:
    """Return the bins of images (N, C, H, W) uint8 by their pixels.

    None if the images are too few for every number of bins, or too many of them are alike.
    """
    x = images.flatten(1)
    if not _binned(len(x)) or different_rows(x) < BINS:
        return None
    return Bins.fit(x, BINS)


def _binned(images: int) -> list[Measure]:
    return [m for m in audited("bins") if not m.shortage(images=images)]


def compare_pixels(
    subject: Subject, measured: Tensor, against: Bins | None, name: Against, draw: int = 0
) -> list[Measurement]:
    """Return the numbers of images (N, C, H, W) uint8 in the bins of others; none without bins."""
    if against is None or not (wanted := _binned(len(measured))):
        return []
    counts = against.counts.numpy(), against.count(measured.flatten(1))
    found = cache(lambda function: function_of(function)(*counts))
    values = {m.name: of_bins(m, found(m.function)) for m in wanted}
    return _records(subject, values, name, len(measured), int(against.counts.sum()), draw)


def by_itself(
    subject: Subject,
    images: Tensor,
    probabilities: Tensor | None,
    natural: NiqeModel | None,
    draw: int = 0,
    *,
    unscaled: Tensor | None = None,
) -> list[Measurement]:
    """Return what is measured of one set of images.

    Args:
        images: (N, C, H, W) uint8, in no order: of one class after the other, parts would be of few classes.
        probabilities: (N, K) of classes; None if the feature network gives none.
        natural: the model of natural images, by which the first NIQE_IMAGES images with texture are judged;
            None if there is none.
        unscaled: features (N, D) of a network that others have too, as it gives them; None for another one.
    """
    values: dict[str, Value] = {}
    if unscaled is not None:
        values |= {m.name: of_one(m, unscaled) for m in audited("unscaled features of one set")}
    if probabilities is not None:
        wanted = [m for m in audited("probabilities") if not m.shortage(images=len(probabilities))]
        values |= {m.name: of_probabilities(m, probabilities) for m in wanted}
    for m in audited("images"):
        if not m.shortage(images=len(images), side=min(images.shape[2:])):
            values[m.name] = of_scores(function_of(m.function)(images))
    if natural is not None:
        judged = images[:NIQE_IMAGES]
        judged = judged[has_texture(judged, natural)]
        for m in audited("natural images") if len(judged) else ():
            values[m.name] = of_scores(function_of(m.function)(judged, natural), len(judged))
    return _records(subject, values, "nothing", len(images), 0, draw)


def compare_pairs(subject: Subject, measured: Tensor, undefended: Tensor) -> list[Measurement]:
    """Return the likeness of images (N, C, H, W) uint8 to those of the same codes that no defence changed.

    Pairs with an infinite score are left out: the PSNR of equal images is infinite.
    """
    scores = {m.name: function_of(m.function)(measured, undefended) for m in audited("pairs")}
    values = {name: of_scores(found) for name, found in scores.items() if found.isfinite().any()}
    return _records(subject, values, "undefended", len(measured), len(undefended), 0)


def compare_codes(
    subject: Subject, measured: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]
) -> list[Measurement]:
    """Return how far images are from the target's images of the same codes, pair by pair.

    Args:
        measured: images (N, C, H, W) uint8, and their features (N, D).
        target: those of the target.
    """
    pixels, features = zip(measured, target, strict=True)
    scores = {m.name: function_of(m.function)(*pixels) for m in audited("codes")}
    scores |= {m.name: function_of(m.function)(*features) for m in audited("code features")}
    values = {name: of_scores(found) for name, found in scores.items()}
    return _records(subject, values, "code", len(pixels[0]), len(pixels[1]), 0)


def natural_model(images: Tensor) -> NiqeModel | None:
    """Return the NIQE model of real images (N, C, H, W) uint8; None if they are too small, few or flat."""
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
    """Return what tells whether a copy replays what it was trained on.

    Args:
        measured: features (N, D) of the copy's images.
        trained_on: features (M, D) of what it was trained on, M at least 2.
        fresh: features of images of the same origin that the adversary never saw.
    """
    found = cache(lambda function: function_of(function)(trained_on, measured, held_out=fresh))
    wanted = [*audited("training images"), *audited("held-out images")]
    every = {m.name: of_memory(m, found(m.function)) for m in wanted}
    values = {metric: value for metric, value in every.items() if value is not None}
    return _records(subject, values, name, len(measured), len(trained_on), 0)


def _records(
    subject: Subject, values: Mapping[str, Value], name: Against, images: int, compared: int, draw: int
) -> list[Measurement]:
    return [
        Measurement(
            subject=subject,
            draw=draw,
            metric=metric,
            against=name,
            value=rounded_to_zero(found.value),
            spread=None if found.spread is None else rounded_to_zero(found.spread),
            images=found.images or images,
            compared=compared,
        )
        for metric, found in values.items()
    ]


def rounded_to_zero(value: float) -> float:
    """Return a number as records hold it: what rounding left of a 0 is 0."""
    return 0.0 if abs(value) < 1e-100 else float(value)


def around(features: Tensor) -> Balls:
    """Return features (N, D) with the balls by which audits compare them: each reaches to the NEIGHBOURS-th
    neighbour."""
    return Balls.around(features, k=NEIGHBOURS)


def in_no_order(rows: Tensor) -> Tensor:
    """Return rows (N, ...) in an order that is drawn, and always the same.

    Real images lie class by class, and what is measured of the first of them, or of one stretch after
    another, would be of a few classes.
    """
    return rows[torch.randperm(len(rows), generator=torch_generator(0, "in no order"))]
