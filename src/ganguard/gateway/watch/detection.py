"""What is unusual about single codes: they are next to another one, or on a lattice.

An adversary that draws its codes from the prior, sends each once, and buys as slowly as others do looks like
any customer: nothing here detects it, and only its budget holds it back.
"""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import beta
from torch import Tensor

SMALL_CHANCE = 1e-7  # probability that two codes from the prior are as near as codes that count as near
NARROW = 8  # codes with fewer entries are near at distances below the rounding error of a matrix product
AT_ONCE = 512  # codes whose distances are in memory at once
POOL = 1024  # entries among which equal ones are looked for


def near_codes(latents: Tensor, earlier: Tensor) -> Tensor:
    """Return which codes are nearer to another code than two codes from the prior would be by chance.

    Two codes are near if their squared distance is a small part of the sum of their squares. Half that part
    is Beta(d/2, d/2) for two codes from N(0, I), or from N(0, s I) for any s, as truncated ones are; they are
    near with probability SMALL_CHANCE. It depends on no other code, so nobody can hide copies among codes of
    another size.

    Args:
        latents: the codes to test, (N, d).
        earlier: codes that they are compared with besides each other, (M, d).

    Returns:
        (N,) bool.
    """
    others = torch.cat([latents, earlier]).double()
    squares, part = others.square().sum(1), _near_part(latents.shape[1])
    exact = latents.shape[1] < NARROW
    mode = "donot_use_mm_for_euclid_dist" if exact else "use_mm_for_euclid_dist"
    near: list[Tensor] = []
    for start in range(0, len(latents), AT_ONCE):
        rows = slice(start, min(start + AT_ONCE, len(latents)))
        squared = torch.cdist(others[rows], others, compute_mode=mode).square()
        places = torch.arange(len(squared))
        squared[places, start + places] = torch.inf  # a code and itself
        near.append((squared <= part * (squares[rows, None] + squares)).any(1))
    return torch.cat(near)


@cache
def _near_part(width: int) -> float:
    return 2 * float(beta.ppf(SMALL_CHANCE, width / 2, width / 2))


def lattice_codes(latents: Tensor, earlier: Tensor) -> NDArray[np.bool_]:
    """Return of which codes more than half of the entries equal another one.

    Each code is looked at together with others so that there are POOL entries, however many codes a request
    has: among more entries, rounded ones are equal by chance.

    Args:
        latents: the codes to test, (N, d).
        earlier: the codes before them, (M, d), the last one last.

    Returns:
        (N,) bool.
    """
    codes = np.concatenate([earlier.numpy(), latents.numpy()])
    together = max(1, POOL // latents.shape[1])
    found: list[NDArray[np.bool_]] = []
    for start in range(len(earlier), len(codes), together):
        tested = codes[start : start + together]
        pool = codes[max(0, start + len(tested) - together) : start + len(tested)]
        _, which, counts = np.unique(pool, return_inverse=True, return_counts=True)
        equal = counts[which.reshape(pool.shape)] > 1
        found.append(equal[-len(tested) :].mean(1) > 0.5)
    return np.concatenate(found)
