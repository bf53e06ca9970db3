"""Sets of images on one clustering: how many of each fall into which cluster, and where the shares differ."""

import numpy as np
from torch import Tensor

from ganguard.metrics.ndb_jsd import Bins, compare_bins
from ganguard.results.bins import BinnedSubject, BinShares
from ganguard.results.measures import MEASURES


def bin_shares(subject: BinnedSubject, images: Tensor, bins: Bins | None) -> list[BinShares]:
    """Return how many images (N, C, H, W) uint8 fall into each bin, and which of the shares differ.

    Nothing without bins, or of fewer images than NDB takes.
    """
    if bins is None or MEASURES["ndb"].shortage(images=len(images)):
        return []
    found = compare_bins(bins.counts.numpy(), bins.count(images.flatten(1)))
    different = np.flatnonzero(found.different).tolist()
    return [BinShares(subject=subject, counts=found.query_counts, different=tuple(different))]
