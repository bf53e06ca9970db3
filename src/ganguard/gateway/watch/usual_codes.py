"""What codes of a target's own prior look like to the watch, whose limits are set for N(0, I)."""

from collections.abc import Callable

from torch import Tensor

from ganguard.gateway.watch.account_codes import AccountCodes, Kept
from ganguard.gateway.watch.code_sketch import Grids
from ganguard.targets.prior import NORMAL, OfIndices, PriorSettings

TRIED = 2048  # codes of an honest customer; more than the watch keeps as they were sent
MOST_TRIED = 1 << 20  # entries of them

Form = Callable[[Tensor], Tensor]
"""Turns codes (N, latent_dim) into codes whose entries have mean 0 and deviation 1 under the prior."""


def watched_form(prior: PriorSettings, latent_dim: int) -> Form | None:
    """Return the form in which codes are watched.

    None if codes that are drawn from the prior would show signs of copying themselves, as they do if it draws
    few different codes, or entries of few values.
    """
    if prior == NORMAL:
        return _as_they_are
    mean, std = prior.moments(latent_dim)
    if not std:
        return None

    def standardised(latents: Tensor) -> Tensor:
        return (latents - mean) / std

    count = max(1, min(TRIED, MOST_TRIED // latent_dim))
    customer = AccountCodes(Kept())
    customer.observe(standardised(prior.draw(OfIndices(1, range(count)), latent_dim)), Grids(latent_dim, 0))
    return None if any(sign.raised for sign in customer.signs()) else standardised


def _as_they_are(latents: Tensor) -> Tensor:
    return latents
