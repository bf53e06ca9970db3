"""`ganguard audit`: the whole question, end to end."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganguard.base.errors import StepError
from ganguard.cli.options import Changes

if TYPE_CHECKING:
    from ganguard.audit.results import AuditResults
    from ganguard.audit.spec import Spec


def audit(
    spec: Annotated[
        str,
        typer.Argument(metavar="SPEC|PRESET", help="A YAML file, or a preset: `digits`, `digits-full`.", show_default=False),
    ],
    out: Annotated[Path | None, typer.Option(help="Directory for what comes out.", show_default="audits/<name>")] = None,
    changes: Changes = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and its cost in images; do nothing.")] = False,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Steps at work at once.", show_default="one for each core")
    ] = None,
) -> None:
    """Answer how well a GAN can be copied, and write a report.

    Trains or opens the target, buys images from it through a ledger, trains a substitute for each attack, budget and seed, and
    measures each copy. Out come `report.html`, `results.json`, `results.parquet`, sample grids and checkpoints.

    What was computed or bought is never computed or bought again: a second run takes seconds, and a killed one goes on.

    Examples:

    - `ganguard audit digits`
    - `ganguard audit digits --set seeds=[0,1] --out audits/two-seeds`
    - `ganguard audit my-gan.yaml --dry-run`
    """
    from ganguard.audit.spec import read_spec

    name, parsed = read_spec(spec, changes or [])
    directory = out or Path("audits") / name
    if dry_run:
        _print_plan(parsed, directory)
        return
    from ganguard.audit.run import audit as run_audit
    from ganguard.cli.display import display

    with display() as shown:
        results = run_audit(name, parsed, directory, processes=processes, listener=shown)
    if shown.cached:
        shown.console.print(f"{shown.cached} steps were done before and were not repeated.")
    _print_results(results, directory)
    if results.failures:
        first = results.failures[0]
        raise StepError(
            f"{len(results.failures)} of the copies are missing from the report, which says why. The first: "
            f"{first.step}: {first.reason}"
        )


def _print_plan(spec: "Spec", directory: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from ganguard.audit.assemble import images_bought
    from ganguard.audit.plan import make_plan
    from ganguard.audit.step_cache import find_all

    plan = make_plan(spec)
    done = find_all(plan, directory, spec.compute)
    steps = Table("step", "state", title=f"{len(plan.steps)} steps, {len(done)} done before", title_justify="left")
    for step in plan.steps:
        steps.add_row(step.name, "done" if step.name in done else "to do")
    images = Table("who", "images", "bought before", title="Images", title_justify="left")
    before = images_bought(spec, directory, done)
    images.add_row("auditor buys, to measure with", f"{plan.auditor:,}", f"{before['auditor']:,}")
    for seed, bought in plan.bought.items():
        images.add_row(f"adversary buys, seed {seed}, once for all attacks", f"{bought:,}", f"{before[str(seed)]:,}")
    images.add_row("bought in all", f"{plan.auditor + sum(plan.bought.values()):,}", f"{sum(before.values()):,}")
    images.add_section()
    for label, by_budget in spec.labelled_attacks():
        budgets = " + ".join(f"{settings.query_budget:,}" for settings in by_budget)
        used = sum(s.settings.query_budget for s in plan.substitutes if s.label == label)
        times = f", {len(spec.seeds)} times" if len(spec.seeds) > 1 else ""
        images.add_row(f"{label} uses {budgets}{times}", f"{used:,}", "")
    images.add_row("used in all", f"{sum(s.settings.query_budget for s in plan.substitutes):,}", "")
    shown = Console(highlight=False)
    shown.print(steps, images)


def _print_results(results: "AuditResults", directory: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from ganguard.audit.results import summarise

    table = Table("attack", title="Fréchet distance of each copy; lower is closer", title_justify="left")
    for column in ("queries", "fidelity: to the target", "accuracy: to real images"):
        table.add_column(column, justify="right")

    def cell(**wanted: object) -> str:
        summary = summarise(results.select(metric="frechet_distance", **wanted))
        if summary is None:
            return "failed" if wanted.get("attack") else "–"
        return f"{summary.mean:.3f}" + (f" ± {summary.deviation:.3f}" if summary.deviation is not None else "")

    for attack in results.attacks:
        for budget in attack.query_budgets:
            row = {"attack": attack.label, "query_budget": budget}
            table.add_row(attack.label, f"{budget:,}", cell(**row, against="target"), cell(**row, against="reference"))
    table.add_section()
    table.add_row("the target itself", "", *(cell(subject="target", against=a) for a in ("target", "reference")))
    table.add_row("noise images", "", *(cell(subject="noise", against=a) for a in ("target", "reference")))
    shown = Console(highlight=False)
    shown.print(table)
    over = f"{len(results.spec['seeds'])} seeds" if len(results.spec["seeds"]) > 1 else "draws of images; one seed"
    shown.print(f"± is a standard deviation over {over}.")
    shown.print(f"Report: {directory / 'report.html'}", soft_wrap=True)
