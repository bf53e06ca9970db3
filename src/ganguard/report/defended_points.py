"""Defences as points: what each costs honest users, and how near copies behind it come."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ganguard.report.findings import purchase_of
from ganguard.results.protection import Protection, protection, utility_distance
from ganguard.results.records import Against, AuditResults, DefenceRecord
from ganguard.results.verdicts import Distances
from ganguard.results.weak import weak_in
from ganguard.results.whose import Whose

UNDEFENDED = "no defence"


@dataclass(frozen=True)
class DefencePoint:
    """One defence, or none, in front of one attack.

    Attributes:
        defence: the defence's label; None without one.
        family: which curve the point lies on; empty without a defence.
        users: Fréchet distance to real images of what honest users get.
        loss: that, as a multiple of what it is without a defence.
        copies: distances of copies to the undefended target.
        dominated: whether another defence costs users no more and keeps copies at least as far away, or none
            keeps them as far away.
        failed: whether the closest adversary that trains did not learn what it bought, so that nothing is
            concluded.
    """

    defence: str | None
    family: str
    users: float
    loss: float
    copies: Protection
    dominated: bool = False
    failed: bool = False

    @property
    def label(self) -> str:
        """What the point is called in print."""
        return self.defence or UNDEFENDED

    @property
    def naive(self) -> float:
        """The mean distance of copies whose adversary does not know of the defence; NaN without any."""
        return mean_of(self.copies.naive)

    @property
    def closest(self) -> float:
        """The mean distance of the closest adversary's copies; NaN without any."""
        return mean_of(self.copies.closest)


def protection_of(
    results: AuditResults, attack: str, budget: int, defence: str | None, against: Against = "target"
) -> Protection:
    """Return how near an attack comes with one budget behind a defence, or without one."""
    bought = purchase_of(results, attack, budget)
    ask = bought.ask if bought else None
    return protection(results.measurements, attack, budget, defence, against, ask)


def points_of(results: AuditResults, attack: str, budget: int) -> tuple[DefencePoint, ...]:
    """Return the point without a defence, and one for each defence of which both sides were measured."""
    without = utility_distance(results.measurements, None)
    weak = [each.whose for each in weak_in(results)]
    found: list[DefencePoint] = []
    for record in (None, *results.defences):
        label, family = (record.label, _family(record, results.defences)) if record else (None, "")
        users = utility_distance(results.measurements, label)
        copies = protection_of(results, attack, budget, label)
        if users and without and without.value > 0 and copies.closest:
            who = copies.trained_by
            whose = Whose(attack=attack, query_budget=budget, defence=label, adversary=who)
            loss, failed = users.value / without.value, whose in weak
            found.append(DefencePoint(label, family, users.value, loss, copies, failed=failed))
    fair = [point for point in found if not point.failed]
    return tuple(point if point.failed else _marked(point, fair) for point in found)


def _marked(point: DefencePoint, every: Sequence[DefencePoint]) -> DefencePoint:
    """Return the point, marked if another makes it pointless."""
    beaten = [
        other
        for other in every
        if other != point
        and (other.loss <= point.loss or not other.family)
        and other.closest >= point.closest
        and (other.loss, -other.closest) != (point.loss, -point.closest)
    ]
    return replace(point, dominated=bool(point.family and beaten))


def _family(record: DefenceRecord, every: Iterable[DefenceRecord]) -> str:
    """Return the name of the curve that a defence lies on: its kinds, and settings that are not numbers.

    Settings are named if defences of the same kinds differ in them: no strength lies between two such
    defences.
    """
    alike = zip(*(other.settings for other in every if other.kinds == record.kinds), strict=False)
    said: list[str] = []
    for kind, mine, others in zip(record.kinds, record.settings, alike, strict=False):
        words = [kind]
        for name, value in mine.items():
            found = [other.get(name) for other in others]
            if value and any(isinstance(v, bool | str) for v in found) and any(v != value for v in found):
                words.append(name if value is True else f"{name} {value}")
        said.append(", ".join(words).replace("_", " "))
    return " + ".join(said)


def by_family(points: Sequence[DefencePoint]) -> dict[str, list[DefencePoint]]:
    """Return the points of each curve, in the order of the spec, by what they cost users.

    The point without a defence has the family "".
    """
    found: dict[str, list[DefencePoint]] = {}
    for point in points:
        found.setdefault(point.family, []).append(point)
    return {name: sorted(family, key=lambda p: p.loss) for name, family in found.items()}


def families(points: Sequence[DefencePoint]) -> dict[str, list[DefencePoint]]:
    """Return the same without the point that has no defence."""
    return {name: family for name, family in by_family(points).items() if name}


def mean_of(distances: Distances) -> float:
    """Return the mean over seeds; NaN without any."""
    return sum(distances.values()) / len(distances) if distances else math.nan
