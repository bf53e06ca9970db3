"""Sampling importance resampling (Rubin 1987; for generators: Grover et al. 2019, "Bias Correction of Learned
Generative Models").

From a pool of n proposals, image i is drawn with probability r(x_i) / sum_j r(x_j), r the density ratio.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganguard.attacks.subsampling.proposals import Propose, draw, require_log_odds
from ganguard.base.errors import SpecError
from ganguard.base.seeds import torch_generator


@dataclass(frozen=True)
class Resampled:
    """The images that were drawn.

    Attributes:
        handles: (count, ...), one for each image drawn.
        log_odds: (count,), their log-odds.
        effective_sample_size: of the pool's weights, in images, from 1 to pool.
        proposals: number of proposals: the size of the pool.
    """

    handles: Tensor
    log_odds: Tensor
    effective_sample_size: float
    proposals: int


def importance_resampling(
    propose: Propose, *, count: int, pool: int, seed: int, replacement: bool = True
) -> Resampled:
    """Draw `count` of `pool` proposals with probabilities proportional to their odds.

    Without replacement no proposal is drawn twice, and a pool only a little larger than `count` comes back
    almost unchanged.

    Raises SpecError for count below 1, for pool below 1 (below count without replacement), and for log-odds
    that are NaN or infinite.
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
    else:
        # Largest log-weights plus Gumbel noise are a draw without replacement (Efraimidis & Spirakis 2006).
        gumbel = -torch.empty(pool, dtype=torch.float64).exponential_(generator=generator).log()
        rows = (log_odds + gumbel).topk(count).indices
    return Resampled(handles[rows], log_odds[rows], effective_sample_size(log_odds), pool)


def effective_sample_size(log_odds: Tensor) -> float:
    """Return (sum w)² / sum w² of weights w = exp(log_odds) (N,), from 1 to N (Kong 1992).

    It is the number of equally weighted images that the weighted ones are worth.
    """
    w = torch.softmax(require_log_odds(log_odds, "of the weights"), 0)
    return 1 / w.square().sum().item()
