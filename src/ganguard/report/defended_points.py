"""Defences as points: what each costs honest users, and how near copies behind it come."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ganguard.report.findings import purchase_of
from ganguard.results.protection import Protection, protection, utility_distance
from ganguard.results.records import Against, AuditResults, DefenceRecord
from ganguard.results.verdicts import Distances, below_one
from ganguard.results.weak import weak_in
from ganguard.results.whose import Whose

UNDEFENDED = "no defence"
_BOTH_SIDES = 1.96  # standard errors: 95 % of a normal distribution


@dataclass(frozen=True)
class DefencePoint:
    """One defence, or none, in front of one attack.

    Attributes:
        defence: the defence's label; None without one.
        family: which curve the point lies on; empty without a defence.
        users: Fréchet distance to real images of what honest users get.
        users_error: its standard error; None if it is not known.
        loss: that, as a multiple of what it is without a defence.
        copies: distances of copies to the undefended target.
        dominated: whether another defence costs users less and keeps copies farther away, or no defence does
            the latter, as far as intervals of 95 % tell; see `_beats`.
        failed: whether the closest adversary that trains did not learn what it bought, so that nothing is
            concluded.
    """

    defence: str | None
    family: str
    users: float
    loss: float
    copies: Protection
    users_error: float | None = None
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
            error = users.spread
            found.append(DefencePoint(label, family, users.value, loss, copies, error, failed=failed))
    fair = [point for point in found if not point.failed]
    return tuple(point if point.failed else _marked(point, fair) for point in found)


def _marked(point: DefencePoint, every: Sequence[DefencePoint]) -> DefencePoint:
    """Return the point, marked if another makes it pointless."""
    beaten = point.family and any(_beats(other, point) for other in every if other != point)
    return replace(point, dominated=bool(beaten))


def _beats(other: DefencePoint, point: DefencePoint) -> bool:
    """Return whether `other` surely costs users less than a defence, and surely keeps copies farther away.

    Each side has its own interval of 95 %: of the mean log-ratio of distances of copies, paired by seed
    (Student's t), and of the difference of users' distances (normal, by the standard errors of measuring).
    Both must exclude equality, so that the chance of a wrong word is at most that of one of them. No defence
    costs nothing by itself. One seed gives no interval, and so no such word.
    """
    cheaper = not other.family or _surely_less(other, point)
    farther = below_one("", "", point.copies.closest, other.copies.closest)
    return cheaper and farther.outcome == "holds"


def _surely_less(one: DefencePoint, other: DefencePoint) -> bool:
    """Return whether one costs users less than the other, beyond the errors of measuring both."""
    if one.users_error is None or other.users_error is None:
        return False
    return other.users - one.users > _BOTH_SIDES * math.hypot(one.users_error, other.users_error)


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
