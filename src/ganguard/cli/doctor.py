"""`ganguard doctor`: is what lies in a directory whole?"""

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="The `--out` of an audit, or several, a harvest, an attack or a training.",
            show_default=False,
        ),
    ],
) -> None:
    """Look at everything in a directory, and say what is wrong there and what to do.

    Checks every file against the digest that was recorded when it was written: results, steps, checkpoints,
    bought images; and the ledger against itself, the bought images and the results. Reads only: nothing is
    changed or removed.

    Prints a line for each finding: `ok`, `note` (asks for nothing, or little) or `wrong`. The exit code is 0
    where nothing is wrong, 1 where something is, and 2 where DIR is not a directory that ganguard wrote.

    Example: `ganguard doctor audits/digits`
    """
    from ganguard.audit.doctor import examine

    findings = examine(directory)
    for finding in findings:
        line = f"{finding.severity:<5}  {finding.where}: {finding.what}. {finding.advice}"
        typer.echo(" ".join(line.split()) if "\n" in line else line.rstrip())
    wrong = sum(finding.severity == "wrong" for finding in findings)
    if wrong:
        typer.echo(f"{wrong} {'thing is' if wrong == 1 else 'things are'} wrong.")
        raise typer.Exit(1)
    typer.echo("Nothing is wrong.")
