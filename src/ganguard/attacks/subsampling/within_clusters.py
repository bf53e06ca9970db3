"""Chains that stay within a part of the images, and what the chains of several parts kept together."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ganguard.attacks.subsampling.metropolis_hastings import (
    Chains,
    ChainsStuck,
    NeverMoved,
    metropolis_hastings,
)
from ganguard.attacks.subsampling.proposals import Pool
from ganguard.base.errors import SpecError
from ganguard.base.seeds import derived_seed


def within_clusters(
    real: tuple[Tensor, Tensor],
    bought: tuple[Tensor, Tensor],
    *,
    count: int,
    steps: int,
    seed: int,
    never_moved: NeverMoved = "discard",
) -> Chains:
    """Run Metropolis-Hastings chains, each of which moves only to images of the cluster that it began in.

    Each cluster gets as many chains as its share of the real images says. So the clusters of the images kept
    are in the proportions of the real ones, whatever the ratio says, and the ratio chooses within a cluster.
    Real images of clusters without a bought image begin no chain.

    Args:
        real: log-odds (m,) and clusters (m,) int64 of the real images.
        bought: log-odds (N,) and clusters (N,) int64 of the bought ones, the pool.
        count: images to keep, at least 1.
        steps: proposals for each chain, all of its own cluster.
        seed: seed of the chains.
        never_moved: what happens to a chain that never moved, as for `metropolis_hastings`.

    Returns:
        The chains, whose handles are indices (count,) into the bought images.

    Raises SpecError for clusters of other shapes than the log-odds, and what `metropolis_hastings` raises.
    Raises ChainsStuck if no cluster has both kinds of images.
    """
    for (log_odds, clusters), name in ((real, "real"), (bought, "bought")):
        if clusters.shape != log_odds.shape:
            raise SpecError(
                f"clusters of the {name} images must be {tuple(log_odds.shape)}, as their log-odds; got "
                f"{tuple(clusters.shape)}."
            )
    common = [number for number in real[1].unique().tolist() if (bought[1] == number).any()]
    if not common:
        raise ChainsStuck(
            "all chains stuck: no cluster has both real and bought images. Take fewer clusters."
        )
    counts = in_proportion([int((real[1] == number).sum()) for number in common], count)
    parts: list[Chains] = []
    for number, wanted in zip(common, counts, strict=True):
        if wanted:
            rows = (bought[1] == number).nonzero()[:, 0]
            began, offered = real[0][real[1] == number], bought[0][rows]
            own = derived_seed(seed, "cluster", str(number))
            chains = walk_among(
                rows, began, offered, count=wanted, steps=steps, seed=own, never_moved=never_moved
            )
            parts.append(chains)
    return joined(parts)


def walk_among(
    rows: Tensor,
    starts: Tensor,
    log_odds: Tensor,
    *,
    count: int,
    steps: int,
    seed: int,
    never_moved: NeverMoved,
) -> Chains:
    """Run chains from log-odds `starts` (m,) among the bought images `rows` (n,) with log-odds (n,). Handles
    are rows."""
    chains = metropolis_hastings(
        starts, Pool(log_odds, seed=seed), count=count, steps=steps, seed=seed, never_moved=never_moved
    )
    return Chains(
        rows[chains.handles], chains.log_odds, chains.never_moved, chains.acceptance_rate, chains.proposals
    )


def joined(parts: Sequence[Chains]) -> Chains:
    """Return what the chains of several parts, at least one, kept together."""
    proposals = sum(chains.proposals for chains in parts)
    return Chains(
        handles=torch.cat([chains.handles for chains in parts]),
        log_odds=torch.cat([chains.log_odds for chains in parts]),
        never_moved=sum(chains.never_moved for chains in parts),
        acceptance_rate=sum(chains.acceptance_rate * chains.proposals for chains in parts) / proposals,
        proposals=proposals,
    )


def in_proportion(weights: Sequence[int], count: int) -> list[int]:
    """Return whole numbers that sum to `count` and are as nearly as can be in the proportions of positive
    weights: rounded down, and the largest remainders, the first of equal ones, get one more."""
    total = sum(weights)
    exact = [divmod(count * weight, total) for weight in weights]
    missing = count - sum(whole for whole, _ in exact)
    most = sorted(range(len(weights)), key=lambda row: (-exact[row][1], row))[:missing]
    return [whole + (row in most) for row, (whole, _) in enumerate(exact)]
