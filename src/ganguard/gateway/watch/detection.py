"""Signs that an account is copying the generator.

There are four statistics, of the codes that an account sends and of how much it asks for. Their limits are
set so that honest customers, as `benchmarks/detection.py` simulates them, stay within them. An adversary that
draws its codes from the prior, sends each once, and buys as slowly as others do looks like any customer: no
statistic detects it, and only its budget holds it back.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from statistics import median

import torch
from scipy.stats import chi2
from torch import Tensor

from ganguard.gateway.watch.code_sketch import Grids, Sketch

# New codes are compared exactly with the account's last WINDOW codes, and with older ones by their cells.
WINDOW = 1024
SMALL_CHANCE = 1e-7  # probability that two codes from the prior are as near as codes that count as near
FEWEST_CODES = 64  # with fewer codes, the statistics of codes are not reported
NEAR_SHARE = 0.05  # limit on the share of codes near another code
REPEATED_SHARE = 0.5  # limit on the share of entries equal to another entry of the same request
# Limits on the mean square of an entry, which is 1 under the prior, and 0.49 if truncated to 0.7 of its size.
SQUARE_RANGE = (0.25, 1.5)
NARROW = 8  # codes with fewer entries are near at distances below the rounding error of a matrix product
TIMES_THE_MEDIAN = 30.0  # limit on an account's images in a day, as a multiple of the accounts' median
FEWEST_ACCOUNTS = 5  # with fewer accounts, rates are not compared
AT_ONCE = 512  # codes whose distances are in memory at once
_MOST_WATCHED = 1000  # accounts whose codes are kept


@dataclass(frozen=True)
class Traffic:
    """Sums over requests.

    Attributes:
        images: images that were asked for.
        codes: codes that were sent.
        squares: sum of the squares of the codes' entries.
        entries: number of entries of the codes.
        near: codes near another code.
        repeated: entries equal to another entry of the same request.
    """

    images: int = 0
    codes: int = 0
    squares: float = 0.0
    entries: int = 0
    near: int = 0
    repeated: int = 0

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


@dataclass(frozen=True)
class Sign:
    """One statistic of an account.

    Attributes:
        name: what is measured.
        value: its value; None if it is not known.
        limit: the limit, in words.
        raised: whether the value is beyond the limit.
    """

    name: str
    value: float | None
    limit: str
    raised: bool


class _AccountCodes:
    """An account's codes: the last WINDOW of them, and the cells of older ones."""

    def __init__(self, none: Tensor) -> None:
        self._recent, self._before = none, Sketch()

    def near(self, latents: Tensor, grids: Grids) -> int:
        """Return how many of the codes (N, d) are near another of them or an earlier code; then keep them."""
        found = near_codes(latents, self._recent).numpy()
        if len(self._recent) == WINDOW:
            found |= self._before.holds(grids.cells(latents))
        codes = torch.cat([self._recent, latents])
        if len(codes) > WINDOW:
            self._before.put(grids.cells(codes[:-WINDOW]))
        self._recent = codes[-WINDOW:].clone()  # a view would keep all of `codes` in memory
        return int(found.sum())


class TrafficMonitor:
    """Turns each request into Traffic, by comparing its codes with earlier codes of the same account.

    Args:
        seed: the seed of the cells (see `Grids`).
    """

    def __init__(self, seed: int) -> None:
        self._seed, self._grids = seed, dict[int, Grids]()
        self._watched: OrderedDict[str, _AccountCodes] = OrderedDict()

    def observe(self, account: str, images: int, latents: Tensor | None) -> Traffic:
        """Return what one request adds to the traffic of an account.

        Args:
            account: the account that asked.
            images: images that it asked for.
            latents: the codes that it sent, (images, latent_dim); None if it sent none.
        """
        if latents is None:
            return Traffic(images)
        width = latents.shape[1]
        if width not in self._grids:
            self._grids[width] = Grids(width, self._seed)
        near = self._watched.setdefault(account, _AccountCodes(latents[:0])).near(latents, self._grids[width])
        self._watched.move_to_end(account)
        if len(self._watched) > _MOST_WATCHED:
            self._watched.popitem(last=False)
        distinct, squares = len(latents.unique()), latents.double().square().sum().item()
        return Traffic(images, len(latents), squares, latents.numel(), near, latents.numel() - distinct)


def near_codes(latents: Tensor, earlier: Tensor) -> Tensor:
    """Return which codes are nearer to another code than two codes from the prior would be by chance.

    Two codes from the prior are that near with probability SMALL_CHANCE: half the squared distance of two
    codes from N(0, I) is chi-squared with d degrees of freedom. If codes are smaller than the prior's, as
    truncated ones are, the limit shrinks with their size, as their distances do.

    Args:
        latents: the codes to test, (N, d).
        earlier: codes that they are compared with besides each other, (M, d).

    Returns:
        (N,) bool.
    """
    others = torch.cat([latents, earlier]).double()
    size = min(1.0, others.square().mean().item())
    limit = 2 * size * float(chi2.ppf(SMALL_CHANCE, latents.shape[1]))
    exact = latents.shape[1] < NARROW
    mode = "donot_use_mm_for_euclid_dist" if exact else "use_mm_for_euclid_dist"
    near: list[Tensor] = []
    for start in range(0, len(latents), AT_ONCE):
        rows = others[start : start + min(AT_ONCE, len(latents) - start)]
        squared = torch.cdist(rows, others, compute_mode=mode).square()
        squared[torch.arange(len(rows)), start + torch.arange(len(rows))] = torch.inf  # a code and itself
        near.append(squared.amin(1) <= limit)
    return torch.cat(near)


def signs(traffic: Traffic, today: int, others_today: Sequence[int]) -> list[Sign]:
    """Return the statistics of an account.

    Args:
        traffic: all that the account has asked for.
        today: images that it asked for in the last day.
        others_today: the same number for every account that asked for any, this one included.
    """
    found = [_rate(today, others_today)]
    if traffic.codes < FEWEST_CODES:
        return found
    square, low, high = traffic.squares / traffic.entries, *SQUARE_RANGE
    near, repeated = traffic.near / traffic.codes, traffic.repeated / traffic.entries
    return [
        *found,
        Sign(
            "codes far from the prior", square, f"mean square {low:g} to {high:g}", not low <= square <= high
        ),
        Sign("codes next to another", near, f"{NEAR_SHARE:g} of them", near > NEAR_SHARE),
        Sign("codes on a lattice", repeated, f"{REPEATED_SHARE:g} of entries", repeated > REPEATED_SHARE),
    ]


def _rate(today: int, others_today: Sequence[int]) -> Sign:
    times = today / median(others_today) if len(others_today) >= FEWEST_ACCOUNTS else None
    beyond = times is not None and times > TIMES_THE_MEDIAN
    return Sign("images in a day, relative to the median", times, f"{TIMES_THE_MEDIAN:g} times", beyond)
