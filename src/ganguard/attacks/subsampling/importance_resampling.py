"""Sampling importance resampling (Rubin 1987; of generators, Grover et al. 2019, "Bias Correction of Learned
Generative Models").

Of a pool of n proposals, images are drawn with probabilities proportional to their density ratios.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganguard.attacks.subsampling.proposals import Propose, draw, require_log_odds
from ganguard.base.errors import SpecError
from ganguard.base.seeds import torch_generator


@dataclass(frozen=True)
class Resampled:
    """handles (count, ...) of the images drawn, their log_odds (count,), the effective sample size of the
    pool's weights, in images, and the proposals in all."""

    handles: Tensor
    log_odds: Tensor
    effective_sample_size: float
    proposals: int


def importance_resampling(
    propose: Propose, *, count: int, pool: int, seed: int, replacement: bool = True
) -> Resampled:
    """Draw `count` of `pool` proposals by their odds. Without replacement no image comes twice, and a pool
    little larger than `count` is hardly changed.

    Raises SpecError for count below 1, pool below 1 or, without replacement, below count, and log-odds that
    are NaN or infinite.
    """
    if count < 1 or pool < (1 if replacement else count):
        raise SpecError(
            f"count must be at least 1, and pool at least {1 if replacement else 'count'}; got {count} and "
            f"{pool}."
        )
    handles, log_odds = draw(propose, pool)
    generator = torch_generator(seed, "importance_resampling")
    if replacement:
        edges = torch.softmax(log_odds, 0).cumsum(0)
        u = torch.rand(count, generator=generator, dtype=torch.float64) * edges[-1]
        rows = torch.searchsorted(edges, u, right=True).clamp(max=pool - 1)
    # the largest of log-weights with Gumbel noise are a draw without replacement (Efraimidis & Spirakis 2006)
    else:
        gumbel = -torch.empty(pool, dtype=torch.float64).exponential_(generator=generator).log()
        rows = (log_odds + gumbel).topk(count).indices
    return Resampled(handles[rows], log_odds[rows], effective_sample_size(log_odds), pool)


def effective_sample_size(log_odds: Tensor) -> float:
    """(sum w)² / sum w² of weights w = exp(log_odds) (N,): 1 to N, how many equal weights they are worth
    (Kong 1992)."""
    w = torch.softmax(require_log_odds(log_odds, "of the weights"), 0)
    return 1 / w.square().sum().item()
