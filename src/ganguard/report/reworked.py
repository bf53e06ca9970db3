"""What adversaries made of their purchases before they trained: a table of the section on defences."""

from collections.abc import Sequence
from statistics import mean

from ganguard.report.numbers import DASH, counted, number, whole
from ganguard.report.tables import Group, Row
from ganguard.results.records import AuditResults
from ganguard.results.rework_record import ReworkRecord

REWORKED_COLUMNS = ("images", "different bought images", "worth as many of the target's", "denoiser's error")
"""Headings of the table; "worth" is the effective sample size."""


def reworked_table(results: AuditResults) -> tuple[Group, ...]:
    """Return a group for each defence, and in it a row for each adversary and budget: means over seeds."""
    found: dict[str, dict[tuple[str, int], list[ReworkRecord]]] = {}
    for record in results.reworked:
        of_defence = found.setdefault(record.defence, {})
        of_defence.setdefault((record.adversary, record.query_budget), []).append(record)
    return tuple(
        Group(defence, tuple(_row(*whose, records) for whose, records in each.items()))
        for defence, each in found.items()
    )


def _row(adversary: str, budget: int, records: Sequence[ReworkRecord]) -> Row:
    effective = [record.effective for record in records if record.effective is not None]
    errors = [record.error for record in records if record.error is not None]
    return Row(
        f"{adversary}, {counted(budget, 'query', 'queries')}",
        (
            whole(round(mean(record.images for record in records))),
            whole(round(mean(record.distinct for record in records))),
            whole(round(mean(effective))) if effective else DASH,
            number(mean(errors)) if errors else DASH,
        ),
    )
