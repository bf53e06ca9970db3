"""Collect the histograms over the clusters of the train split: real images, the target, and copies."""

from collections.abc import Iterator

from ganguard.audit.engine.cache import Done
from ganguard.audit.plan.parts import Plan
from ganguard.audit.plan.step import Step
from ganguard.audit.steps.bin_files import read_bins
from ganguard.results.bins import BinsRecord
from ganguard.results.whose import Whose


def bins_records(plan: Plan, done: dict[str, Done]) -> list[BinsRecord]:
    """Return the histograms of real images, of the target, and of each copy that was made without a defence
    from its attack's largest budget.

    Raises DataError if a step's file is damaged.
    """
    return [
        BinsRecord.model_validate({**dict(shares), **whose.model_dump()})
        for step, whose in _steps(plan)
        if step.name in done
        for shares in read_bins(done[step.name].directory)
    ]


def _steps(plan: Plan) -> Iterator[tuple[Step, Whose]]:
    yield plan.ground.yardsticks, Whose()
    copies = [(each.measure, each.copy.whose()) for each in plan.substitutes]
    most: dict[str | None, int] = {}
    for _, whose in copies:
        most[whose.attack] = max(most.get(whose.attack, 0), whose.query_budget or 0)
    for step, whose in copies:
        if whose.defence is None and (whose.query_budget or 0) == most[whose.attack]:
            yield step, whose
