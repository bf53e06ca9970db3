"""Numbers of images by class, as records: of each class, and of all of them.

A number of one class has its name as the record's condition. A number of all classes has none.
"""

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from ganguard.comparison.compare import rounded_to_zero
from ganguard.metrics.classes import class_consistency, class_coverage, frechet_within_classes
from ganguard.results.measures import CONSISTENCY, COVERAGE, WITHIN
from ganguard.results.records import Against, Measurement, Subject

MOST_RECORDED = 100  # classes with records of their own: more would make results that no file holds


def compare_within_classes(
    subject: Subject,
    measured: Tensor,
    of_measured: Tensor,
    against: Tensor,
    of_against: Tensor,
    names: Sequence[str],
    name: Against,
    draw: int = 0,
) -> list[Measurement]:
    """Return the Fréchet distance between images of each class, and its mean over the classes.

    A class of which a set has fewer than two images has no distance, and then there is no mean either: it
    would look better than it is. Of more classes than MOST_RECORDED, there is the mean alone.

    Args:
        subject: which images are measured.
        measured: features (N, D) of them.
        of_measured: the class of each, (N,) int64: a place among `names`, or NO_CLASS.
        against: features (M, D) of the images that they are compared with.
        of_against: the class of each, (M,) int64.
        names: of all classes that the mean is over.
        name: what they are compared with.
        draw: as in Measurement.
    """
    found = frechet_within_classes(measured, of_measured, against, of_against, classes=len(names))
    record = partial(Measurement, subject=subject, draw=draw, metric=WITHIN, against=name)
    records = [
        record(
            value=rounded_to_zero(distance),
            spread=_error(found.errors[k]),
            images=found.sizes[k][0],
            compared=found.sizes[k][1],
            condition=names[k],
        )
        for k, distance in found.distances.items()
        if len(names) <= MOST_RECORDED
    ]
    if found.mean is None:
        return records
    images, compared = map(sum, zip(*found.sizes.values(), strict=True))
    mean = rounded_to_zero(found.mean)
    return [record(value=mean, spread=_error(found.error), images=images, compared=compared), *records]


def judge_consistency(
    subject: Subject, asked: Tensor, probabilities: Tensor, names: Sequence[str], draw: int = 0
) -> list[Measurement]:
    """Return the share of images in which a classifier sees the class that was asked for: of all, and of each
    class, if there are not more than MOST_RECORDED.

    There is none if the classifier has another number of classes than there are names: it is of other images.

    Args:
        subject: which images are measured.
        asked: class that each was asked for, (N,) int64: a place among `names`, or NO_CLASS if the classifier
            knows no such class. Those are not judged.
        probabilities: of classes, as the classifier sees them, (N, K).
        names: of the classifier's classes, K.
        draw: as in Measurement.
    """
    if probabilities.shape[1] != len(names):
        return []
    found = class_consistency(probabilities, asked)
    if found.share is None:
        return []
    record = partial(
        Measurement, subject=subject, draw=draw, metric=CONSISTENCY, against="nothing", compared=0
    )
    return [
        record(value=found.share, spread=found.error, images=found.images),
        *(
            record(value=share, spread=found.errors[k], images=found.sizes[k], condition=names[k])
            for k, share in found.shares.items()
            if len(names) <= MOST_RECORDED
        ),
    ]


def compare_coverage(
    subject: Subject, measured: Tensor, against: Tensor, name: Against, draw: int = 0
) -> list[Measurement]:
    """Return the share of the classes that a classifier sees in one set which it sees in another, too.

    It needs no labels, so copies that take none have it.

    Args:
        subject: which images are measured.
        measured: probabilities of classes of them, (N, K).
        against: those of the images whose classes are counted, (M, K).
        name: what these are.
        draw: as in Measurement.
    """
    return [
        Measurement(
            subject=subject,
            draw=draw,
            metric=COVERAGE,
            against=name,
            value=class_coverage(measured, against),
            images=len(measured),
            compared=len(against),
        )
    ]


def _error(spread: float | None) -> float | None:
    """Return a spread as records hold it."""
    return None if spread is None else rounded_to_zero(spread)
