"""The tables of the report, as rows of text ready to print."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ganguard.report.findings import (
    DISTANCE,
    YARDSTICKS,
    budgets_planned,
    labels,
    of_copy,
    of_yardstick,
    others,
    replays,
    why_failed,
)
from ganguard.report.numbers import DASH, interval, number, seconds, whole, whole_interval, with_spread
from ganguard.results.records import (
    METRICS,
    Against,
    AuditResults,
    FailureRecord,
    Measurement,
    UseRecord,
    Verdict,
)
from ganguard.results.summaries import summarise

NAMES = {
    DISTANCE: "Fréchet distance",
    "frechet_distance_infinity": "Fréchet distance, unbiased",
    "kernel_distance": "kernel distance",
    "ndb": "different bins",
    "jsd": "JS divergence",
    "inception_score": "inception score",
    "piqe": "PIQE",
    "niqe": "NIQE",
    "nearest_distance_ratio": "distance to the nearest",
}
REPLAYS: dict[Against, str] = {"purchase": "fresh images of the target"}
ARROWS: dict[Literal["lower", "higher"], str] = {"lower": "↓", "higher": "↑"}
FAILED = "failed"
SYMBOLS = {"holds": "✓", "fails": "✗", "undecided": "?"}


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
    """Measured numbers against one set: a group an attack, then the yardsticks.

    images: how many images were measured and compared with, where that is the same for all; otherwise a
    column says it.
    """

    images: str
    columns: tuple[str, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class VerdictRow:
    """A verdict in print. symbol: says the outcome without colour; ratio: with its 95 % interval."""

    relation: str
    statement: str
    outcome: str
    symbol: str
    ratio: str
    seeds: str
    reason: str


@dataclass(frozen=True)
class Ledger:
    """Images bought, by role, and in total."""

    auditor: tuple[Row, ...]
    adversary: tuple[Row, ...]
    auditor_total: str
    adversary_total: str


def measure_table(results: AuditResults, against: Against) -> MeasureTable:
    """Every metric of copies and yardsticks against the target or against the reference split; mean ±
    standard deviation."""
    metrics = [metric for metric in METRICS if results.select(metric=metric, against=against)]
    sizes = {(m.images, m.compared) for m in results.select(against=against)}
    alike = next(iter(sizes)) if len(sizes) == 1 else None
    attacks = [
        Group(
            label,
            tuple(
                _row(
                    whole(budget),
                    [of_copy(results, label, budget, metric, against) for metric in metrics],
                    metrics,
                )
                if not why_failed(results, label, budget)
                else Row(whole(budget), (FAILED,) * (len(metrics) + 1))
                for budget in budgets_planned(results, label)
                if why_failed(results, label, budget)
                or results.select(attack=label, query_budget=budget, against=against)
            ),
        )
        for label in labels(results)
    ]
    bought = Group(
        REPLAYS.get(against, "the bought images themselves"),
        tuple(
            _row(
                whole(budget),
                [replays(results, metric, against).get(budget, []) for metric in metrics],
                metrics,
            )
            for budget in (replays(results, metrics[0], against) if metrics else {})
        ),
    )
    refined = [
        Group(
            heading,
            tuple(_row(name, [found.get(m, []) for m in metrics], metrics) for name, found in rows.items()),
        )
        for heading, rows in (
            ("the bought images that subsampling kept", others(results, "refined", against)),
            ("what Algorithm 1 alone would keep", others(results, "plain", against)),
            ("the real images that the adversary holds", others(results, "known", against)),
        )
    ]
    rulers = [
        _row(ruler.label, [of_yardstick(results, ruler, metric) for metric in metrics], metrics)
        for ruler in YARDSTICKS
        if ruler.against == against and results.select(subject=ruler.subject, against=against)
    ]
    groups = [
        group
        for group in (*attacks, bought, *refined, Group("yardsticks", tuple(rulers)))
        if group.rows and metrics
    ]
    columns = [
        f"{NAMES.get(metric, metric)}\N{NO-BREAK SPACE}{ARROWS[METRICS[metric]]}" for metric in metrics
    ]
    if alike is None:
        sizes_column = "images" if against == "nothing" else "images / compared with"
        return MeasureTable("", (*columns, sizes_column), tuple(groups))
    short = [
        Group(group.heading, tuple(Row(row.heading, row.cells[:-1]) for row in group.rows))
        for group in groups
    ]
    compared = f", compared with {whole(alike[1])} images" if alike[1] else ""
    return MeasureTable(f"{whole(alike[0])} images a set{compared}", tuple(columns), tuple(short))


def verdict_rows(verdicts: Sequence[Verdict]) -> list[VerdictRow]:
    """The verdicts in print, in the order of the results."""
    return [
        VerdictRow(
            relation=verdict.relation,
            statement=verdict.statement,
            outcome=verdict.outcome,
            symbol=SYMBOLS[verdict.outcome],
            ratio=_ratio(verdict),
            seeds=whole(verdict.seeds),
            reason=verdict.reason,
        )
        for verdict in verdicts
    ]


def bought(results: AuditResults) -> Ledger:
    """Images that each account bought from the target."""
    rows: dict[str, list[Row]] = {"auditor": [], "adversary": []}
    totals = {"auditor": 0, "adversary": 0}
    for account in results.accounts:
        seed = DASH if account.seed is None else str(account.seed)
        rows[account.role].append(Row(account.account, (seed, whole(account.bought))))
        totals[account.role] += account.bought
    return Ledger(
        auditor=tuple(rows["auditor"]),
        adversary=tuple(rows["adversary"]),
        auditor_total=whole(totals["auditor"]),
        adversary_total=whole(totals["adversary"]),
    )


def used(results: AuditResults) -> list[Row]:
    """Images that each substitute was trained on; seeds that used equally many share a row."""
    together: dict[tuple[str, int, int], list[int]] = {}
    for use in results.used:
        together.setdefault((use.attack + behind(use), use.query_budget, use.used), []).append(use.seed)
    return [
        Row(attack, (whole(budget), ", ".join(str(seed) for seed in sorted(found)), whole(count)))
        for (attack, budget, count), found in together.items()
    ]


def behind(record: UseRecord | FailureRecord) -> str:
    """The end of a copy's name: which defence it was made behind, and by whom."""
    return f", behind {record.defence}, {record.adversary}" if record.defence else ""


def failures(results: AuditResults) -> list[Row]:
    """What is missing: whose copy, or the utility of which defence, the step that failed, and why."""
    return [Row(_missing(failure), (failure.step, failure.reason)) for failure in results.failures]


def _missing(failure: FailureRecord) -> str:
    if failure.attack is None or failure.query_budget is None:
        return f"utility, behind {failure.defence}"
    return f"{failure.attack}, {whole(failure.query_budget)} images, seed {failure.seed}{behind(failure)}"


def steps(results: AuditResults) -> tuple[list[Row], str]:
    """Steps with their wall times, and the total."""
    rows = [Row(step.name, (step.kind, seconds(step.seconds))) for step in results.steps]
    return rows, seconds(sum(step.seconds for step in results.steps))


def _row(heading: str, columns: Sequence[Sequence[Measurement]], metrics: Sequence[str]) -> Row:
    """A row of summaries, one a metric, then how many images were measured and compared with."""
    cells = [_cell(column, metric) for column, metric in zip(columns, metrics, strict=True)]
    every = [m for column in columns for m in column]
    sizes = whole_interval(m.images for m in every) if every else DASH
    compared = f" / {whole_interval(m.compared for m in every)}" if any(m.compared for m in every) else ""
    return Row(heading, (*cells, sizes + compared))


def _cell(found: Sequence[Measurement], metric: str) -> str:
    summary = summarise(found)
    if summary is None:
        return DASH
    return with_spread(summary) if METRICS[metric] == "lower" else with_spread(summary, 3)


def _ratio(verdict: Verdict) -> str:
    if verdict.ratio is None:
        return DASH
    if verdict.low is None or verdict.high is None:
        return number(verdict.ratio)
    return f"{number(verdict.ratio)} ({interval(verdict.low, verdict.high)})"
