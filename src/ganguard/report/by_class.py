"""A conditional target, class by class or prompt by prompt: how it was asked, numbers, and pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ganguard.report import conditions as of_conditions
from ganguard.report.findings import (
    TARGET_TO_REAL,
    TWO_DRAWS,
    TWO_SPLITS,
    Yardstick,
    budgets,
    consistency,
    labels,
    of_copy,
    seeds,
)
from ganguard.report.grids import Gallery, GridRow
from ganguard.report.independent import honest_columns
from ganguard.report.lists import ratio
from ganguard.report.numbers import counted, listed
from ganguard.report.tables import Group, Row, cell
from ganguard.results.measures import CONSISTENCY, MEASURES, WITHIN
from ganguard.results.records import (
    Against,
    AttackRecord,
    AuditResults,
    Measurement,
    Picture,
    Subject,
    Verdict,
)

MOST_ROWS = 30  # conditions that a table shows; a data set may have a thousand
SIDES: tuple[tuple[Against, str, tuple[Yardstick, ...]], ...] = (
    ("target", "from the target's images of the same {one}", (TWO_DRAWS,)),
    ("reference", "from real images of the same {one}", (TWO_SPLITS, TARGET_TO_REAL)),
)


@dataclass(frozen=True)
class ClassTable:
    """A number of each condition: first of all of them, then a row each.

    Attributes:
        first: heading of the first column.
    """

    heading: str
    caption: str
    first: str
    columns: tuple[str, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class ByClass:
    """The section in words, rows and pictures; without a heading if the target takes no conditions.

    Attributes:
        heading: of the section.
        remarks: what a reader must know of the conditions, a sentence or two each.
        asks: an attack each: whether its copies learn labels, and how it asks.
        tables: numbers of each condition.
        pictures: grids with a row for each condition, side by side; None if there are none.
    """

    heading: str = ""
    remarks: tuple[str, ...] = ()
    asks: tuple[Row, ...] = ()
    tables: tuple[ClassTable, ...] = ()
    pictures: GridRow | None = None


def by_class_section(results: AuditResults, gallery: Gallery) -> ByClass:
    """Return the section on the conditions of the target, from results without defences."""
    conditions = results.target.conditions
    if conditions is None:
        return ByClass()
    one = word_of(results)
    every = counted(len(conditions.names), *_CONDITION[conditions.kind])
    tables = (*(_distances(results, *side) for side in SIDES), _consistency(results))
    return ByClass(
        heading=f"{one.capitalize()} by {one}",
        remarks=(
            f"This model is asked for one of {every} with each image.",
            *_labels(results),
            *(f"{_capital(label)} {never}" for label, never in _never_bought(results).items()),
            *of_conditions.without_mean(results),
            *(_of_r8(verdict) for verdict in results.verdicts if verdict.relation == "R8"),
        ),
        asks=tuple(_asks(attack) for attack in results.attacks),
        tables=tuple(table for table in tables if table is not None),
        pictures=_pictures(results, gallery),
    )


def word_of(results: AuditResults) -> str:
    """Return what a condition of the target is called, "class" or "prompt"."""
    conditions = results.target.conditions
    return _CONDITION[conditions.kind][0] if conditions else "class"


def class_remarks(results: AuditResults) -> list[str]:
    """Return what a classifier sees in the images that were asked for, a sentence for each attack."""
    own = consistency(results)
    beside = f"; in the target's, in {own.mean:.1%}" if own else ""
    never = _never_bought(results)
    return [
        f"{label}, {counted(budget, 'bought image')}: in {seen.mean:.1%} of the copies' images a classifier "
        f"sees the class that was asked for{beside}.{_too(never.get(label))}"
        for label in labels(results)
        for budget in budgets(results, label)[-1:]
        if (seen := consistency(results, label, budget))
    ]


def conditions_in_words(results: AuditResults) -> str:
    """Return what the target can be asked for, in a few words; empty if nothing."""
    conditions = results.target.conditions
    if conditions is None:
        return ""
    shown = [of_conditions.short(name) for name in conditions.names[:12]]
    more = ", …" if len(conditions.names) > len(shown) else ""
    return f"{counted(len(conditions.names), *_CONDITION[conditions.kind])}: {', '.join(shown)}{more}"


_CONDITION = {"classes": ("class", "classes"), "prompts": ("prompt", "prompts")}


def _asks(attack: AttackRecord) -> Row:
    learns = {True: "yes", False: "no", None: "not known"}[attack.labels]
    return Row(attack.label, (learns, attack.ask.label if attack.ask else "buys nothing"))


def _labels(results: AuditResults) -> list[str]:
    """Return which copies have numbers by condition, and why the others have none."""
    found, one = {label for label, _ in _with_labels(results)}, word_of(results)
    without = [attack for attack in results.attacks if attack.label not in found]
    unlearnt = [attack.label for attack in without if attack.labels is False]
    unknown = [attack.label for attack in without if attack.labels is None]
    covered = "Of their coverage a classifier judges, as of all others."
    said: list[str] = []
    if unlearnt:
        said.append(
            f"Copies of {listed(unlearnt)} learn no labels and cannot be asked for one, so nothing is said "
            f"of their images by {one}. {covered}"
        )
    if unknown:
        said.append(
            f"What each image of {listed(unknown)} was asked for is not known, so nothing is said of them by "
            f"{one}. {covered}"
        )
    return said


def _never_bought(results: AuditResults) -> dict[str, str]:
    """Return, for each attack whose copies are measured on conditions that it never bought, a sentence
    without its subject that names these."""
    found = {label for label, _ in _with_labels(results)}
    said: dict[str, str] = {}
    for attack in results.attacks:
        bought = attack.ask.names if attack.ask else ()
        never = [name for name in results.target.asked if name not in bought] if bought else []
        if never and attack.label in found:
            said[attack.label] = (
                f"never bought an image of {of_conditions.named(never)}; its copies are asked for these too "
                "when they are measured."
            )
    return said


def _too(never: str | None) -> str:
    return f" This attack {never}" if never else ""


def _capital(label: str) -> str:
    return f"{label[:1].upper()}{label[1:]}"


def _of_r8(verdict: Verdict) -> str:
    """Return whether labels help a copy."""
    shown = f"ratio {ratio(verdict)}" if verdict.ratio else verdict.reason
    return f"Do labels help the copy at equal budget (R8)? {verdict.statement}: {verdict.outcome}; {shown}."


def _with_labels(results: AuditResults) -> list[tuple[str, int]]:
    """Return each attack whose copies have numbers by condition, with its largest budget."""
    found = {m.attack for m in results.select(subject="substitute") if m.metric in (WITHIN, CONSISTENCY)}
    return [
        (attack.label, max(budgets(results, attack.label)))
        for attack in results.attacks
        if attack.label in found
    ]


def _distances(
    results: AuditResults, against: Against, said: str, rulers: Sequence[Yardstick]
) -> ClassTable | None:
    """Return the table of Fréchet distances within each condition."""
    one = word_of(results)
    return _table(
        results,
        f"Distance {said.format(one=one)}",
        f"Fréchet distance of the images of each {one}, and its mean. Small sets bias it upwards: read it "
        "beside the yardsticks",
        _columns(results, WITHIN, against, {ruler.label: ruler.subject for ruler in rulers}),
        None,
    )


def _consistency(results: AuditResults) -> ClassTable | None:
    """Return the table of how often the class that was asked for is seen."""
    return _table(
        results,
        "Is the class seen that was asked for?",
        "Share of the images in which a classifier of real images sees the class that was asked for; of real "
        "images, the share that it is right on",
        _columns(results, CONSISTENCY, "nothing", {"the target": "target", "real images": "real"}),
        MEASURES[CONSISTENCY].decimals,
    )


_Column = dict[str | None, list[Measurement]]
"""Measurements of one column, by the name of their condition; None is all of them."""


def _columns(
    results: AuditResults, metric: str, against: Against, rulers: Mapping[str, Subject]
) -> dict[str, _Column]:
    """Return a number of yardsticks, honest models and copies by condition, those columns that have any.

    rulers: the subjects of the yardsticks, by the headings of their columns.
    """
    found = {
        heading: results.select(subject=subject, metric=metric, against=against)
        for heading, subject in rulers.items()
    }
    found |= honest_columns(results, metric, against)
    found |= {
        f"{label}, {counted(budget, 'image')}": of_copy(results, label, budget, metric, against)
        for label, budget in _with_labels(results)
    }
    columns: dict[str, _Column] = {heading: {} for heading, of in found.items() if of}
    for heading, column in columns.items():
        for m in found[heading]:
            column.setdefault(m.condition, []).append(m)
    return columns


def _table(
    results: AuditResults,
    heading: str,
    caption: str,
    columns: dict[str, _Column],
    decimals: int | None,
) -> ClassTable | None:
    """Return a table with a row for all conditions and one for each; None if nothing was measured."""
    conditions = results.target.conditions
    if not columns or conditions is None:
        return None
    known = [name for name in conditions.names if any(name in column for column in columns.values())]
    rows = [
        Row(
            of_conditions.short(name) if name else "all",
            tuple(cell(of.get(name, ()), decimals) for of in columns.values()),
        )
        for name in (None, *known[:MOST_ROWS])
    ]
    left_out = len(known) - MOST_ROWS
    more = f". {counted(left_out, 'more', 'more')} in results.json" if left_out > 0 else ""
    spread = "; copies have one seed, so no spread is known" if len(seeds(results)) == 1 else ""
    groups = (Group("", tuple(rows[:1])), Group("", tuple(rows[1:])))
    return ClassTable(heading, caption + spread + more, word_of(results), tuple(columns), groups)


def _pictures(results: AuditResults, gallery: Gallery) -> GridRow | None:
    """Return the grids that have a row for each condition: real images, the target, copies."""
    order = {"real": 0, "target": 1}
    shown = sorted((p for p in results.pictures if p.rows), key=lambda p: order.get(p.subject, 2))
    if not shown:
        return None
    rows = ", ".join(of_conditions.short(name) for name in shown[0].rows)
    return GridRow(f"Rows, from the top: {rows}", tuple(gallery.grid(p, *_caption(p)) for p in shown))


def _caption(picture: Picture) -> tuple[str, str]:
    if picture.attack is None or picture.query_budget is None:
        return picture.subject.capitalize(), ""
    return f"Copy from {counted(picture.query_budget, 'image')}", picture.attack
