"""Verdicts on many comparisons at once: the more there are, the likelier it is that one is decided by chance.

Within a relation, Holm's step-down procedure (Holm 1979, "A Simple Sequentially Rejective Multiple Test
Procedure") holds the chance of any wrong decision at 5 %. Of m comparisons with p-values p_1 <= ... <= p_m,
the corrected p-value is

    p'_k = max over i <= k of (m - i + 1) p_i

and the k-th comparison is decided if p'_k <= 0.05.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from ganguard.results.intervals import CONFIDENCE
from ganguard.results.records import Verdict


class _LogRatio(NamedTuple):
    """The mean of log-ratios over seeds, its standard error, and the degrees of freedom."""

    mean: float
    error: float
    freedom: int


def corrected(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return verdicts whose outcomes hold together, relation by relation, in the order given.

    An outcome that does not outlast the correction becomes "undecided". Verdicts without an interval take no
    part, since they decide nothing.
    """
    found = list(verdicts)
    for relation in dict.fromkeys(verdict.relation for verdict in found):
        logs = {
            place: log
            for place, verdict in enumerate(found)
            if verdict.relation == relation and (log := _log_ratio(verdict))
        }
        if len(logs) < 2:
            continue
        for place, half in zip(logs, _half_widths(list(logs.values())), strict=True):
            found[place] = _widened(found[place], logs[place].mean, half, len(logs))
    return found


def _log_ratio(verdict: Verdict) -> _LogRatio | None:
    """Return what a verdict's 95 % interval was made of, or None if it has no interval."""
    from scipy.stats import t  # takes a second to import, which no reader of results should wait for

    if not (verdict.ratio and verdict.low and verdict.high):
        return None
    freedom = verdict.seeds - 1
    half = math.log(verdict.high / verdict.low) / 2
    return _LogRatio(math.log(verdict.ratio), half / float(t.ppf((1 + CONFIDENCE) / 2, freedom)), freedom)


def _half_widths(logs: Sequence[_LogRatio]) -> list[float]:
    """Return half the width of each corrected interval.

    It includes 0 if, and only if, the corrected p-value is above 5 %.
    """
    from scipy.stats import t

    many = len(logs)
    p = [
        2 * float(t.sf(abs(log.mean) / log.error, log.freedom)) if log.error else float(log.mean == 0)
        for log in logs
    ]
    ascending = sorted(range(many), key=p.__getitem__)
    together = accumulate(((many - k) * p[place] for k, place in enumerate(ascending)), max)
    halves = [0.0] * many
    for k, (place, corrected_p) in enumerate(zip(ascending, together, strict=True)):
        share = p[place] / corrected_p if corrected_p else 1 / (many - k)
        quantile = float(t.ppf(1 - (1 - CONFIDENCE) * share / 2, logs[place].freedom))
        halves[place] = quantile * logs[place].error
    return halves


def _widened(verdict: Verdict, mean: float, half: float, many: int) -> Verdict:
    """Return a verdict with its corrected interval, and the outcome that this leaves."""
    said: dict[str, object] = {
        "corrected_low": math.exp(mean - half),
        "corrected_high": math.exp(mean + half),
    }
    if verdict.outcome != "undecided":
        lost = abs(mean) <= half
        but = "and includes it once" if lost else "also"
        said["reason"] = f"{verdict.reason}, {but} corrected for {many} comparisons"
        said["outcome"] = "undecided" if lost else verdict.outcome
    return verdict.model_copy(update=said)
