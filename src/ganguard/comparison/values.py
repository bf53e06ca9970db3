"""Compute each number of the table of measures, with its spread.

The spread is the standard error due to the number of images measured. It does not say how much another copy,
or another purchase, would differ: that is what seeds are for.
"""

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.metrics import Memorisation, NdbJsd
from ganguard.metrics.bootstrap import bootstrap_error
from ganguard.metrics.frechet_error import frechet_error, frechet_infinity_error
from ganguard.metrics.inception_score import inception_score_error
from ganguard.metrics.kernel_error import kernel_error
from ganguard.metrics.prdc import Memberships
from ganguard.results.measures import MEASURES, Measure, Of, Spread

SPLITS = 10  # of the inception score


class Value(NamedTuple):
    """A number as it was measured.

    Attributes:
        spread: its standard error; None if it is unknown.
        images: how many images it is of; None if it is of all images of the set.
        by_class: the same number of the images of each class, by the class's name; None if there is none.
    """

    value: float
    spread: float | None
    images: int | None = None
    by_class: "Mapping[str, Value] | None" = None


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
    spread = None if errors is None else getattr(errors, measure.part)
    return Value(getattr(found.scores(), measure.part), spread or None)  # 0 would call the number certain


def of_bins(measure: Measure, found: NdbJsd) -> Value:
    """Return a number of two histograms. Its spread is not known: k-means fits the bins to the very rows that
    it counts, which no partition of the histograms shows."""
    return Value(getattr(found, measure.part), None)


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
