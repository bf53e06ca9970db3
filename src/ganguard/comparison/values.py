"""Compute each number of the table of measures, with its spread.

The spread is the standard error due to the number of images measured. It does not say how much another copy,
or another purchase, would differ: that is what seeds are for.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.base.seeds import derived_seed
from ganguard.metrics import Memorisation, NdbJsd
from ganguard.metrics.bootstrap import bootstrap_error
from ganguard.metrics.frechet_error import frechet_error, frechet_infinity_error
from ganguard.metrics.inception_score import inception_score_error
from ganguard.metrics.kernel_error import kernel_error
from ganguard.metrics.parts import variance_from_parts
from ganguard.metrics.prdc import Memberships
from ganguard.results.measures import MEASURES, Measure, Of, Spread

REDRAWN = 64  # partitions of histograms that the spread of NDB and JSD is taken from
SPLITS = 10  # of the inception score


class Value(NamedTuple):
    """A number as it was measured.

    Attributes:
        spread: its standard error; None if it is unknown.
        images: how many images it is of; None if it is of all images of the set.
    """

    value: float
    spread: float | None
    images: int | None = None


@cache
def function_of(measured_by: str) -> Callable[..., Any]:
    """Return the function that "module:function" names."""
    module, _, name = measured_by.partition(":")
    return getattr(import_module(module), name)


def audited(of: Of) -> list[Measure]:
    """Return the numbers that audits compute from such inputs."""
    return [measure for measure in MEASURES.values() if measure.of == of and measure.audited]


def of_features(measure: Measure, x: Tensor, y: Tensor) -> Value:
    """Return a number of features (N, D), measured against features (M, D)."""
    function = function_of(measure.function)
    found = function(x, y)
    value = getattr(found, measure.part) if measure.part else found
    return Value(value, _ERRORS[measure.spread](function, x, y))


def of_one(measure: Measure, x: Tensor) -> Value:
    """Return a number of features (N, D) of one set. Its spread is not known."""
    return Value(function_of(measure.function)(x), None)


def of_balls(measure: Measure, found: Memberships) -> Value:
    """Return one of the shares that memberships hold."""
    errors = found.errors()
    return Value(
        getattr(found.scores(), measure.part), None if errors is None else getattr(errors, measure.part)
    )


@dataclass(frozen=True)
class Histograms:
    """Results of comparing two histograms.

    Attributes:
        counted: of the histograms of the images.
        halves: of two halves of the images of both, (REDRAWN, 2).
        quarters: of four quarters, (REDRAWN, 4).
    """

    counted: NdbJsd
    halves: tuple[tuple[NdbJsd, ...], ...]
    quarters: tuple[tuple[NdbJsd, ...], ...]


def compare_histograms(measured_by: str, in_reference: np.ndarray, in_query: np.ndarray) -> Histograms:
    """Compare numbers of images in each bin, (bins,) int64 each, and those of REDRAWN partitions of both."""
    compare = function_of(measured_by)
    generator = np.random.default_rng(derived_seed(0, "histograms"))

    def halved(sets: list[np.ndarray]) -> list[np.ndarray]:
        firsts = [generator.multivariate_hypergeometric(counts, counts.sum() // 2) for counts in sets]
        return [part for counts, of in zip(sets, firsts, strict=True) for part in (of, counts - of)]

    halves: list[tuple[NdbJsd, ...]] = []
    quarters: list[tuple[NdbJsd, ...]] = []
    for _ in range(REDRAWN):
        of_x, of_y = halved([in_reference]), halved([in_query])
        halves.append(tuple(map(compare, of_x, of_y)))
        quarters.append(tuple(map(compare, halved(of_x), halved(of_y))))
    return Histograms(compare(in_reference, in_query), tuple(halves), tuple(quarters))


def of_bins(measure: Measure, found: Histograms) -> Value:
    """Return a number of two histograms, with what halves and quarters say of its spread.

    The variance of a divergence that is noise falls with the square of the size, that of a share of tests
    hardly falls.
    """
    halves, quarters = (
        torch.tensor([[[getattr(each, measure.part)] for each in parts] for parts in of])
        for of in (found.halves, found.quarters)
    )
    variance = variance_from_parts(halves, quarters, least=0.25, most=1.0).item()
    return Value(getattr(found.counted, measure.part), math.sqrt(variance))


def of_probabilities(measure: Measure, probabilities: Tensor) -> Value:
    """Return a number of class probabilities (N, K), which lie in no order."""
    score = function_of(measure.function)(probabilities, splits=SPLITS)
    return Value(score.mean, inception_score_error(probabilities, splits=SPLITS))


def of_scores(scores: Tensor, images: int | None = None) -> Value:
    """Return the mean of the finite scores among scores (N,) of images or pairs.

    The mean of a single score has no spread. Raises MetricError if no score is finite.
    """
    finite = scores[scores.isfinite()].double()
    if not len(finite):
        raise MetricError("no image or pair has a finite score. Measure other images.")
    spread = (finite.std(correction=0) / len(finite) ** 0.5).item() if len(finite) > 1 else None
    return Value(finite.mean().item(), spread, images)


def of_memory(measure: Measure, found: Memorisation) -> Value | None:
    """Return a number of how near images lie to training images; None if it is not defined for them."""
    value = getattr(found, measure.part)
    if value is None:
        return None
    errors = found.errors()
    return Value(value, None if errors is None else getattr(errors, measure.part))


_ERRORS: dict[Spread, Callable[[Callable[..., float], Tensor, Tensor], float | None]] = {
    "bootstrap": bootstrap_error,
    "moments": lambda _, x, y: frechet_error(x, y),
    "lines": lambda _, x, y: frechet_infinity_error(x, y),
    "kernels": lambda _, x, y: kernel_error(x, y),
    "none": lambda *_: None,
}
"""The standard errors of numbers of features."""
