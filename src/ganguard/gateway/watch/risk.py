"""Extraction risk: how near to the target a copy trained on an account's images could come.

The estimate is read off an audit's results.json, which holds the distances of copies at several query
budgets. Distances between audited budgets are interpolated on logarithmic axes. Outside them the nearest
measurement is a bound: a copy from fewer images than the smallest budget is taken to be no nearer, and one
from more images than the largest budget to be no farther.

The bought images themselves count as a copy: handing them out again needs no training.
"""

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from ganguard.base.errors import DataError, SpecError
from ganguard.base.settings import GREATEST, read_record, shortened
from ganguard.results.intervals import t_interval
from ganguard.results.measures import DISTANCE, WITHIN
from ganguard.results.whose import Whose
from ganguard.targets.ask import UNIFORM

NAIVE = "naive"
NEAREST = 1e-6  # stands in for a distance of 0, which has no logarithm
Where = Literal["between", "below", "above"]


class _Known(BaseModel):
    """Base of the records read from results.json, whose schema is docs/results.schema.json.

    Other keys are ignored.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Measurement(Whose):
    model_config = ConfigDict(extra="ignore")
    subject: str
    metric: str
    against: str
    condition: str | None = None
    ask: str | None = None
    value: Annotated[float, Field(ge=-GREATEST, le=GREATEST)]
    spread: Annotated[float, Field(ge=0, le=GREATEST)] | None = None


class _Conditions(_Known):
    names: Annotated[tuple[str, ...], Field(min_length=1)]


class _Target(_Known):
    identity: str = ""
    reference: str | None = None
    conditions: _Conditions | None = None


class _Ask(_Known):
    digest: str


class _Attack(_Known):
    label: str
    ask: _Ask | None = None


class _Results(_Known):
    format: Literal[1]
    name: str
    target: _Target = _Target()
    attacks: tuple[_Attack, ...] = ()
    measurements: tuple[_Measurement, ...]


@dataclass(frozen=True)
class ClosestCopy:
    """The closest copy at one query budget.

    Attributes:
        budget: the query budget.
        distance: the copy's Fréchet distance to the target.
        low, high: a 95 % interval of the distance.
    """

    budget: int
    distance: float
    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """How near a copy from a given number of images would come.

    Attributes:
        distance: the estimated Fréchet distance to the target.
        low, high: a 95 % interval of the distance.
        where: where the number of images lies relative to the audited budgets. "between": the distance is
            interpolated; "below" the smallest: the copy is no nearer than `distance`; "above" the largest: it
            is no farther.
    """

    distance: float
    low: float
    high: float
    where: Where

    def __str__(self) -> str:
        sign = {"between": "≈", "below": "≥", "above": "≤"}[self.where]
        return f"{sign} {self.distance:.3g} ({self.low:.3g} to {self.high:.3g})"


Curve = tuple[ClosestCopy, ...]


@dataclass(frozen=True)
class Curves:
    """The distances of copies behind one defence, by ascending budget.

    Attributes:
        naive: the closest copies by adversaries who do not know of the defence.
        adaptive: the closest copies by any adversary.
        defence: the label of the defence; None if the curves are those of the undefended target, because
            there is no defence or because the defence was not audited.
    """

    naive: Curve
    adaptive: Curve
    defence: str | None


@dataclass(frozen=True)
class Risk:
    """How near copies from the images that an account has bought could come.

    Attributes:
        naive: the estimate for an adversary that does not know of the defence.
        adaptive: the estimate for the closest adversary.
        audited: whether the defences of the account's class were audited; if not, the estimates are those
            without a defence.
    """

    naive: Estimate
    adaptive: Estimate
    audited: bool


class Audited:
    """The copies that an audit measured.

    Args:
        results: an audit's directory, or its results.json. Raises DataError if it cannot be read, or if it
            holds no copy that was measured against its target.
    """

    def __init__(self, results: Path) -> None:
        path = results / "results.json" if results.is_dir() else results
        found = read_record(path, _Results, DataError)
        self.name, self._path = found.name, path
        self._generators = {found.target.identity, found.target.reference} - {"", None}
        self._copies = [m for m in found.measurements if _to_target(m, DISTANCE) and m.condition is None]
        self._within = _by_condition(found)
        if not any(m.subject == "substitute" for m in self._copies):
            raise DataError(
                f"{path}: no copy was measured against its target. Give the results of an audit with attacks."
            )

    def require_of(self, identity: str) -> None:
        """Raise SpecError unless the audit is of the generator with this identity.

        The owner's generator behind an API is known by the reference that the audit was given.
        """
        if identity not in self._generators:
            found = ", ".join(sorted(shortened(each) for each in self._generators if each)) or "none"
            raise SpecError(
                f"risk.results: {self._path} is an audit of another generator: this gateway serves "
                f"{shortened(identity)}, it names {found}. Audit the one that is served (for a target at a "
                "url, name it as the audit's reference); or set risk.even_if: another_generator if the "
                "numbers hold for this one too."
            )

    def curves(self, defence: str) -> Curves:
        """Return the curves behind the defence with this label ("none" for no defence).

        Falls back to the undefended target if the defence was not audited.
        """
        rows, wanted = _behind(self._copies, defence)
        naive = [m for m in rows if m.adversary in (None, NAIVE)] or rows
        return Curves(_closest(naive), _closest(rows), wanted)

    def curve_within(self, condition: str, defence: str) -> Curve:
        """Return the closest copies within one condition, by any adversary, by images of that condition.

        Falls back as `curves` does. It is empty if no copy was measured within the condition.
        """
        rows = self._within.get(condition, [])
        return _closest(_behind(rows, defence)[0]) if rows else ()


def _to_target(m: _Measurement, metric: str) -> bool:
    """Return whether a number is how far a copy, or bought images, are from the target."""
    of_adversary = m.subject in ("substitute", "purchase", "sorted") and m.query_budget is not None
    return of_adversary and m.metric == metric and m.against == "target"


def _behind(copies: list[_Measurement], defence: str) -> tuple[list[_Measurement], str | None]:
    """Return the copies behind a defence, and its label; those of the undefended target, and None, if there
    are none."""
    wanted = None if defence == "none" else defence
    if rows := [m for m in copies if m.defence == wanted]:
        return rows, wanted
    return [m for m in copies if m.defence is None] or copies, None


def _by_condition(found: _Results) -> dict[str, list[_Measurement]]:
    """Return the distances of copies within each condition, by images of that condition.

    Only of attacks that asked for all conditions equally often is it known how many images of each they had.
    """
    conditions = found.target.conditions
    if conditions is None:
        return {}
    uniform = {
        attack.label for attack in found.attacks if attack.ask and attack.ask.digest == UNIFORM.digest()
    }
    within: defaultdict[str, list[_Measurement]] = defaultdict(list)
    for m in found.measurements:
        if m.condition is not None and m.attack in uniform and _to_target(m, WITHIN):
            images = max(1, (m.query_budget or 0) // len(conditions.names))
            within[m.condition].append(m.model_copy(update={"query_budget": images}))
    return dict(within)


def _closest(rows: list[_Measurement]) -> Curve:
    """Return the closest copy at each budget, by ascending budget.

    Copies are grouped by attack and adversary, bought images by how they were asked for, and compared by
    their mean over seeds. A copy from a smaller purchase counts if it is closer.
    """
    copies: defaultdict[int, defaultdict[tuple[str | None, ...], list[_Measurement]]]
    copies = defaultdict(lambda: defaultdict(list))
    for m in rows:
        copies[m.query_budget or 0][m.subject, m.attack, m.adversary, m.ask].append(m)
    points = [
        min((_point(budget, c) for c in copies[budget].values()), key=lambda p: p.distance)
        for budget in sorted(copies)
    ]
    return tuple(accumulate(points, _no_farther))


def _no_farther(fewer: ClosestCopy, more: ClosestCopy) -> ClosestCopy:
    """Return the closer copy, at the larger budget: a larger purchase contains the smaller one."""
    return replace(fewer, budget=more.budget) if fewer.distance < more.distance else more


def _point(budget: int, copies: list[_Measurement]) -> ClosestCopy:
    """Return the geometric mean over seeds, with a 95 % interval.

    The interval is Student's over seeds. With a single seed it comes from the measurement's own spread, which
    is due to the finite number of images compared.
    """
    by_seed: defaultdict[int | None, list[_Measurement]] = defaultdict(list)
    for m in copies:
        by_seed[m.seed].append(m)
    logs = [math.log(max(sum(m.value for m in of) / len(of), NEAREST)) for of in by_seed.values()]
    if len(logs) > 1:
        mean, half = t_interval(logs)
    else:
        mean = logs[0]
        half = 1.96 * max(((m.spread or 0.0) / max(m.value, NEAREST) for m in copies), default=0.0)
    half = min(half, math.log(GREATEST) / 2)
    distance = math.exp(mean)
    return ClosestCopy(budget, distance, distance * math.exp(-half), distance * math.exp(half))


def estimate(curve: Curve, images: int) -> Estimate:
    """Estimate how near a copy from `images` images would come, from an audit's curve (not empty)."""
    first, last = curve[0], curve[-1]
    if images <= first.budget:
        return Estimate(
            first.distance, first.low, first.high, "between" if images == first.budget else "below"
        )
    if images >= last.budget:
        return Estimate(last.distance, last.low, last.high, "between" if images == last.budget else "above")
    left, right = next((a, b) for a, b in pairwise(curve) if a.budget <= images < b.budget)
    share = math.log(images / left.budget) / math.log(right.budget / left.budget)

    def between(a: float, b: float) -> float:
        return math.exp((1 - share) * math.log(a) + share * math.log(b))

    return Estimate(
        between(left.distance, right.distance),
        between(left.low, right.low),
        between(left.high, right.high),
        "between",
    )


def distances(curve: Curve, images: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Estimate the same for many accounts at once.

    Args:
        curve: an audit's curve, not empty.
        images: images that each account has bought, at least 1.

    Returns:
        For each account the estimated distance, and whether it is only known that a copy is no nearer.
    """
    budgets = np.array([point.budget for point in curve], np.float64)
    logarithms = np.log([point.distance for point in curve])
    return np.exp(np.interp(np.log(images), np.log(budgets), logarithms)), images < curve[0].budget
