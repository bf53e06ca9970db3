"""What an adversary asks for after its first images have told it which conditions vary most, or are covered
worst."""

import torch
from torch import Tensor

AT_ONCE = 1024  # images whose distances to all others are taken at once


def shares_by_spread(images: Tensor, asked: Tensor, conditions: int) -> Tensor:
    """Return the share of each condition to ask for from here on, (K,) float64.

    A condition gets a share in proportion to the spread of its images: the square root of their variance,
    summed over pixels (Neyman 1934, "On the Two Different Aspects of the Representative Method", optimum
    allocation to strata). One with fewer than two images counts as the others do on average.

    Args:
        images: (N, C, H, W) uint8, bought before.
        asked: the condition of each, (N,) int64.
        conditions: K.
    """
    x, spreads = images.flatten(1).double(), torch.full((conditions,), torch.nan, dtype=torch.float64)
    for number in asked.unique().tolist():
        rows = x[asked == number]
        if len(rows) > 1:
            spreads[number] = rows.var(0).sum().sqrt()
    usual = torch.nan_to_num(spreads.nanmean(), nan=1.0)
    spreads = spreads.nan_to_num(nan=usual.item())
    return spreads / spreads.sum() if spreads.sum() > 0 else torch.full_like(spreads, 1 / conditions)


def shares_by_coverage(seen: Tensor, asked: Tensor, conditions: int) -> Tensor:
    """Return the share of each condition to ask for next, (K,) float64.

    A condition gets a share in proportion to how badly its images cover it: the mean distance of an image to
    the nearest other one of the condition, which estimates how far a new image lies from what was bought
    (k-centre's radius, in the mean). One with fewer than two images counts as the worst of the others.

    Args:
        seen: what is compared of the images that were bought before, (N, D).
        asked: the condition of each, (N,) int64.
        conditions: K.
    """
    radii = torch.full((conditions,), torch.nan, dtype=torch.float64)
    for number in asked.unique().tolist():
        rows = seen[asked == number].double()
        if len(rows) > 1:
            radii[number] = _nearest_other(rows).mean()
    known = radii[~radii.isnan()]
    radii = radii.nan_to_num(nan=known.max().item() if len(known) else 1.0)
    return radii / radii.sum() if radii.sum() > 0 else torch.full_like(radii, 1 / conditions)


def _nearest_other(rows: Tensor) -> Tensor:
    """Return the distance of each row (N, D) to the nearest other one, (N,)."""
    found: list[Tensor] = []
    for start in range(0, len(rows), AT_ONCE):
        apart = torch.cdist(rows[start : start + AT_ONCE], rows)
        own = torch.arange(start, start + len(apart))
        apart[torch.arange(len(apart)), own] = torch.inf
        found.append(apart.amin(1))
    return torch.cat(found)
