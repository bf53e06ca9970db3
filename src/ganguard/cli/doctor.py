"""`ganguard doctor`: check what lies in a directory."""

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="The `--out` of an audit, of several audits, of a harvest, an attack or a training; or the "
            "`directory` of a gateway.",
            show_default=False,
        ),
    ],
) -> None:
    """Check everything in a directory, and say what is wrong there and what to do.

    Checks every file against the digest that was recorded when it was written: results, steps, checkpoints
    and bought images. Checks the ledger against itself, the bought images and the results; that of a gateway,
    which should not be selling meanwhile, against itself alone. Nothing is changed or removed.

    Prints a line for each finding: `ok`, `note` (little or nothing to do) or `wrong`. The exit code is 0 if
    nothing is wrong, 1 if something is, and 2 if ganguard did not write DIR.

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
