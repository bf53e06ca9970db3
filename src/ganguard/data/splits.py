"""The split of the real data. The provider and its adversary hold images of `train`; `reference` measures.

The split is stratified by class, or made of whole groups if the images come in groups. It is chosen by a hash
of the index (or of the group's number) alone, so the reference set never varies with seeds, budgets, or what
the adversary holds. A data set may also decide itself what is held out.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganguard.base.errors import DataError
from ganguard.base.seeds import uniform
from ganguard.data.dataset import RealImages

TRAIN_SHARE = 0.7
FEWEST_HELD = 6  # real images that an adversary holds
FEWEST_JUDGED = 2  # of these, images that its judge holds out


@dataclass(frozen=True)
class Splits:
    """Row indices of the real data, sorted int64. If the images come in groups, the shares are as near to
    these as the groups allow.

    Attributes:
        train: 70 % of the images.
        reference: the other 30 %.
    """

    train: Tensor
    reference: Tensor


def split(real: RealImages) -> Splits:
    """Split 70 % of each class to `train` and the rest to `reference`; of data in groups, about 70 % of all
    images, in whole groups. What the data set itself holds out is `reference`.

    Raises DataError if either part would be empty: there must be two images of one class, or two groups.
    """
    if real.held_out is not None:
        in_train = _but(real.held_out.numpy())
    else:
        in_train = _by_class(real) if real.groups is None else _by_group(real.groups.numpy())
    return Splits(torch.from_numpy(np.flatnonzero(in_train)), torch.from_numpy(np.flatnonzero(~in_train)))


def _but(held_out: np.ndarray) -> np.ndarray:
    """Return which images go to `train`, (N,) bool."""
    if held_out.all() or not held_out.any():
        raise DataError(
            f"{_images(len(held_out))}, of which {held_out.sum():,} are held out, cannot be split. Take more."
        )
    return ~held_out


def _by_class(real: RealImages) -> np.ndarray:
    """Return which images go to `train`, (N,) bool."""
    count = len(real.images)
    numbers = np.arange(count) if real.indices is None else real.indices.numpy()
    order = uniform(0, "data.splits", range(int(numbers.max(initial=-1)) + 1), 1)[numbers, 0]
    labels = np.zeros(count, dtype=np.int64) if real.labels is None else real.labels.numpy()
    in_train = np.zeros(count, dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        ranked = members[np.argsort(order[members], kind="stable")]
        in_train[ranked[: round(TRAIN_SHARE * len(members))]] = True
    if in_train.all() or not in_train.any():
        classes = f" in {len(np.unique(labels))} classes" if count > 1 else ""
        are = "is" if count == 1 else "are"
        raise DataError(
            f"{_images(count)}{classes} {are} too few to split each class 70 : 30. Give at least 2 images "
            "of one class."
        )
    return in_train


def _by_group(groups: np.ndarray, stream: str = "data.splits.groups") -> np.ndarray:
    """Return which images go to `train`, (N,) bool, from their groups (N,): in the order of the groups'
    hashes, as many groups as come nearest to 70 % of the images."""
    numbers, sizes = np.unique(groups, return_counts=True)
    if len(numbers) < 2:
        raise DataError(
            f"{_images(len(groups))} in fewer than 2 groups cannot be split by group. Give at least 2 groups."
        )
    order = np.argsort(uniform(0, stream, range(numbers[-1] + 1), 1)[numbers, 0], kind="stable")
    in_train = np.cumsum(sizes[order])[:-1]  # images in `train` if the first 1, 2, 3 ... groups go there
    taken = np.abs(in_train - TRAIN_SHARE * len(groups)).argmin() + 1
    return np.isin(groups, numbers[order[:taken]])


def halves(count: int, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the sorted row indices of two random halves of `count` images, stratified by labels (count,) if
    there are any.

    The distance between the halves shows how far apart two samples of the same data are. The halves take
    turns at the images of a class, in an order drawn by a hash of the index.
    """
    order = np.argsort(uniform(0, "data.halves", range(count), 1)[:, 0], kind="stable")
    if labels is not None:
        order = order[np.argsort(labels.numpy()[order], kind="stable")]
    dealt = torch.from_numpy(order)
    return dealt[::2].sort().values, dealt[1::2].sort().values


def adversary_split(
    train: Tensor, fraction: float, *, seed: int, groups: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Choose X_r, the real images that an adversary holds, and divide them into training and judging images.

    The judge holds out 30 % of X_r. With the same seed, a smaller share is part of a larger one.

    Args:
        train: row indices of the train split, (N,).
        fraction: share of the train split that the adversary holds.
        seed: decides the choice.
        groups: group of every real image, (M,) int64, if they come in groups. The judge then holds out whole
            groups, the last ones by their hash, with about 30 % of the images.

    Returns:
        The row indices to train with and those of the judge, both sorted.

    Raises:
        DataError: X_r has fewer than 6 images (two for the judge, and four that a density ratio can be fitted
            to), or comes from a single group.
    """
    held = round(fraction * len(train))
    if held < FEWEST_HELD:
        raise DataError(
            f"real_fraction {fraction:g} of {len(train)} training images is {held:,}; an adversary needs at "
            f"least {FEWEST_HELD}. Set real_fraction to {math.ceil(100 * FEWEST_HELD / len(train)) / 100:g} "
            "or more."
        )
    order = np.argsort(uniform(seed, "data.splits.adversary", range(len(train)), 1)[:, 0], kind="stable")[
        :held
    ]
    if groups is None:
        judged = np.arange(held) % 10 % 3 == 2  # 3 in 10, and 2 of the first 6
    else:
        judged = ~_by_group(groups.numpy()[train.numpy()[order]], "data.splits.judge")
        if judged.sum() < FEWEST_JUDGED or (~judged).sum() < FEWEST_HELD - FEWEST_JUDGED:
            raise DataError(
                f"{_images(held)} of {len(np.unique(groups))} groups leave {judged.sum()} to the judge, who "
                f"needs at least {FEWEST_JUDGED}, and {(~judged).sum()} to train with, which needs at least "
                f"{FEWEST_HELD - FEWEST_JUDGED}. Raise real_fraction."
            )
    own, judge = (train[torch.from_numpy(np.sort(order[rows]))] for rows in (~judged, judged))
    return own, judge


def some_of(train: Tensor, count: int | None, *, seed: int) -> Tensor:
    """Return `count` of the row indices (N,), sorted, or all of them for None. With the same seed, a smaller
    choice is part of a larger one. Raises DataError if `count` exceeds N."""
    if count is None:
        return train
    if count > len(train):
        raise DataError(
            f"domain_images must be at most the training images of the domain, {len(train):,}; got {count:,}."
        )
    order = np.argsort(uniform(seed, "data.splits.some", range(len(train)), 1)[:, 0], kind="stable")[:count]
    return train[torch.from_numpy(np.sort(order))]


def _images(count: int) -> str:
    return "1 real image" if count == 1 else f"{count:,} real images"
