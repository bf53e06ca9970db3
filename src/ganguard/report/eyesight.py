"""What the feature network sees, and every copy read as damage that a person knows by sight."""

from dataclasses import dataclass

from ganguard.report.cards import images
from ganguard.report.findings import TWO_DRAWS, budgets, copies, labels, yardstick
from ganguard.report.numbers import DASH, listed, number, whole
from ganguard.report.tables import Row
from ganguard.results.eyesight import (
    DAMAGES,
    Likeness,
    Rung,
    falling,
    like,
    nearest,
    plainly_unseen,
    steps_of,
    unseen,
)
from ganguard.results.records import AuditResults

AXIS = "blur"  # the damage whose levels stand beside the axis of distances
SHORT = "blur {} px"


@dataclass(frozen=True)
class Eyesight:
    """The ladder of damage in words and rows.

    Attributes:
        verdict: says that the network cannot judge these images; empty if it can.
        unseen: says which damage it does not see, and of which it sees less as it grows; empty if neither.
        columns: how strong a damage is.
        rows: a damage each, with the distance at each level.
        copies: each copy, with the damage that is as far from the target.
        alike: by attack and the number of bought images in words, how a copy reads.
        images: how many images were damaged.
    """

    verdict: str
    unseen: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    copies: tuple[Row, ...]
    alike: dict[tuple[str, str], str]
    images: str


def eyesight_section(results: AuditResults) -> Eyesight:
    """Return the section on the feature network; without rows if its eyesight was not measured."""
    ladder = results.eyesight
    if not ladder:
        return Eyesight("", "", (), (), (), {}, "")
    blind = unseen(ladder)
    read = _read(results)
    most = max(len(steps_of(ladder, damage)) for damage in DAMAGES)
    return Eyesight(
        verdict=blindness(results),
        unseen=_remarks(blind, falling(ladder)),
        columns=("damage", *_STRENGTHS[-most:]),
        rows=tuple(_row(damage, ladder, blind, most) for damage in DAMAGES if steps_of(ladder, damage)),
        copies=tuple(
            Row(attack, (whole(budget), number(distance), _words(likeness), _words_of(rung)))
            for attack, budget, distance, likeness, rung in read
        ),
        alike={
            (attack, images(budget)): _words(likeness) for attack, budget, _, likeness, _ in read if likeness
        },
        images=whole(ladder[0].images),
    )


def _remarks(blind: list[Rung], less: list[Rung]) -> str:
    said = [f"It does not tell these from the target's own images: {_listed(blind)}."] if blind else []
    if less:
        said.append(f"It calls these nearer than a milder level of the same damage: {_listed(less)}.")
    return " ".join(said)


def blindness(results: AuditResults) -> str:
    """Return that this feature network cannot judge these images; empty if it can, or nobody looked."""
    if not (blind := plainly_unseen(results.eyesight)):
        return ""
    return (
        f"This feature network ({results.features.kind}) cannot judge these images: everybody sees these "
        f"damages at once, and it does not tell them from the target's own images: {_listed(blind)}. A small "
        "distance says little here. Choose a network that was trained on such images, and look at the images "
        "side by side."
    )


def axis_marks(results: AuditResults) -> list[tuple[str, float]]:
    """Return the seen levels of blur in short words, each at its distance as a copy would be measured."""
    floor = yardstick(results, TWO_DRAWS)
    hidden = {id(rung) for rung in (*unseen(results.eyesight), *falling(results.eyesight))}
    return [
        (SHORT.format(f"{rung.level:.2g}"), rung.excess + (floor.mean if floor else rung.floor))
        for rung in steps_of(results.eyesight, AXIS)
        if id(rung) not in hidden and rung.excess > 0
    ]


_STRENGTHS = ("mildest", "mild", "strong", "strongest")


def _row(damage: str, ladder: tuple[Rung, ...], blind: list[Rung], most: int) -> Row:
    """Return a row with the distance at each level, the strongest last; unseen ones are marked."""
    hidden = {id(rung) for rung in blind}
    cells = [
        f"{rung.level:g}: {number(rung.distance)}{' (not seen)' if id(rung) in hidden else ''}"
        for rung in steps_of(ladder, damage)
    ]
    said = DAMAGES[damage]
    return Row(f"{said.title}, {said.unit}", (*[DASH] * (most - len(cells)), *cells))


def _read(results: AuditResults) -> list[tuple[str, int, float, Likeness | None, Rung | None]]:
    """Return each copy's mean distance to the target, and how it reads as blur, and as any damage."""
    floor = yardstick(results, TWO_DRAWS)
    own = floor.mean if floor else None
    planned = {label: budgets(results, label) for label in labels(results)}
    return [
        (
            copy.attack,
            copy.query_budget,
            copy.fidelity.mean,
            like(results.eyesight, copy.fidelity.mean, floor=own),
            nearest(results.eyesight, copy.fidelity.mean, floor=own),
        )
        for copy in copies(results)
        if copy.fidelity and copy.query_budget in planned[copy.attack]
    ]


def _words(likeness: Likeness | None) -> str:
    return likeness.words if likeness else DASH


def _words_of(rung: Rung | None) -> str:
    return rung.words if rung else "no damage: it is as near as two draws"


def _listed(rungs: list[Rung]) -> str:
    return listed([rung.words for rung in rungs])
