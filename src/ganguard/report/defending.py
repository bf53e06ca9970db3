"""Which defence, at what price? Copies behind each defence, beside what it leaves to honest users."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ganguard.report.defended_copies import CopiesTable, copies_table
from ganguard.report.defended_points import (
    UNDEFENDED,
    DefencePoint,
    by_family,
    families,
    mean_of,
    points_of,
    protection_of,
)
from ganguard.report.grids import Gallery, Grid
from ganguard.report.in_front import on_defences
from ganguard.report.numbers import DASH, counted, interval, number
from ganguard.report.reworked import REWORKED_COLUMNS, reworked_table
from ganguard.report.tables import Group, Row
from ganguard.report.weak import FAILED, fairly_tried
from ganguard.results.measures import DISTANCE, MEASURES
from ganguard.results.protection import NAIVE, defended_attacks
from ganguard.results.records import Against, AuditResults
from ganguard.results.verdicts import Distances

LOSSES = (
    1.1,
    1.5,
    2.0,
)  # multiples of the undefended distance to real images, at which defences are compared
USERS: tuple[tuple[str, Against], ...] = (  # what honest users get beside distances: metric, against what
    ("coverage", "reference"),
    ("psnr", "undefended"),
    ("ssim", "undefended"),
    ("piqe", "nothing"),
)
_ALONE: tuple[tuple[str, Against], ...] = (*USERS, ("niqe", "nothing"))
UTILITY: tuple[tuple[str, str, Against], ...] = (  # heading, metric, against what
    ("FD to real", DISTANCE, "reference"),
    ("FD to undefended", DISTANCE, "target"),
    *((MEASURES[metric].heading, metric, against) for metric, against in _ALONE),
)
COLUMNS = (
    "users: FD to real",
    "times undefended",
    *(MEASURES[metric].heading for metric, _ in USERS),
    "naive copy: FD",
    "closest: FD",
    "closest adversary",
    "closest to real: FD",
)


@dataclass(frozen=True)
class Defended:
    """What is said about one attack.

    Attributes:
        points: without a defence, then behind each.
        remarks: sentences of advice.
        columns, table: a group for each kind of defence.
        at_equal_loss: a row for each kind, of defences that were fairly tried.
        copies: of every adversary at every budget.
    """

    heading: str
    points: tuple[DefencePoint, ...]
    remarks: tuple[str, ...]
    columns: tuple[str, ...]
    table: tuple[Group, ...]
    at_equal_loss: tuple[Row, ...]
    copies: CopiesTable


@dataclass(frozen=True)
class DefendingSection:
    """The section on defences; empty if nothing was defended.

    Attributes:
        strips: images of the same codes without a defence and behind each.
        directions: what moving codes along each fitted direction does.
        utility, utility_columns: what honest users get, if nobody attacks.
        losses: headings of the columns of `Defended.at_equal_loss`.
        reworked, reworked_columns: what adversaries made of their purchases before they trained.
    """

    attacks: tuple[Defended, ...]
    strips: tuple[Grid, ...]
    directions: tuple[Grid, ...] = ()
    utility: tuple[Group, ...] = ()
    utility_columns: tuple[str, ...] = ()
    losses: tuple[str, ...] = tuple(f"at most {loss:g} times" for loss in LOSSES)
    reworked: tuple[Group, ...] = ()
    reworked_columns: tuple[str, ...] = REWORKED_COLUMNS


def defending_section(results: AuditResults, gallery: Gallery) -> DefendingSection:
    """Return what is said about all defences."""
    order = {label: i for i, label in enumerate((None, *(d.label for d in results.defences)))}
    pictures = [
        p for p in results.pictures if p.subject == "defended" or (p.subject == "target" and results.defences)
    ]
    pictures.sort(key=lambda p: order.get(p.defence, len(order)))
    strips = tuple(gallery.grid(p, _capital(p.defence or UNDEFENDED), "") for p in pictures)
    met = defended_attacks(results.measurements)
    attacks = tuple(_defended(results, attack, budget) for attack, budget in met.items())
    columns, utility = ((), ()) if attacks or not results.defences else utility_table(results)
    return DefendingSection(
        attacks,
        strips,
        tuple(_directions(results, gallery)),
        utility,
        columns,
        reworked=reworked_table(results),
    )


def utility_table(results: AuditResults) -> tuple[tuple[str, ...], tuple[Group, ...]]:
    """Return what honest users get without a defence and behind each: columns, and one group of rows.

    Columns in which nothing was measured are left out.
    """
    return _measured(tuple(heading for heading, _, _ in UTILITY), [Group("", tuple(_users(results)))])


def _measured(columns: Sequence[str], groups: Sequence[Group]) -> tuple[tuple[str, ...], tuple[Group, ...]]:
    """Return the columns in which something was measured, and the table with these columns alone."""
    rows = [row for group in groups for row in group.rows]
    kept = [i for i in range(len(columns)) if any(row.cells[i] != DASH for row in rows)]

    def narrowed(row: Row) -> Row:
        return Row(row.heading, tuple(row.cells[i] for i in kept))

    found = tuple(Group(group.heading, tuple(map(narrowed, group.rows))) for group in groups)
    return tuple(columns[i] for i in kept), found


def _users(results: AuditResults) -> Iterable[Row]:
    """Yield a row without a defence, then one for each."""
    for label in (None, *(d.label for d in results.defences)):
        yield Row(
            label or UNDEFENDED,
            tuple(_of_users(results, label, metric, against) for _, metric, against in UTILITY),
        )


def _of_users(results: AuditResults, defence: str | None, metric: str, against: Against) -> str:
    subject = "defended" if defence else "target"
    found = results.select(subject=subject, defence=defence, metric=metric, against=against, draw=0)
    return number(found[0].value) if found else DASH


def _capital(label: str) -> str:
    """Return the label with a capital first letter, and the rest as it is: JPEG stays JPEG."""
    return label[:1].upper() + label[1:]


def _directions(results: AuditResults, gallery: Gallery) -> Iterable[Grid]:
    """Yield the strip of each direction, with a note on how good the direction is."""
    for record in results.directions:
        note = (
            f"right on {record.held_out_accuracy:.0%} of held-out ends and {record.rest_accuracy:.0%} of "
            f"what lies between; rank correlation of attribute and distance {record.spearman:.2f}"
        )
        for picture in results.pictures:
            if picture.subject == "direction" and picture.attribute == record.attribute:
                yield gallery.grid(picture, record.attribute, note)


def _defended(results: AuditResults, attack: str, budget: int) -> Defended:
    points = points_of(results, attack, budget)
    fair, _ = fairly_tried(points)
    rows = [
        Group(name or UNDEFENDED, tuple(_row(results, p, attack, budget) for p in family))
        for name, family in by_family(points).items()
    ]
    columns, table = _measured(COLUMNS, rows)
    return Defended(
        heading=f"{attack}, {counted(budget, 'bought image')}",
        points=points,
        remarks=on_defences(results, attack, budget, points),
        columns=columns,
        table=table,
        at_equal_loss=tuple(Row(name, _at_losses(family)) for name, family in families(fair).items()),
        copies=copies_table(results, attack),
    )


def _row(results: AuditResults, point: DefencePoint, attack: str, budget: int) -> Row:
    defence = point.defence
    adversary = point.copies.closest_adversary or NAIVE
    cells = (
        number(point.users),
        number(point.loss),
        *(_of_users(results, defence, metric, against) for metric, against in USERS),
        _spread(point.copies.naive),
        _spread(point.copies.closest),
        adversary if defence else DASH,
        _spread(protection_of(results, attack, budget, defence, "reference").closest),
    )
    said = f"its adversary {FAILED}" if point.failed else "dominated" if point.dominated else ""
    return Row(f"{point.label} ({said})" if said else point.label, cells)


def _spread(distances: Distances) -> str:
    if not distances:
        return DASH
    found = distances.values()
    mean = number(mean_of(distances))
    return mean if len(found) == 1 else f"{mean} ({interval(min(found), max(found))})"


def _at_losses(family: Sequence[DefencePoint]) -> tuple[str, ...]:
    cells: list[str] = []
    for loss in LOSSES:
        best = max((p for p in family if p.loss <= loss), key=lambda p: p.closest, default=None)
        cells.append(f"FD {number(best.closest)}: {best.label}" if best else DASH)
    return tuple(cells)
