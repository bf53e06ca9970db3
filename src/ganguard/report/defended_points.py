"""Defences as points: what each costs honest users, and how near the copies behind it come."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ganguard.results.protection import Protection, protection, utility_distance
from ganguard.results.records import AuditResults, DefenceRecord
from ganguard.results.verdicts import Distances

UNDEFENDED = "no defence"


@dataclass(frozen=True)
class Point:
    """One defence in front of one attack. users: FD to real images; loss: that, over what it is without a
    defence. copies:
    distances to the undefended target. family: whose curve it lies on; empty without a defence. dominated:
    another costs users no more and keeps copies at least as far away, or it keeps them no further away than
    none."""

    label: str
    family: str
    users: float
    loss: float
    copies: Protection
    dominated: bool = False

    @property
    def naive(self) -> float:
        """Mean distance of the copy of who does not know of it; NaN where there is none."""
        return mean_of(self.copies.naive)

    @property
    def closest(self) -> float:
        """Mean distance of the closest adversary's copy; NaN where there is none."""
        return mean_of(self.copies.closest)


def points_of(results: AuditResults, attack: str, budget: int) -> tuple[Point, ...]:
    """Without a defence, and behind each; those of which neither side was measured are left out."""
    without = utility_distance(results.measurements, None)
    found: list[Point] = []
    for record in (None, *results.defences):
        label, family = (record.label, _family(record, results.defences)) if record else (UNDEFENDED, "")
        users = utility_distance(results.measurements, record.label if record else None)
        copies = protection(results.measurements, attack, budget, record.label if record else None)
        if users and without and without.value > 0 and copies.closest:
            found.append(Point(label, family, users.value, users.value / without.value, copies))
    return tuple(_marked(point, found) for point in found)


def _marked(point: Point, every: Sequence[Point]) -> Point:
    """A defence that another makes pointless."""
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
    """Its kinds, and, where defences of the same kinds differ in settings that are no numbers, those: no
    strength lies between such two."""
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


def by_family(points: Sequence[Point]) -> dict[str, list[Point]]:
    """Points of one curve each, the weakest first by what they cost users."""
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.family or UNDEFENDED, []).append(point)
    return {name: sorted(family, key=lambda p: p.loss) for name, family in found.items()}


def families(points: Sequence[Point]) -> dict[str, list[Point]]:
    """Points by curve, in the order of the spec, each by what it costs users; the undefended one is left
    out."""
    return {name: family for name, family in by_family(points).items() if name != UNDEFENDED}


def mean_of(distances: Distances) -> float:
    """The mean over seeds; NaN without any."""
    return sum(distances.values()) / len(distances) if distances else math.nan
