"""`ganguard audit`: the whole question, end to end."""

from pathlib import Path
from typing import Annotated

import typer

from ganguard.base.errors import SpecError
from ganguard.cli.audit_plan import print_plan
from ganguard.cli.audit_several import audit_several
from ganguard.cli.options import Changes
from ganguard.cli.outcome import require_all


def audit(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="SPEC|PRESET",
            help="A YAML file, or a preset: `digits` (fidelity), `digits-accuracy` (the adversary knows real images, or D; a "
            "good target and one stopped early, side by side), `digits-defences`, each with five seeds as "
            "`…-full`; `digits-transfer`, `digits-averaging`, `digits-private`, `patches-utility`; `pairs` "
            "(three targets and three substitutes, side by side).",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Directory for what comes out.", show_default="audits/<name>")
    ] = None,
    changes: Changes = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and its cost in images; do nothing.")
    ] = False,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Of `digits-accuracy` and `digits-defences`: short trainings, to see that every part runs.",
        ),
    ] = False,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Steps at work at once.", show_default="one for each core")
    ] = None,
) -> None:
    """Answer how well a GAN can be copied, and write a report.

    Trains or opens the target, buys images from it through a ledger, trains a substitute for each attack,
    budget and seed, and measures each copy. Out come `report.html`, `results.json`, `results.parquet`, sample
    grids and checkpoints.

    What was computed or bought is never computed or bought again: a second run takes seconds, and a killed
    one goes on.

    Examples:

    - `ganguard audit digits`
    - `ganguard audit digits --set seeds=[0,1] --out audits/two-seeds`
    - `ganguard audit my-gan.yaml --dry-run`
    """
    from ganguard.audit.spec.reading import audits_listed, presets, read_spec, source_of

    if quick and (spec := f"{spec}-quick") not in presets():
        having = ", ".join(
            sorted(name.removesuffix("-quick") for name in presets() if name.endswith("-quick"))
        )
        raise SpecError(f"--quick: {spec.removesuffix('-quick')} has no quick form. With one: {having}.")
    name, listed = audits_listed(spec)
    directory = out or Path("audits") / name
    if listed:
        audit_several(name, listed, changes or [], directory, dry_run=dry_run, processes=processes)
        return
    name, parsed = read_spec(spec, changes or [])
    if dry_run:
        print_plan(parsed, directory)
        return
    from ganguard.audit.run import audit as run_audit
    from ganguard.cli.audit_results import print_results
    from ganguard.cli.display import display

    with display() as shown:
        source = source_of(spec)
        results = run_audit(name, parsed, directory, processes=processes, listener=shown, source=source)
    if shown.cached:
        were = "step was done before and was" if shown.cached == 1 else "steps were done before and were"
        shown.console.print(f"{shown.cached} {were} not repeated.")
    print_results(results, directory)
    require_all(results.failures)
