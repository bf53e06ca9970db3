"""`ganguard audit --dry-run`: what an audit would do, and what it would buy."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganguard.audit.spec.spec import Spec


def print_plan(spec: "Spec", directory: Path) -> None:
    """The steps of an audit in `directory`, and what it would buy."""
    from rich.console import Console
    from rich.table import Table

    from ganguard.audit.engine.cache import find_all
    from ganguard.audit.outcome.accounts import images_bought
    from ganguard.audit.plan.plan import make_plan

    plan = make_plan(spec)
    done = find_all(plan, directory, spec.compute)
    anew = [step.name for step in plan.steps if step.volatile and step.name in done]
    steps = Table("step", "state", title_justify="left")
    steps.title = f"{len(plan.steps)} steps, {len(done) - len(anew)} done before"
    for step in plan.steps:
        steps.add_row(
            step.name, "opened anew" if step.name in anew else "done" if step.name in done else "to do"
        )
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
    "Which target this is, only opening it tells; the plan takes it to be the one that was opened last. "
    "Another one would have all that depends on it bought and done anew."
)
