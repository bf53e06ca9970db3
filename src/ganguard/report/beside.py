"""The page of several audits side by side: a table of targets and copies, and the verdicts."""

from dataclasses import dataclass

from ganguard.report.independent import CLOSER
from ganguard.report.lists import ratio
from ganguard.report.numbers import DASH, number, whole, with_spread
from ganguard.report.pages import template
from ganguard.report.tables import Group, Row
from ganguard.report.target_check import warning_of
from ganguard.report.weak import FAILED, SAID
from ganguard.results.side_by_side import Line, SideBySide
from ganguard.results.side_by_side.records import Question
from ganguard.results.summaries import Summary


@dataclass(frozen=True)
class Words:
    """What a page says about its question.

    Attributes:
        title: the question.
        head: what a row of the table is of.
        by: by whom the targets were copied.
        to: what distances of copies are measured to.
        of: the relations that get verdicts.
        whole: caption of the verdicts on the question as a whole.
        single, single_note: heading and caption of the verdicts one by one.
    """

    title: str
    head: str
    by: str
    to: str
    of: str
    whole: str
    single: str
    single_note: str


WORDS: dict[Question, Words] = {
    "architectures": Words(
        title="Does the pair of architectures matter?",
        head="target",
        by="substitutes",
        to="their target (fidelity)",
        of="R3",
        whole="Each question as a whole.",
        single="Ratio by ratio",
        single_note="Ratios of fidelity distances: geometric mean over paired seeds. The intervals of one "
        "question hold together with 95 %.",
    ),
    "accuracy": Words(
        title="Do real images, and subsampling, bring a copy nearer to real ones?",
        head="copy",
        by="adversaries",
        to="real images (accuracy)",
        of="R4 and R5",
        whole="Each question as a whole, over all budgets of an audit, and all pairs of attacks that differ "
        "in nothing else.",
        single="Comparison by comparison",
        single_note="Ratios of accuracy distances: geometric mean over paired seeds, each with its own "
        "interval of 95 %.",
    ),
    "targets": Words(
        title="What holds of every target of this kind?",
        head="target",
        by="attacks",
        to="their target (fidelity)",
        of="every relation, over targets",
        whole="Ratios: geometric mean over targets, each of which gives the geometric mean over its seeds. "
        "Intervals are over targets, and corrected for the comparisons of their relation (Holm 1979).",
        single="",
        single_note="",
    ),
}
PLACEBO = "two targets that differ only in their seed"
"""Heading of the floor row."""


def render_beside(found: SideBySide) -> str:
    """Return the page as HTML text. It links to the audits' own reports, in directories beside it."""
    return template("beside.html.j2").render(
        found=found,
        words=WORDS[found.question],
        budget=whole(found.query_budget),
        columns=columns(found),
        groups=[Group("", tuple(rows(found))), *placebo_groups(found)],
        ratio=ratio,
        warnings=warnings(found),
        failed=failed(found),
        rule=SAID,
        honest_columns=honest_columns(found),
        honest_groups=honest_groups(found),
        without_floor=without_floor(found),
    )


def warnings(found: SideBySide) -> list[tuple[str, str]]:
    """Return the audits whose target is not sound, and what is wrong with it."""
    every = [(line.audit, warning_of(line.state, line.reason)) for line in found.lines]
    return [(audit, warning) for audit, warning in every if warning]


def failed(found: SideBySide) -> list[str]:
    """Return the copies whose adversary did not learn what it bought."""
    return [
        f"{line.audit}: {copies.attack}" for line in found.lines for copies in line.copies if copies.failed
    ]


def honest_columns(found: SideBySide) -> tuple[str, ...]:
    """Return the columns of the table of copies beside honest models."""
    distances = ("copy: FD", "never saw it: FD")
    return distances if found.question == "accuracy" else (*distances, CLOSER)


def honest_groups(found: SideBySide) -> list[Group]:
    """Return a group of rows for each audit: its copies beside models that never saw the target."""
    width = len(honest_columns(found))
    return [
        Group(
            line.audit,
            tuple(
                Row(
                    f"{copies.attack} ({FAILED})" if copies.failed else copies.attack,
                    (_cell(copies.distance), _cell(copies.honest), copies.closer or DASH)[:width],
                )
                for copies in line.copies
            ),
        )
        for line in found.lines
    ]


def without_floor(found: SideBySide) -> list[str]:
    """Return the audits that have no honest model at all."""
    return [line.audit for line in found.lines if all(copies.honest is None for copies in line.copies)]


def columns(found: SideBySide) -> tuple[str, ...]:
    """Return the columns of the table.

    For the question of architectures these are the attacks, then the yardsticks. For that of accuracy, with
    its many attacks, they are the audits.
    """
    if found.question == "accuracy":
        return tuple(line.audit for line in found.lines)
    return (*found.attacks, "target to real images", "two draws of the target")


def rows(found: SideBySide) -> list[Row]:
    """Return the rows of the table."""
    if found.question != "accuracy":
        return [_row_of_audit(line) for line in found.lines]
    copies = zip(*(line.copies for line in found.lines), strict=True)
    of_attacks = [Row(each[0].attack, tuple(_cell(copy.distance) for copy in each)) for each in copies]
    return [*of_attacks, Row("the target itself", tuple(_cell(line.to_real) for line in found.lines))]


def placebo_groups(found: SideBySide) -> list[Group]:
    """Return the floor row: how far targets of one spec are apart, spec by spec. None without such targets.

    The number stands under each attack: a copy that is no nearer to its target than another target of its
    kind is has taken nothing but the kind.
    """
    if found.question == "accuracy" or not found.placebos:
        return []
    specs = {line.audit: line.of for line in found.lines}
    apart: dict[str, list[float]] = {}
    for placebo in found.placebos:
        apart.setdefault(specs[placebo.one], []).append(placebo.distance)
    several = len({line.of for line in found.lines}) > 1
    rows = tuple(
        Row(
            f"{PLACEBO}, of {of}" if several else PLACEBO,
            (*(_spread_of(distances) for _ in found.attacks), DASH, DASH),
        )
        for of, distances in apart.items()
    )
    return [Group("floor", rows)]


def _spread_of(distances: list[float]) -> str:
    """Return the mean of distances, and the least and the greatest of several."""
    mean = number(sum(distances) / len(distances))
    return mean if len(distances) == 1 else f"{mean} ({number(min(distances))} to {number(max(distances))})"


def _row_of_audit(line: Line) -> Row:
    cells = (*(copies.distance for copies in line.copies), line.to_real, line.two_draws)
    return Row(line.audit, tuple(_cell(cell) for cell in cells))


def _cell(found: Summary | None) -> str:
    """Return a number with its spread over seeds. One seed has none: how much others differ is not known."""
    if found is None:
        return DASH
    alone = found.over == "draws"
    return with_spread(found.model_copy(update={"deviation": None}) if alone else found)
