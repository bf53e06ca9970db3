"""Does an account's traffic look like that of somebody who copies the generator?

Four statistics, of the codes that an account sends and of how much it asks for. Each has a limit that was set
so that honest customers, as `benchmarks/detection.py` simulates them, stay below it. An adversary who draws
its codes from the prior, once each, and buys as slowly as others do, looks like any customer: these do not
see it, its budget does.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from statistics import median

import torch
from scipy.stats import chi2
from torch import Tensor

from ganguard.gateway.watch.code_sketch import Grids, Sketch

WINDOW = 1024  # codes of an account that new ones are compared with one by one; those before by their cells
SMALL_CHANCE = 1e-7  # that two codes of the prior lie as near as those that count as near
FEWEST_CODES = 64  # below which nothing is said of codes
NEAR_SHARE = 0.05  # of codes that lie next to another one
REPEATED_SHARE = 0.5  # of entries of codes that another entry of their request equals
SQUARE_RANGE = (0.25, 1.5)  # of the mean square of an entry; 1 under the prior, 0.49 truncated to 0.7 of it
NARROW = 8  # entries of a code, below which near is nearer than a product of matrices tells
TIMES_THE_MEDIAN = 30.0  # images of a day, of the accounts' median
FEWEST_ACCOUNTS = 5  # below which rates are not compared
AT_ONCE = 512  # codes whose distances are in memory at once
_MOST_WATCHED = 1000


@dataclass(frozen=True)
class Traffic:
    """What was asked for, summed: images; codes that were sent, the sum of the squares of their entries, and
    how many entries; codes next to another one (near), and entries that another of their request equals
    (repeated)."""

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
    """One statistic of an account: its value, None where it is not known, the limit, and whether it is
    beyond."""

    name: str
    value: float | None
    limit: str
    raised: bool


class _AccountCodes:
    """What is kept of an account's codes: the last WINDOW of them, and in which cells those before lay."""

    def __init__(self, none: Tensor) -> None:
        self._recent, self._before = none, Sketch()

    def near(self, latents: Tensor, grids: Grids) -> int:
        """How many of some codes (N, d) lie next to another of them, or to an earlier one, and keep them."""
        found = near_codes(latents, self._recent).numpy()
        if len(self._recent) == WINDOW:
            found |= self._before.holds(grids.cells(latents))
        codes = torch.cat([self._recent, latents])
        if len(codes) > WINDOW:
            self._before.put(grids.cells(codes[:-WINDOW]))
        self._recent = codes[-WINDOW:].clone()  # nothing else of it is kept
        return int(found.sum())


class TrafficMonitor:
    """Looks at requests as they come, beside earlier codes of the same account. seed: of the cells of a
    Sketch."""

    def __init__(self, seed: int) -> None:
        self._seed, self._grids = seed, dict[int, Grids]()
        self._watched: OrderedDict[str, _AccountCodes] = OrderedDict()

    def look(self, account: str, images: int, latents: Tensor | None) -> Traffic:
        """What one request adds to the traffic of an account. latents: (images, latent_dim), where it sent
        codes."""
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
    """Which of some codes (N, d) lie nearer to another of them, or to one of `earlier` (M, d), than two of
    the prior do with chance SMALL_CHANCE, (N,) bool. (Half the squared distance of two codes of N(0, I) is
    chi-squared with d degrees of freedom.) Codes that were drawn closer to the origin are measured by their
    own size: their distances shrink with it."""
    others = torch.cat([latents, earlier]).double()
    size = min(1.0, others.square().mean().item())
    limit = 2 * size * float(chi2.ppf(SMALL_CHANCE, latents.shape[1]))
    exact = latents.shape[1] < NARROW
    mode = "donot_use_mm_for_euclid_dist" if exact else "use_mm_for_euclid_dist"
    near: list[Tensor] = []
    for start in range(0, len(latents), AT_ONCE):
        rows = others[start : start + min(AT_ONCE, len(latents) - start)]
        squared = torch.cdist(rows, others, compute_mode=mode).square()
        squared[torch.arange(len(rows)), start + torch.arange(len(rows))] = torch.inf  # of a code to itself
        near.append(squared.amin(1) <= limit)
    return torch.cat(near)


def signs(traffic: Traffic, today: int, others_today: Sequence[int]) -> list[Sign]:
    """The statistics of an account. today: images of its last day; others_today: of every account that asked
    for any."""
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
    return Sign("images of a day, of the median's", times, f"{TIMES_THE_MEDIAN:g} times", beyond)
