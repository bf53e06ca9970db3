"""Every sampler recovers a mixture of 25 Gaussians from a known proposal, by the exact density ratio."""

import math

import pytest
import torch
from scipy.stats import chisquare, ks_2samp
from torch import Tensor

from ganguard.attacks.subsampling import discriminator_rejection, importance_resampling, metropolis_hastings

MODES = torch.cartesian_prod(*[torch.arange(-2.0, 3.0).double()] * 2)
SIGMA = 0.05
BROAD = 1.5
WEIGHTS = torch.linspace(1, 7, 25, dtype=torch.float64) / 100  # of the proposal; the mixture's are all 1/25
COUNT = 4000
IMPROBABLE = 1e-3


def log_density(x: Tensor, weights: Tensor, share: float) -> Tensor:
    """Return the log density of share * (modes with these weights) + (1 - share) * a broad Gaussian."""
    squared = torch.cdist(x, MODES).square()
    modes = (
        torch.logsumexp(weights.log() - squared / (2 * SIGMA**2), 1)
        - math.log(2 * math.pi * SIGMA**2)
        + math.log(share)
    )
    broad = -x.square().sum(1) / (2 * BROAD**2) - math.log(2 * math.pi * BROAD**2)
    return torch.logaddexp(modes, broad + math.log1p(-share)) if share < 1 else modes


def log_ratio(x: Tensor) -> Tensor:
    return log_density(x, torch.full((25,), 0.04).double(), 1.0) - log_density(x, WEIGHTS, 0.5)


def mixture(count: int, weights: Tensor, generator: torch.Generator) -> Tensor:
    modes = torch.multinomial(weights, count, replacement=True, generator=generator)
    return MODES[modes] + SIGMA * torch.randn(count, 2, generator=generator).double()


class Proposals:
    """The known proposal: half modes of unequal weights, half a broad Gaussian."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(0)

    def __call__(self, n: int, /) -> tuple[Tensor, Tensor]:
        broad = BROAD * torch.randn(n, 2, generator=self.generator).double()
        from_modes = torch.rand(n, 1, generator=self.generator) < 0.5
        x = torch.where(from_modes, mixture(n, WEIGHTS, self.generator), broad)
        return x, log_ratio(x).clamp_min(-700)


def samples_of(sampler: str) -> Tensor:
    if sampler == "metropolis_hastings":
        real = log_ratio(mixture(1000, torch.ones(25).double(), torch.Generator().manual_seed(1)))
        return metropolis_hastings(real, Proposals(), count=COUNT, steps=100, seed=0).handles
    if sampler == "discriminator_rejection":
        return discriminator_rejection(Proposals(), count=COUNT, seed=0, percentile=None).handles
    return importance_resampling(Proposals(), count=COUNT, pool=100 * COUNT, seed=0).handles


@pytest.mark.parametrize(
    "sampler", ["metropolis_hastings", "discriminator_rejection", "importance_resampling"]
)
def test_the_mixture_is_recovered(sampler: str) -> None:
    kept = samples_of(sampler)
    distances, nearest = torch.cdist(kept, MODES).min(1)
    assert (distances < 4 * SIGMA).double().mean() > 0.999
    assert chisquare(torch.bincount(nearest, minlength=25)).pvalue > IMPROBABLE
    fresh = mixture(COUNT, torch.ones(25).double(), torch.Generator().manual_seed(2))
    truth, modes = torch.cdist(fresh, MODES).min(1)
    assert ks_2samp(distances, truth).pvalue > IMPROBABLE
    for axis in (0, 1):
        assert ks_2samp((kept - MODES[nearest])[:, axis], (fresh - MODES[modes])[:, axis]).pvalue > IMPROBABLE


def test_the_proposal_itself_is_not_the_mixture() -> None:
    x, _ = Proposals()(COUNT)
    distances, nearest = torch.cdist(x, MODES).min(1)
    assert (distances < 4 * SIGMA).double().mean() < 0.7
    assert chisquare(torch.bincount(nearest, minlength=25)).pvalue < 1e-9
