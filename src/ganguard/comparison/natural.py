"""Natural images: the model that NIQE compares with, fitted to one set, and the scores of another."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.comparison.compare import NIQE_IMAGES, in_no_order
from ganguard.comparison.image_sets import ImageSet
from ganguard.comparison.values import Value, of_scores
from ganguard.metrics import NiqeModel, fit_niqe, has_texture
from ganguard.metrics.niqe import niqe_block


def fit_natural(images: ImageSet) -> NiqeModel:
    """Return the model of natural images, fitted to a set. Raises MetricError if it does not allow that."""
    return fit_niqe(images.parts(), block_size=niqe_block(images.shape))


def natural_value(
    score: Callable[[Tensor, NiqeModel], Tensor], images: ImageSet, natural: NiqeModel
) -> Value:
    """Return a number of the images with texture among NIQE_IMAGES of a set, which are drawn.

    Raises MetricError if none of them has texture.
    """
    parts = [part[has_texture(part, natural)] for part in _some(images, NIQE_IMAGES)]
    scores = [score(part, natural) for part in parts if len(part)]
    if not scores:
        raise MetricError(
            "no image of A has texture in two of its blocks, which NIQE needs. Measure PIQE instead."
        )
    return of_scores(torch.cat(scores), sum(map(len, scores)))


def _some(images: ImageSet, count: int) -> Iterator[Tensor]:
    """Yield at most `count` images of a set, in parts. They are drawn, since files lie class by class."""
    taken = torch.zeros(images.count, dtype=torch.bool)
    taken[in_no_order(torch.arange(images.count))[:count]] = True
    start = 0
    for part in images.parts():
        if len(chosen := part[taken[start : start + len(part)]]):
            yield chosen
        start += len(part)
