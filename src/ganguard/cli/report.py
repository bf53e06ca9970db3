"""`ganguard report`: write the page again, from results that exist."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="A directory that `ganguard audit` wrote.", show_default=False),
    ],
) -> None:
    """Write `report.html` again from `results.json` and the grids beside it. Nothing is measured.

    For several audits side by side, the report of each is written, then the page of all.

    Example: `ganguard report audits/digits`
    """
    from ganguard.audit.several import write_page
    from ganguard.report import write_report
    from ganguard.results.records import read_results
    from ganguard.results.side_by_side.files import FILE, read_together

    if not (directory / FILE).exists():
        typer.echo(f"Report: {write_report(read_results(directory), directory)}")
        return
    together = read_together(directory)
    for line in together.lines:
        write_report(read_results(directory / line.audit), directory / line.audit)
    typer.echo(f"Report: {write_page(together, directory)}")
