"""The tables of numbers in the report, and the one that an audit prints, as rows of text."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ganguard.report.findings import (
    OF_NOISE,
    OF_TARGET,
    TWO_DRAWS,
    YARDSTICKS,
    budgets_planned,
    honest,
    labels,
    of_copy,
    of_yardstick,
    others,
    replays,
    why_failed,
)
from ganguard.report.independent import CLOSER, HONEST_GROUP, closer_word
from ganguard.report.numbers import DASH, whole, whole_interval, with_spread
from ganguard.results.measures import DISTANCE, MEASURES, Direction, Measure
from ganguard.results.records import (
    Against,
    AuditResults,
    Measurement,
    Subject,
)
from ganguard.results.summaries import summarise_copies
from ganguard.results.whose import Whose

REPLAYS: dict[Against, str] = {"purchase": "fresh images of the target"}
OTHERS: dict[Subject, str] = {
    "refined": "the bought images that subsampling kept",
    "sorted": "the bought images, sorted into evener shares",
    "plain": "what Algorithm 1 alone would keep",
    "known": "the real images that the adversary holds",
}
ARROWS: dict[Direction, str] = {"lower": "\N{NO-BREAK SPACE}↓", "higher": "\N{NO-BREAK SPACE}↑", "none": ""}
FAILED = "failed"
PRINTED_DECIMALS = 3  # of the distances that an audit prints at its end


@dataclass(frozen=True)
class Row:
    """A row: its heading, and the cells after it."""

    heading: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """Rows under a common heading."""

    heading: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class MeasureTable:
    """Measured numbers against one set: a group for each attack, then the yardsticks.

    Attributes:
        images: how many images were measured and compared with, if that is the same for all; otherwise a
            column says it.
    """

    images: str
    columns: tuple[str, ...]
    groups: tuple[Group, ...]


def measured(results: AuditResults, against: Against) -> list[Measure]:
    """Return the numbers that were measured against something, in the order of tables."""
    return [m for m in MEASURES.values() if results.select(metric=m.name, against=against)]


def measure_table(results: AuditResults, against: Against) -> MeasureTable:
    """Return every number of copies and yardsticks against one set: mean ± standard deviation."""
    wanted = measured(results, against)
    yardsticks = Group("yardsticks", tuple(_rulers(results, against, wanted)))
    groups = [
        *(Group(label, tuple(_copies(results, label, against, wanted))) for label in labels(results)),
        Group(
            REPLAYS.get(against, "the bought images themselves"), tuple(_replays(results, against, wanted))
        ),
        *_others(results, against, wanted),
        Group(HONEST_GROUP, tuple(_honest(results, against, wanted))),
        yardsticks,
    ]
    shown = [group for group in groups if group.rows and wanted]
    columns = tuple(measure.title + ARROWS[measure.better] for measure in wanted)
    sizes = {(m.images, m.compared) for m in results.select(against=against)}
    if len(sizes) != 1:
        sizes_column = "images" if against == "nothing" else "images / compared with"
        return MeasureTable("", (*columns, sizes_column), tuple(shown))
    (images, compared), *_ = sizes
    narrow = [Group(group.heading, tuple(map(_without_sizes, group.rows))) for group in shown]
    beside = f", compared with {whole(compared)} images" if compared else ""
    return MeasureTable(f"{whole(images)} images a set{beside}", columns, tuple(narrow))


def _copies(results: AuditResults, label: str, against: Against, wanted: Sequence[Measure]) -> Iterable[Row]:
    """Yield a row for each budget of an attack that was measured against something, or failed."""
    for budget in budgets_planned(results, label):
        found = {m.name: of_copy(results, label, budget, m.name, against) for m in wanted}
        if why_failed(results, label, budget):
            yield Row(whole(budget), (FAILED,) * (len(wanted) + 1))
        elif results.select(attack=label, query_budget=budget, against=against):
            yield _row(whole(budget), found, wanted)


def _replays(results: AuditResults, against: Against, wanted: Sequence[Measure]) -> Iterable[Row]:
    """Yield a row for each purchase."""
    bought = {m.name: replays(results, m.name, against) for m in wanted}
    for purchase in bought[wanted[0].name] if wanted else ():
        heading = whole(purchase.query_budget) + purchase.asked
        yield _row(heading, {name: found.get(purchase, []) for name, found in bought.items()}, wanted)


def _others(results: AuditResults, against: Against, wanted: Sequence[Measure]) -> Iterable[Group]:
    """Yield a group for each set of images that is neither a copy, nor a purchase, nor a yardstick."""
    for subject, heading in OTHERS.items():
        rows = others(results, subject, against)
        yield Group(heading, tuple(_row(name, found, wanted) for name, found in rows.items()))


def _honest(results: AuditResults, against: Against, wanted: Sequence[Measure]) -> Iterable[Row]:
    """Yield a row for the honest models of each recipe."""
    for label, found in honest(results, against).items():
        yield _row(label, found, wanted)


def _rulers(results: AuditResults, against: Against, wanted: Sequence[Measure]) -> Iterable[Row]:
    """Yield a row for each yardstick."""
    for ruler in YARDSTICKS:
        if ruler.against == against and results.select(subject=ruler.subject, against=against):
            yield _row(ruler.label, {m.name: of_yardstick(results, ruler, m.name) for m in wanted}, wanted)


def _row(heading: str, found: Mapping[str, Sequence[Measurement]], wanted: Sequence[Measure]) -> Row:
    """Return a row with a summary of each number, then how many images were measured and compared with."""
    cells = [cell(found.get(measure.name, ()), measure.decimals) for measure in wanted]
    every = [m for measure in wanted for m in found.get(measure.name, ())]
    sizes = whole_interval(m.images for m in every) if every else DASH
    compared = f" / {whole_interval(m.compared for m in every)}" if any(m.compared for m in every) else ""
    return Row(heading, (*cells, sizes + compared))


def _without_sizes(row: Row) -> Row:
    return Row(row.heading, row.cells[:-1])


def cell(found: Iterable[Measurement], decimals: int | None = None, *, failed: bool = False) -> str:
    """Return a number as mean ± deviation over seeds; "failed" or a dash if it was not measured.

    With one seed there is no ±: how much another copy would differ is not known. Yardsticks, which have no
    seed, have the standard error of measuring.

    Args:
        decimals: places after the point; None prints three significant digits.
    """
    summary = summarise_copies(found)
    if summary is None:
        return FAILED if failed else DASH
    return with_spread(summary, decimals)


def spread_of_yardsticks(results: AuditResults) -> str:
    """Return what the ± of rows that are not copies is: these have one seed, whatever the copies have."""
    halvings = len(of_yardstick(results, TWO_DRAWS))
    several = (
        f"; that of the Fréchet distance of two draws of the target, the standard deviation over {halvings} "
        "random halvings of the same images"
        if halvings > 1
        else ""
    )
    return f"± of yardsticks is the standard error due to the number of images measured{several}."


def distance_table(results: AuditResults) -> tuple[tuple[str, ...], tuple[Group, ...]]:
    """Return the Fréchet distance of every copy, of the bought images, of yardsticks and of honest models.

    It is from the target, from held-out real images, from those of the train split (the paper's p_r) and, if
    copies were moved to one, from those of another domain. The
    last column says whether a copy is closer than a model that never saw the target.
    """
    moved: tuple[Against, ...] = ("domain",) if results.select(against="domain") else ()
    trained: tuple[Against, ...] = ("train",) if results.select(against="train") else ()
    beside: tuple[Against, ...] = ("target", "reference", *trained, *moved)
    copies: list[Row] = []
    for attack in results.attacks:
        for budget in attack.query_budgets:
            failed = bool(why_failed(results, attack.label, budget))
            found = (of_copy(results, attack.label, budget, DISTANCE, against) for against in beside)
            cells = (cell(each, PRINTED_DECIMALS, failed=failed) for each in found)
            closer = closer_word(results, Whose(attack=attack.label, query_budget=budget))
            copies.append(Row(attack.label, (whole(budget), *cells, closer)))
    bought = {against: replays(results, DISTANCE, against) for against in beside}
    purchases = [
        Row(
            f"bought images{each.asked}",
            (
                whole(each.query_budget),
                *(cell(bought[against].get(each, []), PRINTED_DECIMALS) for against in beside),
            ),
        )
        for each in bought["target"]
    ]
    models = {against: honest(results, against) for against in beside}
    honest_rows = [
        Row(
            f"never saw it: {label}",
            ("", *(cell(models[each].get(label, {}).get(DISTANCE, []), PRINTED_DECIMALS) for each in beside)),
        )
        for label in models["target"]
    ]
    yardsticks = [
        Row(name, ("", *(cell(of_yardstick(results, ruler), PRINTED_DECIMALS) for ruler in rulers)))
        for name, rulers in (
            ("the target itself", OF_TARGET[: 2 + len(trained)]),
            ("noise images", OF_NOISE[: 2 + len(trained)]),
        )
    ]
    headings = ("queries", "fidelity: to the target", "accuracy: to real images")
    columns = (
        *headings,
        *(("to training images",) if trained else ()),
        *(("to the other domain",) if moved else ()),
        CLOSER,
    )
    groups = (copies, purchases, [*honest_rows, *yardsticks])
    return columns, tuple(Group("", tuple(rows)) for rows in groups)
