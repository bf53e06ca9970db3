"""Numbers of images by class: how far each class is from its own, which classes occur, and whether an image
shows the class that it was asked for.

Classes are whole numbers from 0. An image of no class that counts has -1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.metrics.arrays import Features, as_features, as_rows, as_whole, require_same_width
from ganguard.metrics.frechet import frechet_distance
from ganguard.metrics.frechet_error import frechet_error
from ganguard.metrics.parts import share_error

FEWEST_ROWS = 2  # of a class, for a covariance
Labels = Tensor | np.ndarray | Sequence[int]  # (N,) whole numbers


@dataclass(frozen=True)
class WithinClasses:
    """Distances between the images of a class in one set and those in another.

    Attributes:
        distances: by class, of each that both sets have FEWEST_ROWS images of.
        errors: by class, the standard error of its distance; None if there are too few images for one.
        sizes: by class, how many images of it the two sets have.
        classes: how many classes there are in all.
    """

    distances: dict[int, float]
    errors: dict[int, float | None]
    sizes: dict[int, tuple[int, int]]
    classes: int

    @property
    def mean(self) -> float | None:
        """The mean over all classes; None if one of them has no distance: what is left without it would look
        better than it is."""
        if len(self.distances) < self.classes:
            return None
        return math.fsum(self.distances.values()) / self.classes

    @property
    def error(self) -> float | None:
        """Standard error of the mean, whose parts are of different images; None if one of them has none."""
        known = [error for error in self.errors.values() if error is not None]
        if len(known) < self.classes:
            return None
        return math.sqrt(math.fsum(error**2 for error in known)) / self.classes


@dataclass(frozen=True)
class Consistency:
    """In how many images a classifier sees the class that was asked for.

    Attributes:
        share: of the images of all classes; None if no image counts.
        error: its standard error.
        images: how many images count.
        shares, errors, sizes: the same by class.
    """

    share: float | None
    error: float | None
    images: int
    shares: dict[int, float]
    errors: dict[int, float]
    sizes: dict[int, int]


def frechet_within_classes(
    a: Features, of_a: Labels, b: Features, of_b: Labels, *, classes: int
) -> WithinClasses:
    """Return the Fréchet distances between images of one class in both sets.

    Their mean is the intra-FID of Miyato & Koyama 2018, for features of Inception. Small samples
    bias each of them upwards, and a class has fewer images than the whole: compare values of equally many.

    Raises MetricError for other shapes, labels outside -1 … classes - 1, NaN or infinity.

    Args:
        a: features (N, D).
        of_a: class of each, (N,); rows of class -1 are left out.
        b: features (M, D).
        of_b: class of each, (M,).
        classes: how many there are, at least 1.
    """
    classes = as_whole(classes, "classes", 1)
    x, y = as_features(a, "a", 1), as_features(b, "b", 1)
    require_same_width(x, y)
    of_x, of_y = _labels(of_a, "of_a", len(x), classes), _labels(of_b, "of_b", len(y), classes)
    distances, errors = dict[int, float](), dict[int, float | None]()
    sizes = dict[int, tuple[int, int]]()
    for k in range(classes):
        mine, theirs = x[of_x == k], y[of_y == k]
        sizes[k] = len(mine), len(theirs)
        if min(sizes[k]) >= FEWEST_ROWS:
            distances[k], errors[k] = frechet_distance(mine, theirs), frechet_error(mine, theirs)
    return WithinClasses(distances, errors, sizes, classes)


def class_consistency(probabilities: Features, asked: Labels) -> Consistency:
    """Return the share of images whose likeliest class is the one that was asked for.

    It is the GAN-test of Shmelkov, Schmid & Alahari 2018, with the classes that were asked for:
    a classifier of real images is tested on generated ones. It is not the classification accuracy score of
    Ravuri & Vinyals 2019, whose classifier learns from generated images and is tested on real ones.

    Raises MetricError for other shapes, labels outside -1 … K - 1, NaN or infinity.

    Args:
        probabilities: of classes, as a classifier sees them, (N, K).
        asked: class that each image was asked for, (N,); images of class -1 are not judged.
    """
    rows = as_rows(probabilities, "probabilities", 1)
    wanted = _labels(asked, "asked", len(rows), rows.shape[1])
    right = rows.argmax(1) == wanted
    by_class = {k: right[wanted == k].double() for k in wanted.unique().tolist() if k >= 0}
    sizes = {k: len(part) for k, part in by_class.items()}
    shares = {k: part.mean().item() for k, part in by_class.items()}
    errors = {k: share_error(0, share, sizes[k]) for k, share in shares.items()}
    images = sum(sizes.values())
    if not images:
        return Consistency(None, None, 0, {}, {}, {})
    share = right[wanted >= 0].double().mean().item()
    return Consistency(share, share_error(0, share, images), images, shares, errors, sizes)


def class_coverage(measured: Features, against: Features) -> float:
    """Return the share of the classes of one set's images that occur in the measured images too.

    A class occurs if it is the likeliest one of an image, as the modes of Metz et al. 2017
    are counted. So it hardly falls with the share of a class, and can only fall if images get fewer: compare
    sets of equal size.

    Raises MetricError for other shapes, different K, NaN or infinity.

    Args:
        measured: probabilities of classes, as a classifier sees them, of the measured images, (N, K).
        against: those of the other set, (M, K).
    """
    x, y = as_rows(measured, "measured", 1), as_rows(against, "against", 1)
    require_same_width(x, y)
    there = set(y.argmax(1).tolist())
    return len(there & set(x.argmax(1).tolist())) / len(there)


def _labels(labels: Labels, name: str, rows: int, classes: int) -> Tensor:
    """Return labels as (rows,) int64. Raises MetricError if they are not whole numbers from -1 to classes -
    1, one a row."""
    found = torch.as_tensor(labels)
    whole = not found.is_floating_point() and not found.is_complex() and found.dtype != torch.bool
    if not whole or tuple(found.shape) != (rows,):
        raise MetricError(
            f"{name} must be a whole number for each of {rows} rows; got {found.dtype} {tuple(found.shape)}."
        )
    found = found.long()
    if len(found) and not -1 <= int(found.min()) <= int(found.max()) < classes:
        raise MetricError(
            f"{name} must be classes from 0 to {classes - 1}, or -1 for none; got {int(found.min())} to "
            f"{int(found.max())}."
        )
    return found
