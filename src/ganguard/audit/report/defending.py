"""Which defence, at what price? Copies behind each defence against what it leaves to honest users, in words and tables."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ganguard.audit.protection import NAIVE, Protection, protection, utility_distance
from ganguard.audit.report.grids import Gallery, Grid
from ganguard.audit.report.numbers import DASH, interval, listed, number, whole
from ganguard.audit.report.tables import Group, Row
from ganguard.audit.results import Against, AuditResults, DefenceRecord
from ganguard.audit.verdicts import Distances, log_interval, log_ratios

LOSSES = (1.1, 1.5, 2.0)  # times the undefended distance to real images, at which defences are compared
STATED = 1.5  # the one that is spoken of in words
UNDEFENDED = "no defence"
UTILITY: tuple[tuple[str, str, Against], ...] = (  # what honest users get: heading, metric, against what
    ("FD to real", "frechet_distance", "reference"),
    ("FD to undefended", "frechet_distance", "target"),
    ("coverage", "coverage", "reference"),
    ("PSNR, dB", "psnr", "undefended"),
    ("SSIM", "ssim", "undefended"),
    ("PIQE", "piqe", "nothing"),
    ("NIQE", "niqe", "nothing"),
)
COLUMNS = (
    "users: FD to real", "times undefended", "coverage", "PSNR, dB", "SSIM", "PIQE", "naive copy: FD", "closest copy: FD",
    "closest adversary", "closest to real: FD",
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    """One defence in front of one attack. users: FD to real images; loss: that, over what it is without a defence. copies:
    distances to the undefended target. family: whose curve it lies on; empty without a defence. dominated: another costs users
    no more and keeps copies at least as far away, or it keeps them no further away than none."""

    label: str
    family: str
    users: float
    loss: float
    copies: Protection
    dominated: bool = False

    @property
    def naive(self) -> float:
        """Mean distance of the copy of who does not know of it; NaN where there is none."""
        return _mean(self.copies.naive)

    @property
    def closest(self) -> float:
        """Mean distance of the closest adversary's copy; NaN where there is none."""
        return _mean(self.copies.closest)


@dataclass(frozen=True)
class Defended:
    """What is said of one attack. points: none first. table: a group a kind, under columns. at_equal_loss: a row a kind."""

    heading: str
    points: tuple[Point, ...]
    remarks: tuple[str, ...]
    columns: tuple[str, ...]
    table: tuple[Group, ...]
    at_equal_loss: tuple[Row, ...]


@dataclass(frozen=True)
class DefendingSection:
    """The section; empty where nothing was defended. strips: images behind each defence, of the same codes. directions: what
    moving codes along each fitted direction does. utility: what honest users get, where nobody attacks."""

    attacks: tuple[Defended, ...]
    strips: tuple[Grid, ...]
    directions: tuple[Grid, ...] = ()
    utility: tuple[Group, ...] = ()
    utility_columns: tuple[str, ...] = ()
    losses: tuple[str, ...] = tuple(f"at most {loss:g} times" for loss in LOSSES)


def defending_section(results: AuditResults, gallery: Gallery) -> DefendingSection:
    """What is said of all defences."""
    most: dict[str, int] = {}
    for m in results.select(subject="substitute"):
        if m.defence and m.attack and m.query_budget:
            most[m.attack] = max(m.query_budget, most.get(m.attack, 0))
    order = {UNDEFENDED: 0, **{d.label: i for i, d in enumerate(results.defences, 1)}}
    pictures = [p for p in results.pictures if p.subject == "defended" or (p.subject == "target" and results.defences)]
    pictures.sort(key=lambda p: order.get(p.defence or UNDEFENDED, len(order)))
    strips = tuple(gallery.grid(p, _capital(p.defence or UNDEFENDED), "") for p in pictures)
    attacks = tuple(_defended(results, attack, budget) for attack, budget in most.items())
    columns, utility = ((), ()) if attacks or not results.defences else utility_table(results)
    return DefendingSection(attacks, strips, tuple(_directions(results, gallery)), utility, columns)


def utility_table(results: AuditResults) -> tuple[tuple[str, ...], tuple[Group, ...]]:
    """What honest users get without a defence and behind each, as far as it was measured: columns, and one group of rows."""
    return _measured(tuple(heading for heading, _, _ in UTILITY), [Group("", tuple(_users(results)))])


def _measured(columns: Sequence[str], groups: Sequence[Group]) -> tuple[tuple[str, ...], tuple[Group, ...]]:
    """The columns in which something was measured, and the table of them."""
    rows = [row for group in groups for row in group.rows]
    kept = [i for i in range(len(columns)) if any(row.cells[i] != DASH for row in rows)]

    def narrowed(row: Row) -> Row:
        return Row(row.heading, tuple(row.cells[i] for i in kept))

    found = tuple(Group(group.heading, tuple(map(narrowed, group.rows))) for group in groups)
    return tuple(columns[i] for i in kept), found


def _users(results: AuditResults) -> Iterable[Row]:
    """What honest users get without a defence, and behind each."""
    for label in (None, *(d.label for d in results.defences)):
        yield Row(label or UNDEFENDED, tuple(_of_users(results, label, metric, against) for _, metric, against in UTILITY))


def _of_users(results: AuditResults, defence: str | None, metric: str, against: Against) -> str:
    subject = "defended" if defence else "target"
    found = results.select(subject=subject, defence=defence, metric=metric, against=against, draw=0)
    return number(found[0].value) if found else DASH


def _capital(label: str) -> str:
    """With a capital, and the rest as it is: JPEG stays JPEG."""
    return label[:1].upper() + label[1:]


def _directions(results: AuditResults, gallery: Gallery) -> Iterable[Grid]:
    """Each strip with what says how good the direction is."""
    for record in results.directions:
        note = (
            f"right on {record.held_out_accuracy:.0%} of held-out ends and {record.rest_accuracy:.0%} of what lies between; "
            f"rank correlation of attribute and distance {record.spearman:.2f}"
        )
        for picture in results.pictures:
            if picture.subject == "direction" and picture.attribute == record.attribute:
                yield gallery.grid(picture, record.attribute, note)


def _defended(results: AuditResults, attack: str, budget: int) -> Defended:
    points = _points(results, attack, budget)
    families = _families(points)
    rows = [Group(name, tuple(_row(results, p, attack, budget) for p in family)) for name, family in families.items()]
    columns, table = _measured(COLUMNS, rows)
    return Defended(
        heading=f"{attack}, {whole(budget)} bought images",
        points=points,
        remarks=tuple(filter(None, (_best(points), _illusion(points)))),
        columns=columns,
        table=table,
        at_equal_loss=tuple(Row(name, _at_losses(family)) for name, family in families.items() if name != UNDEFENDED),
    )


def _points(results: AuditResults, attack: str, budget: int) -> tuple[Point, ...]:
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
    """Its kinds, and, where defences of the same kinds differ in settings that are no numbers, those: no strength lies between
    such two."""
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


def _families(points: Sequence[Point]) -> dict[str, list[Point]]:
    """Points of one curve each, the weakest first by what they cost users."""
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.family or UNDEFENDED, []).append(point)
    return {name: sorted(family, key=lambda p: p.loss) for name, family in found.items()}


def families(points: Sequence[Point]) -> dict[str, list[Point]]:
    """Points by curve, in the order of the spec, each by what it costs users; the undefended one is left out."""
    return {name: family for name, family in _families(points).items() if name != UNDEFENDED}


def _row(results: AuditResults, point: Point, attack: str, budget: int) -> Row:
    defence = None if point.label == UNDEFENDED else point.label
    adversary = point.copies.closest_adversary or NAIVE
    cells = (
        number(point.users),
        number(point.loss),
        *(_of_users(results, defence, metric, against) for _, metric, against in UTILITY[2:6]),
        _spread(point.copies.naive),
        _spread(point.copies.closest),
        adversary if defence else DASH,
        _spread(protection(results.measurements, attack, budget, defence, "reference").closest),
    )
    return Row(f"{point.label} (dominated)" if point.dominated else point.label, cells)


def _spread(distances: Distances) -> str:
    if not distances:
        return DASH
    found = distances.values()
    mean = number(_mean(distances))
    return mean if len(found) == 1 else f"{mean} ({interval(min(found), max(found))})"


def _at_losses(family: Sequence[Point]) -> tuple[str, ...]:
    cells: list[str] = []
    for loss in LOSSES:
        best = max((p for p in family if p.loss <= loss), key=lambda p: p.closest, default=None)
        cells.append(f"FD {number(best.closest)}: {best.label}" if best else DASH)
    return tuple(cells)


def _best(points: Sequence[Point]) -> str:
    """Which defence to use at the stated loss, or that none is worth it, with the interval that backs it."""
    none = next((p for p in points if not p.family), None)
    allowed = [p for p in points if p.family and p.loss <= STATED]
    if none is None or not allowed:
        return f"No defence leaves honest users within {STATED:g} times their undefended distance to real images."
    best = max(allowed, key=lambda p: p.closest)
    times = f"{number(best.closest / none.closest)} times as far as without a defence ({number(none.closest)})"
    if best.closest <= none.closest:
        return (
            f"None of the {len(allowed)} defences that leave honest users within {STATED:g} times their undefended distance to "
            f"real images keeps copies further away than no defence does (FD {number(none.closest)}): behind the best of them, "
            f"{best.label}, the closest copy is at FD {number(best.closest)}. None is worth it at that price"
            + (", on this one seed." if len(none.copies.closest) == 1 else ".")
        )
    said = (
        f"Of the {len(allowed)} defences that leave honest users within {STATED:g} times their undefended distance to real "
        f"images, {best.label} keeps copies furthest away: the closest adversary's is at FD {number(best.closest)}, {times}."
    )
    logs = list(log_ratios(best.copies.closest, none.copies.closest).values())
    if len(logs) < 2:
        return f"{said} One seed gives no interval, so this is no recommendation yet: run more seeds."
    _, low, high = log_interval(logs)
    backed = f"95 % interval {interval(math.exp(low), math.exp(high))} times, over {len(logs)} seeds"
    if low > 0:
        return f"{said} Use it, if that price is right ({backed}; it was chosen as the best on these same seeds)."
    return f"{said} None is worth it at that price: the interval does not exclude 1 ({backed})."


def _illusion(points: Sequence[Point]) -> str:
    """The defence that promises most to who only looks at the naive adversary."""
    both = [p for p in points if p.family and p.copies.naive and p.copies.closest_adversary != NAIVE and p.closest > 0]
    worst = max(both, key=lambda p: p.naive / p.closest, default=None)
    if worst is None:
        return ""
    others = {p.copies.closest_adversary for p in points if p.family} - {None, NAIVE}
    seen = f"The adversaries who know of the defence ({listed(sorted(map(str, others)))})"
    return (
        f"Against an adversary who does not know of it, {worst.label} seems to keep copies at FD {number(worst.naive)}. "
        f"{seen} come as near as FD {number(worst.closest)}: what stops only the naive is no defence."
    )


def _mean(distances: Distances) -> float:
    return sum(distances.values()) / len(distances) if distances else math.nan
