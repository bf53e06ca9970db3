"""Choose points that cover others best."""

import torch
from torch import Tensor

AT_ONCE = 256  # centres whose distances to all points are taken at once


def k_centre(points: Tensor, centres: Tensor, count: int) -> Tensor:
    """Choose points greedily, each the farthest from all centres and from those chosen before it.

    Sener & Savarese 2018, "Active Learning for Convolutional Neural Networks: A Core-Set Approach", Algorithm
    1: the largest distance of a point to its nearest centre is at most twice the least that is possible. The
    first `n` points of a larger choice are the choice of `n` points.

    Args:
        points: (N, D), those to choose from.
        centres: (M, D), those that are there already, one or more.
        count: how many to choose, at most N.

    Returns:
        Rows of `points`, (count,) int64, in the order in which they are chosen. No row comes twice.
    """
    nearest = torch.full((len(points),), torch.inf, dtype=points.dtype)
    for some in centres.split(AT_ONCE):
        nearest = torch.minimum(nearest, torch.cdist(points, some).amin(1))
    chosen = torch.empty(count, dtype=torch.int64)
    for place in range(count):  # each choice depends on all before it
        row = int(nearest.argmax())
        chosen[place] = row
        nearest = torch.minimum(nearest, (points - points[row]).norm(dim=1))
        nearest[row] = -torch.inf  # equal points are chosen one by one
    return chosen
