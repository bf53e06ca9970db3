"""Collect what was measured, why anything is absent, and what that says of the paper's relations."""

from collections.abc import Iterator

from ganguard.audit.engine.cache import Done
from ganguard.audit.engine.execute import Execution
from ganguard.audit.plan.pairs import improvements
from ganguard.audit.plan.parts import Plan, PurchasePlan
from ganguard.audit.plan.step import Step
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.measurements import read_measurements
from ganguard.audit.steps.rework_files import read_rework
from ganguard.audit.steps.substitute_files import queries_of
from ganguard.results.holm import corrected
from ganguard.results.independent_record import IndependentRecord
from ganguard.results.protection import protection_verdicts
from ganguard.results.records import (
    AttackRecord,
    DefenceRecord,
    FailureRecord,
    Measurement,
    UseRecord,
    Verdict,
)
from ganguard.results.rework_record import ReworkRecord
from ganguard.results.verdicts import verdicts
from ganguard.results.weak import failed_attacks, weak_adversaries


def measurements_of(plan: Plan, done: dict[str, Done]) -> Iterator[Measurement]:
    """Yield every measurement, marked with what its step did not know.

    A step knows neither the defence that stands before a target, nor whose copy it measures, nor how bought
    images were asked for.
    """
    for step, known in _measuring_steps(plan):
        if step.name in done:
            for measurement in read_measurements(done[step.name].directory):
                yield measurement.model_copy(update=known)


def _measuring_steps(plan: Plan) -> Iterator[tuple[Step, dict[str, str | int | None]]]:
    """Yield the steps that measure, in the order of results.json, and what the plan knows of each."""
    ground = plan.ground
    yield from ((step, {}) for step in (ground.yardsticks, ground.codes) if step)
    for purchase in (*plan.purchases, *plan.reworked):
        buyer, ask = purchase.scenario, purchase.ask
        asked = None if ask.is_uniform else ask.digest()
        for who in (buyer.who, *purchase.also):
            if purchase.rework or not _is_reworked(plan, purchase, who):
                yield purchase.replay, {"defence": buyer.defence, "adversary": who, "ask": asked}
    for model in plan.honest:
        yield model.measure, {"recipe": model.label, "seed": model.seed}
    for step in (*plan.known, *(domain.floors for domain in ground.domains)):
        yield step, {}
    for defended in ground.defended:
        yield defended.utility, {"defence": defended.scenario.defence}
    for substitute in plan.substitutes:
        whose = substitute.copy.whose().model_dump()
        yield from ((step, whose) for step in (substitute.measure, substitute.measure_codes) if step)


def _is_reworked(plan: Plan, bought: PurchasePlan, who: str | None) -> bool:
    """Return whether an adversary makes other images of its purchase, which stand for it then."""
    whose = bought.scenario.defence, who, bought.ask, bought.seed
    return who is not None and any(
        (each.scenario.defence, each.scenario.who, each.ask, each.seed) == whose for each in plan.reworked
    )


def use_records(plan: Plan, done: dict[str, Done]) -> Iterator[UseRecord]:
    """Yield how many queries each trained copy was made from."""
    for substitute in plan.substitutes:
        if substitute.train.name in done:
            used = queries_of(done[substitute.train.name].directory)
            yield UseRecord.model_validate({**substitute.copy.whose().model_dump(), "used": used})


def rework_records(plan: Plan, done: dict[str, Done]) -> Iterator[ReworkRecord]:
    """Yield what adversaries made of their purchases. Raises DataError if a file of theirs is damaged."""
    for bought in plan.reworked:
        if bought.rework and bought.rework.name in done:
            found = read_rework(done[bought.rework.name].directory)
            whose = {"adversary": bought.scenario.who, "defence": bought.scenario.defence}
            paid = {"seed": bought.seed, "query_budget": bought.queries}
            yield ReworkRecord.model_validate({**whose, **paid, **found.model_dump()})


def failure_records(plan: Plan, execution: Execution) -> Iterator[FailureRecord]:
    """Yield why each absent copy, absent utility of a defence, and absent honest model is absent."""
    wanted = [(plan_of.measure, plan_of.copy.whose().model_dump()) for plan_of in plan.substitutes]
    wanted += [(each.utility, {"defence": each.scenario.defence}) for each in plan.ground.defended]
    wanted += [(each.measure, {"recipe": each.label, "seed": each.seed}) for each in plan.honest]
    wanted += [
        (plan_of.measure_codes, plan_of.copy.whose().model_dump())
        for plan_of in plan.substitutes
        if plan_of.measure_codes and plan_of.measure.name in execution.done
    ]
    for step, of in wanted:
        failed = None if step.name in execution.done else _cause(step, execution)
        if failed:
            said = {**of, "step": failed, "reason": execution.failed[failed]}
            yield FailureRecord.model_validate(said)


def _cause(step: Step, execution: Execution) -> str | None:
    """Return the name of the failed step that made this one fail, or be left out."""
    if step.name in execution.failed:
        return step.name
    needed = [*(read.step for read in step.inputs.by_role().values()), *step.after]
    return next(filter(None, (_cause(each, execution) for each in needed)), None)


def verdicts_on(
    spec: Spec,
    measurements: list[Measurement],
    attacks: list[AttackRecord],
    defences: list[DefenceRecord],
    independent: list[IndependentRecord],
) -> list[Verdict]:
    """Return the verdicts on the paper's relations, each corrected for the comparisons of its relation.

    None are given on copies of adversaries that did not learn what they bought, and none on protection if
    distances are to the images that an API returned.
    """
    undefended = [measurement for measurement in measurements if measurement.defence is None]
    weak = weak_adversaries(measurements, attacks, independent)
    found = verdicts(
        undefended, attacks, improvements(spec.labelled_attacks(), spec.ask), failed_attacks(weak)
    )
    if not spec.remote() or spec.reference:
        found += protection_verdicts(measurements, defences, weak, attacks)
    return corrected(found)
