"""What an adversary asks for after its first images have told it which conditions vary most."""

import torch
from torch import Tensor


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
