"""The table of copies beside the bought images and a model that never saw the target."""

from dataclasses import dataclass

from ganguard.report.findings import budgets, labels, of_copy, purchase_of, replays
from ganguard.report.independent import CLOSER
from ganguard.report.numbers import DASH, interval, number, whole
from ganguard.report.tables import Group, Row, cell
from ganguard.report.weak import FAILED
from ganguard.results.independent import Comparison, comparison, honest_record
from ganguard.results.measures import DISTANCE
from ganguard.results.records import AuditResults
from ganguard.results.weak import weak_in
from ganguard.results.whose import Whose

COLUMNS = (
    "copy: FD",
    "bought images: FD",
    "never saw it: FD",
    "copy / never saw it (95 % interval)",
    CLOSER,
)


@dataclass(frozen=True)
class CopiesBeside:
    """A group of rows for each attack, a row for each budget; no groups without copies of the target."""

    columns: tuple[str, ...]
    groups: tuple[Group, ...]


def copies_beside(results: AuditResults) -> CopiesBeside:
    """Return every copy beside the bought images and an honest model."""
    bought, failed = replays(results), [weak.whose for weak in weak_in(results)]
    groups: list[Group] = []
    for label in labels(results):
        record = honest_record(results.independent, label, results.measurements)
        honest = results.select(recipe=record.label, metric=DISTANCE, against="target") if record else []
        rows: list[Row] = []
        for budget in budgets(results, label):
            copies = of_copy(results, label, budget, DISTANCE, "target")
            if not copies:
                continue
            whose = Whose(attack=label, query_budget=budget)
            weak = f" ({FAILED})" if whose in failed else ""
            found, own = comparison(results, whose), purchase_of(results, label, budget)
            cells = (
                cell(copies),
                cell(bought.get(own, []) if own else []),
                cell(honest),
                *_compared(found),
            )
            rows.append(Row(f"{whole(budget)}{weak}", cells))
        groups.append(Group(label, tuple(rows)))
    return CopiesBeside(COLUMNS, tuple(group for group in groups if group.rows))


def _compared(found: Comparison | None) -> tuple[str, str]:
    if found is None:
        return DASH, DASH
    if found.ratio is None:
        return DASH, found.closer
    limits = "" if found.low is None or found.high is None else f" ({interval(found.low, found.high)})"
    return f"{number(found.ratio)}{limits}", found.closer
