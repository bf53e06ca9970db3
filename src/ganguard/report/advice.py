"""Which defence to use, in words: the best of those that the seeds distinguish from none, and a warning."""

import math
from collections.abc import Sequence

from ganguard.report.defended_points import DefencePoint
from ganguard.report.numbers import interval, listed, number
from ganguard.results.intervals import t_interval
from ganguard.results.protection import NAIVE, REPLAY, SORTED_REPLAY, replay_label
from ganguard.results.verdicts import log_ratios

STATED = 1.5
"""What a recommended defence may cost users: so many times the undefended distance to real images."""
_LEFT = f"within {STATED:g} times their undefended distance to real images"
_UNAWARE = (NAIVE, REPLAY, replay_label(NAIVE, SORTED_REPLAY))  # adversaries that need not know of a defence


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
        return f"{allowed_in_words(0).capitalize()}."
    best = max(allowed, key=lambda p: p.closest)
    if best.closest <= none.closest:
        return _useless(best, none, len(allowed))
    ratios = {p.label: found for p in allowed if (found := _times(p, none))}
    told = [p for p in allowed if p.closest > none.closest and p.label in ratios and ratios[p.label][0] > 1]
    if told:
        return _recommended(told, best, none, len(allowed), ratios)
    said = _furthest(best, none, len(allowed))
    if best.label not in ratios:
        return f"{said} One seed gives no interval, so this is no recommendation yet: run more seeds."
    beside = (
        "the interval does not exclude 1"
        if len(allowed) == 1
        else "its interval does not exclude 1, nor does another's"
    )
    worth = "It is not" if len(allowed) == 1 else "None is"
    return f"{said} {worth} worth it at that price: {beside} ({_backed(best, none, ratios)})."


def allowed_in_words(count: int, *, best_of: bool = False, keeping: bool = False) -> str:
    """Return which defences leave honest users enough.

    Args:
        count: of these defences.
        best_of: whether the words follow the name of the best of them.
        keeping: with none, whether none of those that leave users enough keeps copies away.
    """
    if count == 0 and keeping:
        return f"no defence that leaves honest users {_LEFT} keeps copies further away"
    if count == 0:
        return f"no defence leaves honest users {_LEFT}"
    if count == 1:
        return f"the one defence that leaves honest users {_LEFT}"
    return f"{'the best of ' if best_of else ''}{count} defences that leave honest users {_LEFT}"


def _useless(best: DefencePoint, none: DefencePoint, count: int) -> str:
    """Return that none of the `count` allowed defences keeps copies further away than none does."""
    seeds = ", on this one seed." if len(none.copies.closest) == 1 else "."
    if count == 1:
        return (
            f"{best.label}, {allowed_in_words(1)}, does not keep copies further away than no defence does "
            f"(FD {number(none.closest)}): behind it the closest copy is at FD {number(best.closest)}. It is "
            f"not worth it at that price{seeds}"
        )
    return (
        f"None of the {allowed_in_words(count)} keeps copies further away than no defence does (FD "
        f"{number(none.closest)}): behind the best of them, {best.label}, the closest copy is at FD "
        f"{number(best.closest)}. None is worth it at that price{seeds}"
    )


def _recommended(
    told: Sequence[DefencePoint],
    best: DefencePoint,
    none: DefencePoint,
    count: int,
    ratios: dict[str, tuple[float, float]],
) -> str:
    """Return which of the defences with an interval above 1 to use, and what speaks against the best mean.

    Args:
        told: the defences whose intervals exclude 1.
        best: the defence with the greatest mean distance, whether or not its interval excludes 1.
        none: the point without a defence.
        count: of the defences that were allowed.
        ratios: intervals by label of the defence.
    """
    chosen = max(told, key=lambda p: p.closest)
    told_apart = 0 if chosen is best else len(told)
    said = (
        f"{_furthest(chosen, none, count, told_apart)} Use it, if that price is right "
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


def _furthest(point: DefencePoint, none: DefencePoint, count: int, told: int = 0) -> str:
    """Return how far a defence keeps copies.

    Args:
        point, none: the defence, and the point without one.
        count: of the defences that were allowed.
        told: how many of them can be told from no defence, if the one with the greatest mean cannot.
    """
    times = number(point.closest / none.closest)
    found = (
        f"the closest adversary's is at FD {number(point.closest)}, {times} times as far as without a "
        f"defence ({number(none.closest)})."
    )
    if count == 1:
        return f"{point.label}, {allowed_in_words(1)}, keeps copies further away: {found}"
    who = f"Of the {allowed_in_words(count)},"
    if told == 1:
        return (
            f"{who} only {point.label} can be told from no defence: the 95 % interval excludes 1. It keeps "
            f"copies further away: {found}"
        )
    apart = f" {told} can be told from no defence: the 95 % interval excludes 1. Of these," if told else ""
    return f"{who}{apart} {point.label} keeps copies furthest away: {found}"


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
        if p.family and p.copies.naive and p.copies.closest_adversary not in _UNAWARE and p.closest > 0
    ]
    worst = max(both, key=lambda p: p.naive / p.closest, default=None)
    if worst is None:
        return ""
    others = {p.copies.closest_adversary for p in points if p.family} - {None, *_UNAWARE}
    seen = f"The adversaries that know of the defence ({listed(sorted(map(str, others)))})"
    return (
        f"Against an adversary that does not know of it, {worst.label} seems to keep copies at FD "
        f"{number(worst.naive)}. {seen} come as near as FD {number(worst.closest)}: a defence that stops "
        "only the naive adversary is no defence."
    )
