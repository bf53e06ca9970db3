"""The page that lays several audits side by side: a table of targets and substitutes, and the verdicts on R3."""

from ganguard.audit.report.numbers import DASH, whole, with_spread
from ganguard.audit.report.pages import template
from ganguard.audit.report.tables import Group, Row, verdict_rows
from ganguard.audit.side_by_side import Line, SideBySide
from ganguard.audit.summaries import Summary


def render_beside(found: SideBySide) -> str:
    """HTML text that needs no other file; it links to the audits' own reports below its directory."""
    return template("beside.html.j2").render(
        found=found,
        budget=whole(found.query_budget),
        columns=columns(found),
        groups=[Group("", tuple(row(line) for line in found.lines))],
        verdicts=verdict_rows(found.verdicts),
        ratios=verdict_rows(found.ratios),
    )


def columns(found: SideBySide) -> tuple[str, ...]:
    """Of the table: an attack each, then the yardsticks."""
    return (*found.attacks, "target to real images", "two draws of the target")


def row(line: Line) -> Row:
    """An audit's line of the table."""
    cells = (*(copies.distance for copies in line.copies), line.to_real, line.two_draws)
    return Row(line.audit, tuple(_cell(cell) for cell in cells))


def _cell(found: Summary | None) -> str:
    return DASH if found is None else with_spread(found)
