"""How much a measured number would vary with other images: the bootstrap (Efron 1979, section 2)."""

from collections.abc import Callable

import torch
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.base.seeds import torch_generator

# Enough for a standard error that is right to about 15 % (Efron & Tibshirani 1993, section 6.4).
REPLICATES = 20


def bootstrap_error(
    statistic: Callable[..., float], *sets: Tensor, replicates: int = REPLICATES, seed: int = 0
) -> float:
    """Return the standard error of `statistic(*sets)`.

    It is the statistic's standard deviation over `replicates` resamplings of the rows of each set (N, …),
    with replacement. Raises MetricError for fewer than 2 replicates.
    """
    if replicates < 2:
        raise MetricError(f"a standard error needs at least 2 replicates; got {replicates}.")
    generator = torch_generator(seed, "bootstrap")
    values = [statistic(*(_resampled(rows, generator) for rows in sets)) for _ in range(replicates)]
    return torch.tensor(values, dtype=torch.float64).std().item()


def _resampled(rows: Tensor, generator: torch.Generator) -> Tensor:
    return rows[torch.randint(len(rows), (len(rows),), generator=generator)]
