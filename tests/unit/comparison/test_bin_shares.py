"""Sets of images on one clustering: counts and tests as NDB has them, and what is too small."""

import pytest
import torch
from torch import Tensor

from ganguard.base.seeds import torch_generator
from ganguard.comparison.bin_shares import bin_shares
from ganguard.comparison.compare import pixel_bins
from ganguard.metrics.ndb_jsd import Bins, ndb_jsd


def images(count: int, seed: int, least: int = 0) -> Tensor:
    return torch.randint(
        least, 256, (count, 1, 2, 2), dtype=torch.uint8, generator=torch_generator(seed, "bin shares")
    )


@pytest.fixture(scope="module")
def bins() -> Bins:
    fitted = pixel_bins(images(1000, 0))
    assert fitted is not None
    return fitted


def test_the_clustered_images_have_their_own_shares(bins: Bins) -> None:
    (found,) = bin_shares("train", images(1000, 0), bins)
    assert found.counts == tuple(bins.counts.tolist()) and found.different == ()
    assert list(found.counts) == sorted(found.counts, reverse=True)


def test_shares_are_those_of_ndb_on_the_same_clustering(bins: Bins) -> None:
    brighter = images(600, 1, least=120)
    (found,) = bin_shares("substitute", brighter, bins)
    peer = ndb_jsd(images(1000, 0).flatten(1), brighter.flatten(1), bins=100)
    assert found.counts == peer.query_counts and len(found.different) == peer.different_bins > 20
    assert [place in found.different for place in range(100)] == list(peer.different)


def test_sets_that_are_too_small_have_none(bins: Bins) -> None:
    assert bin_shares("real", images(499, 2), bins) == []
    assert bin_shares("real", images(600, 2), None) == []
