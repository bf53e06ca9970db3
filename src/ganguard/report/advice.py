"""Which defence to use, in words: the best of those that the seeds distinguish from none, and a warning."""

import math
from collections.abc import Sequence

from ganguard.report.defended_points import DefencePoint
from ganguard.report.numbers import interval, listed, number
from ganguard.results.intervals import t_interval
from ganguard.results.protection import NAIVE
from ganguard.results.verdicts import log_ratios

STATED = 1.5
"""What a recommended defence may cost users: so many times the undefended distance to real images."""
_LEFT = f"within {STATED:g} times their undefended distance to real images"


def advice(points: Sequence[DefencePoint]) -> tuple[str, ...]:
    """Return a recommendation, and a warning if there is cause for one.

    Args:
        points: without a defence, and behind each.
    """
    return tuple(filter(None, (_best(points), _illusion(points))))


def _best(points: Sequence[DefencePoint]) -> str:
    """Return which defence to use at the stated loss, or that none is worth it, and on which interval."""
    none = next((p for p in points if not p.family), None)
    allowed = [p for p in points if p.family and p.loss <= STATED]
    if none is None or not allowed:
        return f"No defence leaves honest users {_LEFT}."
    who = f"{len(allowed)} defences that leave honest users {_LEFT}"
    best = max(allowed, key=lambda p: p.closest)
    if best.closest <= none.closest:
        return (
            f"None of the {who} keeps copies further away than no defence does (FD {number(none.closest)}): "
            f"behind the best of them, {best.label}, the closest copy is at FD {number(best.closest)}. None "
            "is worth it at that price" + (", on this one seed." if len(none.copies.closest) == 1 else ".")
        )
    ratios = {p.label: found for p in allowed if (found := _times(p, none))}
    told = [p for p in allowed if p.closest > none.closest and p.label in ratios and ratios[p.label][0] > 1]
    if told:
        return _recommended(told, best, none, who, ratios)
    said = f"Of the {who}, {_furthest(best, none)}"
    if best.label not in ratios:
        return f"{said} One seed gives no interval, so this is no recommendation yet: run more seeds."
    beside = (
        "the interval does not exclude 1"
        if len(allowed) == 1
        else "its interval does not exclude 1, nor does another's"
    )
    return f"{said} None is worth it at that price: {beside} ({_backed(best, none, ratios)})."


def _recommended(
    told: Sequence[DefencePoint],
    best: DefencePoint,
    none: DefencePoint,
    who: str,
    ratios: dict[str, tuple[float, float]],
) -> str:
    """Return which of the defences with an interval above 1 to use, and what speaks against the best mean.

    Args:
        told: the defences whose intervals exclude 1.
        best: the defence with the greatest mean distance, whether or not its interval excludes 1.
        none: the point without a defence.
        who: the defences that were allowed, in words.
        ratios: intervals by label of the defence.
    """
    chosen = max(told, key=lambda p: p.closest)
    apart = f"{len(told)} can be told from no defence: the 95 % interval excludes 1. Of these, "
    first = "" if chosen is best else apart
    said = (
        f"Of the {who}, {first}{_furthest(chosen, none)} Use it, if that price is right "
        f"({_backed(chosen, none, ratios)}; it was chosen as the best on these same seeds)."
    )
    if chosen is best:
        return said
    unclear = (
        f"its interval does not exclude 1 ({_backed(best, none, ratios)})"
        if best.label in ratios
        else "it has no interval"
    )
    return f"{said} Behind {best.label} the mean is greater, FD {number(best.closest)}, but {unclear}."


def _furthest(point: DefencePoint, none: DefencePoint) -> str:
    times = number(point.closest / none.closest)
    return (
        f"{point.label} keeps copies furthest away: the closest adversary's is at FD "
        f"{number(point.closest)}, {times} times as far as without a defence ({number(none.closest)})."
    )


def _times(point: DefencePoint, none: DefencePoint) -> tuple[float, float] | None:
    """Return the 95 % interval of how many times as far copies are kept as without a defence.

    None with fewer than two seeds.
    """
    logs = list(log_ratios(point.copies.closest, none.copies.closest).values())
    if len(logs) < 2:
        return None
    found = t_interval(logs)
    return math.exp(found.low), math.exp(found.high)


def _backed(point: DefencePoint, none: DefencePoint, ratios: dict[str, tuple[float, float]]) -> str:
    seeds = len(log_ratios(point.copies.closest, none.copies.closest))
    return f"95 % interval {interval(*ratios[point.label])} times, over {seeds} seeds"


def _illusion(points: Sequence[DefencePoint]) -> str:
    """Return a warning of the defence that seems to protect most if only naive adversaries are considered."""
    both = [
        p
        for p in points
        if p.family and p.copies.naive and p.copies.closest_adversary != NAIVE and p.closest > 0
    ]
    worst = max(both, key=lambda p: p.naive / p.closest, default=None)
    if worst is None:
        return ""
    others = {p.copies.closest_adversary for p in points if p.family} - {None, NAIVE}
    seen = f"The adversaries that know of the defence ({listed(sorted(map(str, others)))})"
    return (
        f"Against an adversary that does not know of it, {worst.label} seems to keep copies at FD "
        f"{number(worst.naive)}. {seen} come as near as FD {number(worst.closest)}: a defence that stops "
        "only the naive adversary is no defence."
    )
