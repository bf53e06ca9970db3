"""`ganguard verdicts`: what holds, on which data, of which target, for which adversary."""

from pathlib import Path
from typing import Annotated

import typer


def verdicts(
    directories: Annotated[
        list[Path],
        typer.Argument(metavar="DIR…", help="Directories that `ganguard audit` wrote.", show_default=False),
    ],
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a table of Markdown.")] = False,
) -> None:
    """Print every relation's verdict, by relation, audit and comparison. Nothing is measured.

    Intervals are over seeds, or over targets where several differ only in their seed. What decides is the
    interval corrected for the number of comparisons of the relation in that audit (Holm 1979).

    Example: `ganguard verdicts audits/digits audits/fashion --markdown`
    """
    from ganguard.report.every_verdict import as_lines, as_markdown, every_verdict

    found = every_verdict(directories)
    if not found:
        typer.echo("No verdict: relations compare two budgets, attacks or defences, and need a copy of each.")
        return
    typer.echo(as_markdown(found) if markdown else "\n".join(as_lines(found)), nl=not markdown)
