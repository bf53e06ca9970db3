"""Chains within clusters: the law of a discrete space, and the proportions of the real images."""

import math
import random

import pytest
import torch

from ganguard.attacks.subsampling.metropolis_hastings import ChainsStuck
from ganguard.attacks.subsampling.within_clusters import in_proportion, within_clusters
from ganguard.base.errors import SpecError

ODDS = torch.tensor([1.0, 2.0, 4.0, 1.0, 9.0])  # of five bought images
CLUSTERS = torch.tensor([0, 0, 0, 1, 1])
REAL = torch.tensor([0, 1, 1, 1])  # one real image in cluster 0, three in cluster 1


def chains(count: int, steps: int = 60):
    return within_clusters(
        (torch.full((4,), -3.0), REAL), (ODDS.log(), CLUSTERS), count=count, steps=steps, seed=0
    )


def test_clusters_have_the_shares_of_the_real_images_and_the_odds_decide_within() -> None:
    count = 20_000
    found = chains(count)
    shares = torch.bincount(found.handles, minlength=5) / count
    exact = torch.cat([0.25 * ODDS[:3] / 7, 0.75 * ODDS[3:] / 10])
    assert ((shares - exact).abs() < 5 * (exact * (1 - exact) / count).sqrt()).all()
    assert torch.bincount(CLUSTERS[found.handles]).tolist() == [5000, 15_000]
    assert torch.equal(found.log_odds, ODDS.log().double()[found.handles])
    assert found.proposals >= 60 * count


def test_they_agree_with_single_chains_that_refuse_other_clusters() -> None:
    """The slow twin proposes from the whole pool, and rejects what is of another cluster."""
    rng, counts, runs = random.Random(0), [0] * 5, 4000
    odds, clusters, real = ODDS.tolist(), CLUSTERS.tolist(), REAL.tolist()
    for _ in range(runs):
        start = rng.randrange(4)
        at, current = None, math.exp(-3.0)
        for _ in range(60):
            new = rng.randrange(5)
            if clusters[new] == real[start] and rng.random() * current <= odds[new]:
                at, current = new, odds[new]
        assert at is not None  # 60 proposals, of which at least 2 in 5 are accepted from the start
        counts[at] += 1
    slow, fast = torch.tensor(counts) / runs, torch.bincount(chains(20_000).handles) / 20_000
    assert ((slow - fast).abs() < 5 * math.sqrt(0.25 / runs)).all()


def test_real_images_of_empty_clusters_begin_no_chain() -> None:
    found = within_clusters(
        (torch.zeros(3), torch.tensor([0, 0, 7])), (torch.zeros(4), torch.tensor([0, 0, 0, 5])),
        count=30, steps=5, seed=0,
    )  # fmt: skip
    assert set(found.handles.tolist()) <= {0, 1, 2} and len(found.handles) == 30
    with pytest.raises(ChainsStuck, match="no cluster has both"):
        within_clusters(
            (torch.zeros(1), torch.tensor([7])), (torch.zeros(1), torch.tensor([0])), count=1, steps=1, seed=0
        )
    with pytest.raises(SpecError, match=r"clusters of the bought images must be \(2,\)"):
        within_clusters(
            (torch.zeros(1), torch.tensor([0])), (torch.zeros(2), torch.tensor([0])), count=1, steps=1, seed=0
        )


@pytest.mark.parametrize(
    ("weights", "count", "shares"), [([1, 3], 4, [1, 3]), ([1, 1, 1], 4, [2, 1, 1]), ([5, 1], 1, [1, 0])]
)
def test_shares_are_rounded_to_the_count(weights: list[int], count: int, shares: list[int]) -> None:
    assert in_proportion(weights, count) == shares
