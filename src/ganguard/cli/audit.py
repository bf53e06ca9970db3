"""`ganguard audit`: the whole question, end to end."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganguard.base.errors import SpecError, StepError
from ganguard.cli.options import Changes

if TYPE_CHECKING:
    from ganguard.audit.spec import Spec


def audit(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="SPEC|PRESET",
            help="A YAML file, or a preset: `digits` (fidelity), `digits-accuracy` (the adversary knows real images, or D), "
            "`digits-accuracy-early` (of a target stopped early), `digits-defences`, each with five seeds as `…-full`; "
            "`digits-transfer`, `digits-averaging`, `digits-private`, `patches-utility`.",
            show_default=False,
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Directory for what comes out.", show_default="audits/<name>")] = None,
    changes: Changes = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and its cost in images; do nothing.")] = False,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Of `digits-accuracy` and `digits-defences`: short trainings, to see that every part runs."
        ),
    ] = False,
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
    from ganguard.audit.spec import presets, read_spec, source_of

    if quick and (spec := f"{spec}-quick") not in presets():
        having = ", ".join(name.removesuffix("-quick") for name in presets() if name.endswith("-quick"))
        raise SpecError(f"--quick: {spec.removesuffix('-quick')} has no quick form. With one: {having}.")
    name, parsed = read_spec(spec, changes or [])
    directory = out or Path("audits") / name
    if dry_run:
        _print_plan(parsed, directory)
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
    if results.failures:
        first = results.failures[0]
        copies = sum(failure.attack is not None for failure in results.failures)
        utilities = len(results.failures) - copies
        absent = _counted(copies, "copy", "copies") + _counted(utilities, "defence's utility", "defences' utilities")
        raise StepError(
            f"missing from the report, which says why: {' and '.join(absent)}. The first: {first.step}: {first.reason}"
        )


def _counted(count: int, one: str, more: str) -> list[str]:
    return [f"{count} {one if count == 1 else more}"] if count else []


def _print_plan(spec: "Spec", directory: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from ganguard.audit.assemble import images_bought
    from ganguard.audit.plan import make_plan
    from ganguard.audit.step_cache import find_all

    plan = make_plan(spec)
    done = find_all(plan, directory, spec.compute)
    anew = [step.name for step in plan.steps if step.volatile and step.name in done]
    steps = Table("step", "state", title_justify="left")
    steps.title = f"{len(plan.steps)} steps, {len(done) - len(anew)} done before"
    for step in plan.steps:
        steps.add_row(step.name, "opened anew" if step.name in anew else "done" if step.name in done else "to do")
    images = Table("who", "images", "bought before", title="Images", title_justify="left")
    before = images_bought(plan, directory, done, spec.codes)
    auditor = sum(bought for (_, _, seed), bought in before.items() if seed is None)
    images.add_row("auditor buys, to measure with", f"{plan.auditor:,}", f"{auditor:,}")
    for p in plan.purchases:
        behind = f", behind {p.defence}" if p.defence else ""
        averages = f", {p.adversary}" if p.adversary else ""
        who = f"adversary buys, seed {p.seed}{behind}{averages}, once for all attacks"
        images.add_row(who, f"{p.images:,}", f"{before[p.defence, p.adversary, p.seed]:,}")
    bought = plan.auditor + sum(p.images for p in plan.purchases)
    images.add_row("bought in all", f"{bought:,}", f"{sum(before.values()):,}")
    images.add_section()
    for label, by_budget in spec.labelled_attacks():
        budgets = " + ".join(f"{settings.buys():,}" for settings in by_budget)
        used = sum(s.settings.buys() for s in plan.substitutes if s.label == label)
        copies = len(spec.seeds) * len(spec.situations())
        times = f", {copies} times" if copies > 1 else ""
        images.add_row(f"{label} uses {budgets}{times}", f"{used:,}", "")
    images.add_row("used in all", f"{sum(s.settings.buys() for s in plan.substitutes):,}", "")
    shown = Console(highlight=False)
    shown.print(steps, images)
    if anew:
        shown.print(_TAKEN_AS_LAST)


_TAKEN_AS_LAST = (
    "Which target this is, only opening it tells; the plan takes it to be the one that was opened last. Another one would have "
    "all that depends on it bought and done anew."
)
