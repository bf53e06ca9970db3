"""`ganguard audit` of a spec that lists audits or target seeds: run each, and lay them side by side on one
page."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ganguard.cli.audit_plan import gpu_line, print_plan, saying_first
from ganguard.cli.outcome import require_all

if TYPE_CHECKING:
    from ganguard.results.side_by_side import SideBySide


def audit_several(
    name: str, listed: list[str], changes: list[str], directory: Path, *, dry_run: bool, processes: int | None
) -> None:
    """Run the listed audits, each with the command line's changes, or only print their plans.

    Args:
        name: name of the spec that lists them.
        listed: their presets or spec files; one that has `target_seeds` stands for an audit of each target.
        changes: settings to change in each, as "key=value".
        directory: where each gets a directory of its own, and the common page is written.
        dry_run: print the plans, and do nothing.
        processes: steps that run at once; None for one for each core.
    """
    from ganguard.audit.several import planned_audits, require_comparable, run_several
    from ganguard.audit.spec.reading import read_spec, source_of

    sources = [(source_of(each), *read_spec(each, changes)) for each in listed]
    specs = {each: (source, spec) for source, each, spec in sources}
    if dry_run:
        require_comparable(name, specs)
        for each, audit in planned_audits(specs).items():
            typer.echo(f"{each}:")
            print_plan(audit.spec, directory / each, processes)
        return
    from ganguard.cli.display import display

    line = next((line for _, spec in specs.values() if (line := gpu_line(spec))), "")
    with display() as shown:
        together, found = run_several(
            name, specs, directory, processes=processes, listener=saying_first(line, shown)
        )
    _print_table(together, directory)
    require_all([failure for results in found.values() for failure in results.failures])


def _print_table(together: "SideBySide", directory: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from ganguard.report.beside import WORDS, columns, failed, placebo_groups, rows, warnings
    from ganguard.report.weak import SAID

    words = WORDS[together.question]
    table = Table()
    table.add_column(words.head, overflow="fold")  # folded, never cut short: it names an audit
    for column in columns(together):
        table.add_column(column, justify="right", overflow="fold")
    for found in rows(together):
        table.add_row(found.heading, *found.cells)
    shown = Console(highlight=False)
    for audit, warning in warnings(together):
        shown.print(f"{audit}: {warning}", style="bold red", soft_wrap=True)
    if copies := failed(together):
        shown.print(SAID, *copies, sep="\n", style="bold", soft_wrap=True)
    shown.print(
        f"Fréchet distance of copies to {words.to}, from {together.query_budget:,} images; lower is closer"
    )
    for group in placebo_groups(together):
        for found in group.rows:
            table.add_row(found.heading, *found.cells)
    shown.print(table)
    for verdict in together.verdicts:
        shown.print(f"{verdict.relation} {verdict.statement}: {verdict.outcome} ({verdict.reason}).")
    shown.print(f"Report: {directory / 'report.html'}", soft_wrap=True)
