"""`ganguard audit`: the whole question, end to end."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganguard.base.errors import SpecError, StepError
from ganguard.cli.options import Changes

if TYPE_CHECKING:
    from rich.table import Table

    from ganguard.audit.results import AuditResults
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
    from ganguard.cli.display import display

    with display() as shown:
        source = source_of(spec)
        results = run_audit(name, parsed, directory, processes=processes, listener=shown, source=source)
    if shown.cached:
        were = "step was done before and was" if shown.cached == 1 else "steps were done before and were"
        shown.console.print(f"{shown.cached} {were} not repeated.")
    _print_results(results, directory)
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


def _print_results(results: "AuditResults", directory: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from ganguard.audit.summaries import summarise

    behind = _behind_defences(results)
    results = results.undefended()
    table = Table("attack", title="Fréchet distance of each copy; lower is closer", title_justify="left")
    moved = ("domain",) if results.select(against="domain") else ()
    columns = ("queries", "fidelity: to the target", "accuracy: to real images", *("to the other domain" for _ in moved))
    for column in columns:
        table.add_column(column, justify="right")

    def cell(**wanted: object) -> str:
        summary = summarise(results.select(metric="frechet_distance", **wanted))
        if summary is None:
            return "failed" if (wanted.get("attack"), wanted.get("query_budget")) in failed else "–"
        return f"{summary.mean:.3f}" + (f" ± {summary.deviation:.3f}" if summary.deviation is not None else "")

    failed = {(failure.attack, failure.query_budget) for failure in results.failures}
    for attack in results.attacks:
        for budget in attack.query_budgets:
            row = {"attack": attack.label, "query_budget": budget}
            table.add_row(attack.label, f"{budget:,}", *(cell(**row, against=a) for a in ("target", "reference", *moved)))
    table.add_section()
    table.add_row("the target itself", "", *(cell(subject="target", against=a) for a in ("target", "reference")))
    table.add_row("noise images", "", *(cell(subject="noise", against=a) for a in ("target", "reference")))
    shown = Console(highlight=False)
    if results.attacks:
        shown.print(table)
    if behind:
        shown.print(behind)
    seeds = len(results.spec["seeds"])
    over = f"standard deviation over {seeds} seeds" if seeds > 1 else "standard error of measuring so many images; one seed"
    shown.print(f"± is a {over}.")
    shown.print(f"Report: {directory / 'report.html'}", soft_wrap=True)


def _behind_defences(results: "AuditResults") -> "Table | None":
    """Both sides of each defence; None where there is none."""
    from rich.table import Table

    from ganguard.audit.protection import protection, utility_distance

    if not results.defences:
        return None
    if not results.attacks:
        return _utility(results)
    title = "Fréchet distances behind each defence: users want theirs low, the owner wants copies' high"
    table = Table("defence", title=title, title_justify="left")
    for column in ("attack", "users: to real images", "naive copy: to the target", "closest copy", "closest adversary"):
        table.add_column(column, justify="right")
    for attack in results.attacks:
        for label in (None, *(defence.label for defence in results.defences)):
            users = utility_distance(results.measurements, label)
            copies = protection(results.measurements, attack.label, max(attack.query_budgets), label)
            naive, closest = (f"{sum(d.values()) / len(d):.3f}" if d else "–" for d in (copies.naive, copies.closest))
            distance = f"{users.value:.3f}" if users else "–"
            table.add_row(label or "none", attack.label, distance, naive, closest, copies.closest_adversary or "–")
    return table


def _utility(results: "AuditResults") -> "Table":
    """What users get behind each defence, where nobody attacks."""
    from rich.table import Table

    table = Table("defence", title="What honest users get behind each defence", title_justify="left")
    columns = {
        "FD to real": ("frechet_distance", "reference"),
        "PSNR, dB": ("psnr", "undefended"),
        "SSIM": ("ssim", "undefended"),
        "PIQE": ("piqe", "nothing"),
    }
    for column in columns:
        table.add_column(column, justify="right")
    for label in (None, *(defence.label for defence in results.defences)):
        who = {"subject": "defended" if label else "target", "defence": label, "draw": 0}
        found = [results.select(**who, metric=metric, against=against) for metric, against in columns.values()]
        table.add_row(label or "none", *(f"{rows[0].value:.3f}" if rows else "–" for rows in found))
    return table
