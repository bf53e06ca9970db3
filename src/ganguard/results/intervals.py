"""How well a mean of few numbers is known."""

import math
from collections.abc import Sequence
from statistics import fmean, variance
from typing import NamedTuple

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean, and how far its interval reaches to both sides."""

    mean: float
    half: float

    @property
    def low(self) -> float:
        """The lower end."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """The upper end."""
        return self.mean + self.half


def t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return the t-interval of the mean of n numbers, at least two:

        mean ± t s / √n

    with s their sample standard deviation and t the quantile (1 + confidence) / 2 of Student's distribution
    with n - 1 degrees of freedom.
    """
    from scipy.stats import t  # takes a second to import, which no reader of results should wait for

    count = len(values)
    mean = sum(values) / count
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (count - 1))
    return Interval(mean, float(t.ppf((1 + confidence) / 2, count - 1)) * deviation / math.sqrt(count))


def welch_interval(one: Sequence[float], other: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return Welch's t-interval of the difference of two means, each of at least two independent numbers:

        mean(a) - mean(b) ± t √(a² + b²)

    with a, b the standard errors of the two means, and t the quantile (1 + confidence) / 2 of Student's
    distribution with (a² + b²)² / (a⁴ / (n - 1) + b⁴ / (m - 1)) degrees of freedom (Welch 1947). The groups
    may vary differently. It reaches NaN far if neither group varies.
    """
    from scipy.stats import t

    squares = [variance(values) / len(values) for values in (one, other)]
    difference = fmean(one) - fmean(other)
    if sum(squares) == 0:
        return Interval(difference, math.nan)
    share = [square**2 / (len(values) - 1) for square, values in zip(squares, (one, other), strict=True)]
    freedom = sum(squares) ** 2 / sum(share)
    return Interval(difference, float(t.ppf((1 + confidence) / 2, freedom)) * math.sqrt(sum(squares)))
