"""How near could an account's images bring a copy? Read off an audit's results.json: budgets, and how near
copies came.

Between audited budgets distances are interpolated on logarithmic axes. Below the smallest a copy is no
nearer, and above the largest no farther, than what was measured there: as far as that is known.
"""

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from scipy.stats import t as student

from ganguard.base.errors import DataError
from ganguard.base.settings import GREATEST, read_record

NAIVE = "naive"
NEAREST = 1e-6  # what a distance of 0 counts as, which has no logarithm
Where = Literal["between", "below", "above"]


class _Known(BaseModel):
    """What is read of results.json, whose schema is docs/results.schema.json; the rest of it is left
    unread."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Measurement(_Known):
    subject: str
    metric: str
    against: str
    attack: str | None = None
    query_budget: Annotated[int, Field(gt=0)] | None = None
    seed: int | None = None
    defence: str | None = None
    adversary: str | None = None
    value: Annotated[float, Field(ge=-GREATEST, le=GREATEST)]
    spread: Annotated[float, Field(ge=0, le=GREATEST)] | None = None


class _Results(_Known):
    format: Literal[1]
    name: str
    measurements: tuple[_Measurement, ...]


@dataclass(frozen=True)
class ClosestCopy:
    """The closest copy of one budget: its distance, and a 95 % interval."""

    budget: int
    distance: float
    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """How near a copy from so many images would come. where: whether the audit measured budgets on both
    sides; "below" the smallest it is no nearer than `distance`, "above" the largest no farther."""

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
    """Of one defence, by ascending budget: copies by adversaries who do not know of it, and the closest by
    any. defence: whose; None where that defence was not audited and the undefended target's stand in."""

    naive: Curve
    adaptive: Curve
    defence: str | None


class Audited:
    """What an audit found about copies."""

    def __init__(self, results: Path) -> None:
        path = results / "results.json" if results.is_dir() else results
        found = read_record(path, _Results, DataError)
        self.name = found.name
        self._copies = [m for m in found.measurements if _of_a_copy(m)]
        if not self._copies:
            raise DataError(
                f"{path}: no copy was measured against its target. Give the results of an audit with attacks."
            )

    def curves(self, defence: str) -> Curves:
        """Behind a defence, by its label ("none" too)."""
        wanted = None if defence == "none" else defence
        rows = [m for m in self._copies if m.defence == wanted]
        if not rows:
            rows, wanted = [m for m in self._copies if m.defence is None] or self._copies, None
        naive = [m for m in rows if m.adversary in (None, NAIVE)] or rows
        return Curves(_closest(naive), _closest(rows), wanted)


def _of_a_copy(m: _Measurement) -> bool:
    whose = m.subject == "substitute" and m.metric == "frechet_distance" and m.against == "target"
    return whose and m.query_budget is not None


def _closest(rows: list[_Measurement]) -> Curve:
    """At each budget the copy, by attack and adversary, whose mean over seeds is nearest, of this or a
    smaller purchase."""
    copies: defaultdict[int, defaultdict[tuple[str | None, str | None], list[_Measurement]]]
    copies = defaultdict(lambda: defaultdict(list))
    for m in rows:
        copies[m.query_budget or 0][m.attack, m.adversary].append(m)
    points = [
        min((_point(budget, c) for c in copies[budget].values()), key=lambda p: p.distance)
        for budget in sorted(copies)
    ]
    return tuple(accumulate(points, _no_farther))


def _no_farther(fewer: ClosestCopy, more: ClosestCopy) -> ClosestCopy:
    """Who bought more holds the smaller purchase too, and the copy from it."""
    return replace(fewer, budget=more.budget) if fewer.distance < more.distance else more


def _point(budget: int, copies: list[_Measurement]) -> ClosestCopy:
    """The geometric mean over seeds, and its 95 % interval: over seeds, or with one seed of measuring so many
    images."""
    by_seed: defaultdict[int | None, list[_Measurement]] = defaultdict(list)
    for m in copies:
        by_seed[m.seed].append(m)
    logs = [math.log(max(sum(m.value for m in of) / len(of), NEAREST)) for of in by_seed.values()]
    mean = sum(logs) / len(logs)
    if len(logs) > 1:
        error = math.sqrt(sum((value - mean) ** 2 for value in logs) / (len(logs) - 1) / len(logs))
        half = float(student.ppf(0.975, len(logs) - 1)) * error
    else:
        half = 1.96 * max(((m.spread or 0.0) / max(m.value, NEAREST) for m in copies), default=0.0)
    half = min(half, math.log(GREATEST) / 2)
    distance = math.exp(mean)
    return ClosestCopy(budget, distance, distance * math.exp(-half), distance * math.exp(half))


def estimate(curve: Curve, images: int) -> Estimate:
    """How near a copy from so many images would come, by the curve of an audit."""
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
