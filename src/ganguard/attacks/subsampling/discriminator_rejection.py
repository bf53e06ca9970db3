"""Discriminator rejection sampling (Azadi et al. 2019, "Discriminator Rejection Sampling", ICLR).

With the log ratio l(x) and its greatest value l_M, plain rejection keeps x with probability exp(l - l_M).
That is the logistic function of F; where l_M is large hardly anything is kept, so gamma shifts F:

    F(x) = l - l_M - log(1 - exp(l - l_M - epsilon)),      p(x) = sigmoid(F(x) - gamma)                     (eq. 8, 9)
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganguard.attacks.subsampling.proposals import Propose, draw
from ganguard.base.errors import SpecError
from ganguard.base.seeds import torch_generator

EPSILON = 1e-8
BATCH = 4096  # proposals at once
PROPOSALS_A_KEPT = 10_000  # before the sampler gives up


@dataclass(frozen=True)
class Accepted:
    """handles (count, ...) of the images kept, their log_odds (count,), the share of proposals that were
    kept, in [0, 1], and the proposals in all, the pilot's among them."""

    handles: Tensor
    log_odds: Tensor
    acceptance_rate: float
    proposals: int


def discriminator_rejection(
    propose: Propose, *, count: int, seed: int, pilot: int = 10_000, percentile: float | None = 95.0
) -> Accepted:
    """Keep proposals until there are `count`.

    pilot: proposals from which l_M and gamma are estimated first, and which are not kept; l_M rises where a
        later one is greater.
    percentile: of the pilot's F, which becomes gamma; None sets gamma to 0, which is plain rejection: exact,
    and dear.

    Raises SpecError for count or pilot below 1, a percentile outside [0, 100], log-odds that are NaN or
    infinite, and where 10,000 proposals an image were not enough.
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
                f"of {offered:,} proposals {kept:,} were accepted, and {count:,} are wanted. "
                f"{'Set' if percentile is None else 'Lower'} percentile, or take another density ratio."
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
    below = log_odds - greatest
    return below - torch.log(-torch.expm1(below - EPSILON))
