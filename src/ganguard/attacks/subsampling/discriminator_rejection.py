"""Discriminator rejection sampling (Azadi et al. 2019, "Discriminator Rejection Sampling", ICLR).

Let l(x) be the log ratio and l_M its greatest value. Plain rejection keeps x with probability exp(l - l_M),
which is sigmoid(F). If l_M is large, that keeps hardly anything, so gamma shifts F:

    F(x) = l - l_M - log(1 - exp(l - l_M - epsilon)),      p(x) = sigmoid(F(x) - gamma)         (eq. 8, 9)
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganguard.attacks.subsampling.proposals import Propose, draw
from ganguard.base.errors import SpecError
from ganguard.base.seeds import torch_generator

EPSILON = 1e-8
BATCH = 4096  # proposals that are asked for at a time
PROPOSALS_A_KEPT = 10_000  # proposals per wanted image before the sampler gives up


@dataclass(frozen=True)
class Accepted:
    """The images that rejection sampling kept.

    Attributes:
        handles: (count, ...), one for each image kept.
        log_odds: (count,), their log-odds.
        acceptance_rate: accepted proposals by proposals, without the pilot, in [0, 1].
        proposals: number of proposals, the pilot's included.
    """

    handles: Tensor
    log_odds: Tensor
    acceptance_rate: float
    proposals: int


def discriminator_rejection(
    propose: Propose, *, count: int, seed: int, pilot: int = 10_000, percentile: float | None = 95.0
) -> Accepted:
    """Sample proposals by rejection until `count` are accepted.

    Args:
        propose: the source of proposals.
        count: images to keep, at least 1.
        seed: seed of the decisions.
        pilot: proposals that estimate l_M and gamma first, and are then thrown away. l_M rises later if a
            proposal exceeds it.
        percentile: percentile of the pilot's F that becomes gamma, in [0, 100]. None sets gamma to 0, which
            is plain rejection: exact, but it needs many proposals.

    Raises SpecError for count or pilot below 1, a percentile outside [0, 100], log-odds that are NaN or
    infinite, and if 10,000 proposals for each wanted image were not enough.
    """
    if count < 1 or pilot < 1:
        raise SpecError(f"count and pilot must be at least 1; got {count} and {pilot}.")
    if percentile is not None and not 0 <= percentile <= 100:
        raise SpecError(f"percentile must lie in 0 to 100; got {percentile}.")
    generator = torch_generator(seed, "discriminator_rejection")
    _, first = draw(propose, pilot, "of the pilot")
    greatest = first.max()
    gamma = 0.0 if percentile is None else torch.quantile(_shifted(first, greatest), percentile / 100)
    handles: list[Tensor] = []
    log_odds: list[Tensor] = []
    kept = offered = 0
    while kept < count:
        if offered >= PROPOSALS_A_KEPT * count:
            raise SpecError(
                f"{kept:,} of {offered:,} proposals were accepted, and {count:,} are wanted. "
                f"{'Set' if percentile is None else 'Lower'} percentile, or choose another density ratio."
            )
        proposed, scores = draw(propose, BATCH)
        greatest = torch.maximum(greatest, scores.max())
        accept = torch.rand(BATCH, generator=generator, dtype=torch.float64) < torch.sigmoid(
            _shifted(scores, greatest) - gamma
        )
        handles.append(proposed[accept])
        log_odds.append(scores[accept])
        kept, offered = kept + int(accept.sum()), offered + BATCH
    return Accepted(torch.cat(handles)[:count], torch.cat(log_odds)[:count], kept / offered, pilot + offered)


def _shifted(log_odds: Tensor, greatest: Tensor) -> Tensor:
    """Return F (eq. 8) for log-odds l and their greatest value l_M."""
    below = log_odds - greatest
    return below - torch.log(-torch.expm1(below - EPSILON))
