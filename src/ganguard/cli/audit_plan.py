"""`ganguard audit --dry-run`: print what an audit would do, and what it would buy."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from ganguard.audit.engine.cache import Done
    from ganguard.audit.plan.parts import Plan
    from ganguard.audit.spec.spec import Spec
    from ganguard.results.records import AccountRecord


def print_plan(spec: "Spec", directory: Path) -> None:
    """Print the steps of an audit in `directory`, and what it would buy."""
    from rich.console import Console

    from ganguard.audit.engine.cache import find_all
    from ganguard.audit.outcome.accounts import account_records
    from ganguard.audit.plan.plan import make_plan

    plan = make_plan(spec)
    done = find_all(plan, directory, spec.compute)
    bought = account_records(plan, directory, done, spec.codes)
    shown = Console(highlight=False)
    shown.print(_steps(plan, done), _images(spec, plan, bought))
    if any(step.volatile and step.name in done for step in plan.steps):
        shown.print(_TAKEN_AS_LAST)


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
