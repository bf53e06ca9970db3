"""`ganguard audit`: answer the whole question, end to end."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganguard.base.errors import SpecError
from ganguard.cli.audit_plan import gpu_line, print_plan, saying_first
from ganguard.cli.audit_several import audit_several
from ganguard.cli.options import Changes, SpecDevice, with_device
from ganguard.cli.outcome import require_all

if TYPE_CHECKING:
    from ganguard.cli.display import Display


def audit(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="SPEC|PRESET",
            help="A YAML file, or a preset: `digits` (fidelity), `digits-accuracy` (the adversary knows real "
            "images, or D too; a good target and one stopped early) or `digits-defences`, each with five "
            "seeds as `…-full`, and so is `digits-conditional` (asked for a digit); `digits-flow`, "
            "`digits-few`, `digits-distillation`, `digits-transfer`, `digits-averaging`, "
            "`digits-reweighting`, `digits-private`, `patches-utility`; `pairs`; "
            "`fashion`, `fashion-accuracy`, `fashion-defences`; `faces`. An unknown name lists all presets.",
            show_default=False,
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Output directory.", show_default="audits/<name>")] = None,
    changes: Changes = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan, and what it buys and costs, and do nothing.")
    ] = False,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="For `digits-accuracy` and `digits-defences`: train briefly, to see that every part runs.",
        ),
    ] = False,
    even_if: Annotated[
        list[str] | None,
        typer.Option(
            "--even-if",
            metavar="FINDING",
            help="Go on although `target_broken`: no nearer to real images than noise is.",
        ),
    ] = None,
    device: SpecDevice = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Steps that run at once.", show_default="one for each core")
    ] = None,
) -> None:
    """Answer how well a GAN can be copied, and write a report.

    Trains or opens the target, buys images from it through a ledger, trains a substitute for each attack,
    budget and seed, and measures each copy. Writes `report.html`, `results.json`, `results.parquet`, sample
    grids and checkpoints.

    Nothing is computed or bought twice: a second run takes seconds, and one that was killed goes on.

    Examples:

    - `ganguard audit digits`
    - `ganguard audit digits --set seeds=[0,1] --out audits/two-seeds`
    - `ganguard audit my-gan.yaml --dry-run`
    """
    from ganguard.audit.spec.reading import audits_listed, read_spec, source_of

    spec = _quick_form(spec) if quick else spec
    changes = with_device(changes, device) + ([f"even_if=[{','.join(even_if)}]"] if even_if else [])
    name, listed = audits_listed(spec)
    there = out or Path("audits") / name
    parsed = None if listed else read_spec(spec, changes)[1]
    if parsed is None or parsed.target_seeds:
        return audit_several(name, listed or [spec], changes, there, dry_run=dry_run, processes=processes)
    if dry_run:
        return print_plan(parsed, there, processes)
    from ganguard.audit.run import audit as run_audit
    from ganguard.cli.audit_results import print_results
    from ganguard.cli.display import display

    with display() as shown:
        heard, source = saying_first(gpu_line(parsed), shown), source_of(spec)
        results = run_audit(name, parsed, there, processes=processes, listener=heard, source=source)
    _say_cached(shown)
    print_results(results, there)
    require_all(results.failures)


def _say_cached(shown: "Display") -> None:
    """Print how many steps were done before."""
    from ganguard.report.numbers import counted

    if shown.cached:
        were = counted(shown.cached, "step was done before and was", "steps were done before and were")
        shown.console.print(f"{were} not repeated.")


def _quick_form(preset: str) -> str:
    """Return the name of the quick form of a preset. Raises SpecError if it has none."""
    from ganguard.audit.spec.reading import presets

    known = presets()
    if f"{preset}-quick" in known:
        return f"{preset}-quick"
    having = sorted(name.removesuffix("-quick") for name in known if name.endswith("-quick"))
    raise SpecError(f"--quick: {preset} has no quick form. With one: {', '.join(having)}.")
