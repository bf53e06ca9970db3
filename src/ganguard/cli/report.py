"""`ganguard report`: the page again, from results that are there."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A directory that `ganguard audit` wrote.", show_default=False)
    ],
) -> None:
    """Write `report.html` anew from `results.json` and the grids beside it; nothing is measured.

    Example: `ganguard report audits/digits`
    """
    from ganguard.audit.report import write_report
    from ganguard.audit.results import read_results

    typer.echo(f"Report: {write_report(read_results(directory), directory)}")
