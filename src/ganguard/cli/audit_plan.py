"""`ganguard audit --dry-run`: print what an audit would do, and what it would buy."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from ganguard.audit.check.estimate import Cost
    from ganguard.audit.engine.cache import Done
    from ganguard.audit.engine.run_step import Event, Listener
    from ganguard.audit.plan.parts import Plan
    from ganguard.audit.spec.spec import Spec
    from ganguard.results.records import AccountRecord


def print_plan(spec: "Spec", directory: Path, processes: int | None) -> None:
    """Print the steps of an audit in `directory`, what it would buy, and what it would cost."""
    from rich.console import Console

    from ganguard.audit.check.unopened import estimate_unopened
    from ganguard.audit.engine.cache import find_all
    from ganguard.audit.outcome.accounts import account_records
    from ganguard.audit.plan.plan import make_plan

    plan = make_plan(spec)
    done = find_all(plan, directory, spec.compute)
    bought = account_records(plan, directory, done, spec, delivered=True)
    shown = Console(highlight=False)
    shown.print(_steps(plan, done), _images(spec, plan, bought))
    if any(step.volatile and step.name in done for step in plan.steps):
        shown.print(_TAKEN_AS_LAST)
    cost = estimate_unopened(spec, plan, directory, done, processes, _say)
    for line in cost_lines(cost, spec):
        shown.print(line, soft_wrap=True)
    if line := gpu_line(spec):
        shown.print(line, style="bold", soft_wrap=True)


def cost_lines(cost: "Cost", spec: "Spec") -> list[str]:
    """Return what is said of what is left of an audit: time, disk, images and money."""
    lines = [_time(cost)]
    if cost.disk is not None:
        lines.append(f"Disk: at most {_size(cost.disk)} in all.")
    images = f"Images: {cost.buys:,} are left to buy"
    if cost.charged < cost.buys:
        images += f", {cost.charged:,} of which the API charges, since defences stand before kept answers"
    if cost.money is None or cost.adversaries is None:
        return [*lines, f"{images}. Set `price`, of one image, to see what they cost."]
    return [
        *lines,
        f"{images}; at {spec.price:g} each they cost {cost.money:,.2f}, of which the adversaries pay "
        f"{cost.adversaries:,.2f}.",
    ]


def _time(cost: "Cost") -> str:
    """Return what is said of the time."""
    from ganguard.report.numbers import counted
    from ganguard.training.pace import in_words

    if cost.seconds is None:
        return "Time: not known, since the size of the images is not. `ganguard check` opens them."
    shares = sorted(cost.parts.items(), key=lambda part: -part[1])
    of = ", ".join(f"{part} {in_words(seconds)}" for part, seconds in shares if seconds >= 0.5)
    at_once = counted(cost.processes, "process", "processes")
    said = (
        f"Time: about {in_words(cost.seconds)} with {at_once} and nothing beside"
        + (f" ({of})" if of else "")
        + "."
    )
    if not cost.unknown:
        return said
    without = " and ".join(cost.unknown)
    return f"{said} That is without {without}, whose speed `ganguard check` measures."


def _size(size: float) -> str:
    """Return a number of bytes in GB, at least a thousandth."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{max(size / 1e9, 0.001):.3f} GB"


def gpu_line(spec: "Spec") -> str:
    """Return what is said if a spec is for a GPU and there is none here, or "" """
    if not spec.for_gpu or spec.compute.torch_device().type != "cpu":
        return ""
    return (
        "This spec is sized for a GPU, and none is used here (`for_gpu: true`, device cpu): `ganguard check` "
        "and `--dry-run` tell how long it takes."
    )


def saying_first(line: str, listener: "Listener") -> "Listener":
    """Return a listener that prints a line on standard error before the first event, unless it is empty.

    So nothing stands before the message about a spec that cannot be run.
    """
    left = [line] if line else []

    def hear(event: "Event") -> None:
        if left:
            _say(left.pop())
        listener(event)

    return hear


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _steps(plan: "Plan", done: "dict[str, Done]") -> "Table":
    """Return a table of the steps, and which are done."""
    from rich.table import Table

    again = [step.name for step in plan.steps if step.volatile and step.name in done]
    table = Table("step", "state", title_justify="left")
    table.title = f"{len(plan.steps)} steps, {len(done) - len(again)} done before"
    for step in plan.steps:
        state = "opened again" if step.name in again else "done" if step.name in done else "to do"
        table.add_row(step.name, state)
    return table


def _images(spec: "Spec", plan: "Plan", before: "Sequence[AccountRecord]") -> "Table":
    """Return a table of what each account buys and has bought before, and of what each attack uses."""
    from rich.table import Table

    table = Table("who", "images", "bought before", title="Images", title_justify="left")
    drawn = sum(record.bought for record in before if record.role == "auditor")
    table.add_row("auditor buys, to measure with", f"{plan.auditor:,}", f"{drawn:,}")
    bought = {(r.defence, r.adversary, r.seed): r.bought for r in before if r.role == "adversary"}
    for purchase in plan.paid():
        scenario, seed = purchase.scenario, purchase.seed
        behind = f", behind {scenario.defence}" if scenario.defence else ""
        averages = f", {scenario.who}" if scenario.who else ""
        who = f"adversary buys, seed {seed}{behind}{averages}, once for all attacks"
        if plan.ground.bought:
            who = "adversaries hold, bought before this audit, once for all attacks and seeds"
        count = bought[scenario.defence, scenario.who, seed]
        table.add_row(who, f"{purchase.queries:,}", f"{count:,}")
    in_all = plan.auditor + sum(purchase.queries for purchase in plan.paid())
    table.add_row("bought in all", f"{in_all:,}", f"{sum(record.bought for record in before):,}")
    table.add_section()
    _add_uses(table, spec, plan)
    return table


def _add_uses(table: "Table", spec: "Spec", plan: "Plan") -> None:
    """Add the images that the copies of each attack use."""
    used_in_all = 0
    for label, by_budget in spec.labelled_attacks():
        uses = [each.copy.settings.needs().purchase for each in plan.substitutes if each.copy.label == label]
        copies = len(uses) // len(by_budget)  # one for each seed and scenario in which the copies differ
        times = f", {copies} times" if copies > 1 else ""
        budgets = " + ".join(f"{settings.needs().purchase:,}" for settings in by_budget)
        table.add_row(f"{label} uses {budgets}{times}", f"{sum(uses):,}", "")
        used_in_all += sum(uses)
    table.add_row("used in all", f"{used_in_all:,}", "")


_TAKEN_AS_LAST = (
    "Only opening this target tells which one it is; the plan assumes the one that was opened last. If it is "
    "another, all that depends on it is bought and done again."
)
