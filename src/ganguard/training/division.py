"""The division of images into those to learn from and those held out, so that what is held out is new."""

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from ganguard.base.image_rows import PART, ImageRows, Images
from ganguard.base.seeds import torch_generator

SUMS = 3  # random sums of an image's bytes; two different images agree in all with a probability of 2^-93


def divided(images: Images, count: int, *, seed: int) -> tuple[Tensor, Tensor] | None:
    """Return the rows (k,) to learn from, and those (h,) that are held out of images (N, C, H, W), ascending.

    Equal images stay together, and so do the two of each pair in turn: they may be two answers to one code,
    or be made of them. So at least `count` images are held out as a rule, fewer if hardly any differ. A large
    group of equal images is held out only if the others are too few.

    Args:
        images: uint8; rows of a map are read in parts.
        count: images to hold out.
        seed: decides which.

    Returns:
        Both sets of rows, none of them empty; or None if all images belong together.
    """
    groups = kept_together(images)
    sizes = groups.bincount()
    if len(sizes) < 2:
        return None
    order = torch.randperm(len(sizes), generator=torch_generator(seed, "held out"))
    order = order[(sizes[order] > count).int().argsort(stable=True)]
    before = (sizes[order].cumsum(0) < count).sum()  # groups that do not suffice
    held = torch.isin(groups, order[: min(int(before) + 1, len(sizes) - 1)])
    return (~held).nonzero()[:, 0], held.nonzero()[:, 0]


def kept_together(images: Images) -> Tensor:
    """Return the group (N,) int64 of each image: linked are equal images, and images 2i and 2i + 1."""
    count, rows = len(images), np.arange(len(images))
    alike, ones = _sums(images).unique(dim=0, return_inverse=True)[1].numpy(), np.ones(count)
    links = coo_matrix((np.r_[ones, ones], (np.r_[rows, rows], np.r_[alike, count + rows // 2])))
    square = coo_matrix((links.data, (links.row, count + links.col)), shape=(3 * count, 3 * count))
    groups = torch.from_numpy(connected_components(square, directed=False)[1][:count]).long()
    return groups.unique(return_inverse=True)[1]


def _sums(images: Images) -> Tensor:
    """Return (N, SUMS) int64 that are equal for equal images alone, but for a negligible chance."""
    size = images.shape[1:].numel() if isinstance(images, Tensor) else int(np.prod(images.shape[1:]))
    drawn = torch_generator(0, "equal images")
    weights = torch.randint(2**31, (size, SUMS), generator=drawn)  # 2^24 bytes of 255 do not overflow
    parts = images.parts() if isinstance(images, ImageRows) else images.split(PART)
    return torch.cat([part.flatten(1).cpu().long() @ weights for part in parts])
