"""The signs of copying, and their limits.

The limits are set so that honest customers, as `benchmarks/detection.py` simulates them, stay within them. A
statistic of codes is looked at in all windows at once (see `windows`), some hundred of them, after every few
codes. So the limit of each window leaves room for chance: a customer whose codes are no worse than the
constants below say exceeds it with probability CHANCE. In long windows the limit is close to these constants.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainccinv, gammaincinv
from scipy.stats import binom

from ganguard.gateway.watch.windows import LONGEST, Sums, Windows

CHANCE = 1e-8  # probability that an honest customer exceeds the limit in one window
FEWEST_CODES = 64  # in windows of fewer codes, nothing is a sign
NEAR_SHARE = 0.03  # share of codes next to another that honest customers may reach in the long run
LATTICE_SHARE = 0.1  # share of codes on a lattice that they may reach
# Mean square of an entry that they may reach: 1 under the prior, and 0.25 if truncated to half its size.
SQUARE_RANGE = (0.25, 1.25)
TIMES_THE_MEDIAN = 30.0  # limit on an account's images in a day, as a multiple of the accounts' median
FEWEST_ACCOUNTS = 5  # with fewer accounts, rates are not compared

RATE = "images in a day, relative to the median"
FAR = "codes far from the prior"
NEAR = "codes next to another"
LATTICE = "codes on a lattice"
ONE = "requests for one class or prompt"
NAMES = (RATE, FAR, NEAR, LATTICE)  # of every target; a conditional one has ONE, too


@dataclass(frozen=True)
class Sign:
    """One statistic of an account.

    Attributes:
        name: what is measured, one of NAMES, or ONE.
        value: a share of codes or requests, the mean square of an entry, or a multiple of the median; None if
            it is not known.
        limit: its limit: the most, or for a mean square below 1 the least.
        codes: the number of codes in the window that comes nearest to its limit, or exceeds it most; 0 for
            the rate. Of requests, their number.
        raised: whether the value is beyond the limit.
        of: the class or prompt that the sign is of, if it is of one.
    """

    name: str
    value: float | None
    limit: float
    codes: int
    raised: bool
    of: str = ""


def code_signs(windows: Windows) -> list[Sign]:
    """Return the statistics of an account's codes, each in its worst window; none if there are few codes."""
    sums = windows.sums()
    enough = sums.codes >= FEWEST_CODES
    if not enough.any():
        return []
    sums = Sums(*(column[enough] for column in sums))
    near, lattice = (
        _worst(name, sums, counted / sums.codes, limits[np.minimum(sums.codes, len(limits) - 1).astype(int)])
        for name, counted, limits in (
            (NEAR, sums.near, share_limits(NEAR_SHARE)),
            (LATTICE, sums.lattice, share_limits(LATTICE_SHARE)),
        )
    )
    return [_far(sums), near, lattice]


def rate_sign(today: int, others: float | None) -> Sign:
    """Return the statistic of an account's images in a day.

    Args:
        today: images that it asked for in the last day.
        others: the median of that over accounts; None if there are too few of them.
    """
    times = None if others is None else today / others
    return Sign(RATE, times, TIMES_THE_MEDIAN, 0, times is not None and times > TIMES_THE_MEDIAN)


def usual_rate(today: Sequence[int]) -> float | None:
    """Return the median of accounts' images in a day; None if fewer than FEWEST_ACCOUNTS asked for any."""
    return median(today) if len(today) >= FEWEST_ACCOUNTS else None


@cache
def share_limits(share: float) -> NDArray[np.float64]:
    """Return the limit of a share of codes in windows of 0, 1, 2 ... LONGEST codes.

    If each code counts with probability `share`, a window exceeds it with probability CHANCE.
    """
    codes = np.arange(1, LONGEST + 1)
    return np.concatenate([[1.0], binom.isf(CHANCE, codes, share) / codes])


def _far(sums: Sums) -> Sign:
    """Return the mean square of an entry. Its limits leave room for chance in so many entries."""
    low, high = SQUARE_RANGE
    square = sums.squares / sums.entries
    below_one, above_one = _by_chance(sums.entries)
    above = _worst(FAR, sums, square, high * above_one)
    least = low * below_one
    nearest = int(np.argmin(square / least))
    value, limit = float(square[nearest]), float(least[nearest])
    if above.raised or value > 1:
        return above
    return Sign(FAR, value, limit, int(sums.codes[nearest]), value < limit)


def _by_chance(draws: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return limits of the mean square of so many draws from N(0, 1).

    It is below the first one, and above the second one, with probability CHANCE.
    """
    logarithms, below, above = _chi_squared()
    return np.interp(np.log(draws), logarithms, below), np.interp(np.log(draws), logarithms, above)


@cache
def _chi_squared() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    draws = np.geomspace(FEWEST_CODES, 1e9, 500)
    half = draws / 2
    return np.log(draws), gammaincinv(half, CHANCE) / half, gammainccinv(half, CHANCE) / half


def _worst(name: str, sums: Sums, values: NDArray[np.float64], limits: NDArray[np.float64]) -> Sign:
    """Return the statistic in the window that exceeds its limit most, or comes nearest to it."""
    worst = int(np.argmax(values / limits))
    value, limit = float(values[worst]), float(limits[worst])
    return Sign(name, value, limit, int(sums.codes[worst]), value > limit)
