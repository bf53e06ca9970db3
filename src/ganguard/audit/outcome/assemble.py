"""From the finished steps of a plan to the audit's results. Nothing is bought here, and no target is opened."""

from collections.abc import Iterator
from pathlib import Path

from ganguard.audit.engine.cache import Done
from ganguard.audit.engine.execute import Execution
from ganguard.audit.outcome.accounts import account_records
from ganguard.audit.outcome.copies import copy_checkpoints, fitted_directions, pictures
from ganguard.audit.outcome.environment import environment
from ganguard.audit.outcome.refinements import refinement_records
from ganguard.audit.plan.pairs import improvements
from ganguard.audit.plan.parts import Plan
from ganguard.audit.plan.step import Step
from ganguard.audit.spec.adversaries import adversary_labels
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.direction import read_direction
from ganguard.audit.steps.measurements import read_measurements
from ganguard.audit.steps.real import count_real
from ganguard.audit.steps.substitute import queries_of
from ganguard.audit.steps.target import TargetFile, read_target
from ganguard.base.cache import copy_directory
from ganguard.base.errors import DataError
from ganguard.base.settings import read_record
from ganguard.comparison.embedding import FeatureDescription
from ganguard.results.protection import protection_verdicts
from ganguard.results.records import (
    AttackRecord,
    AuditResults,
    DefenceRecord,
    FailureRecord,
    FeatureRecord,
    Measurement,
    StepRecord,
    TargetRecord,
    UseRecord,
    Verdict,
)
from ganguard.results.skipped import read_skipped
from ganguard.results.verdicts import verdicts
from ganguard.results.whose import Whose


def assemble(
    name: str, spec: Spec, plan: Plan, execution: Execution, audit: Path, processes: int
) -> AuditResults:
    """Collect everything that the steps found, and copy grids, checkpoints and the feature network beside it."""
    done, ground = execution.done, plan.ground
    measurements = _measurements(plan, done)
    target = read_target(done[ground.target.name].directory)
    image_shape, splits = _shape(target), count_real(done[ground.real.name].directory)
    attacks, defences = tuple(_attack_records(spec)), _defences(plan, done)
    copy_checkpoints(plan, done, audit)
    copy_directory(done[ground.features.name].directory, audit / "features")
    finished = [step for step in plan.steps if step.name in done]
    return AuditResults(
        name=name,
        spec=spec.model_dump(mode="json"),
        environment=environment(spec.compute, processes),
        target=_target_record(spec, plan, done, target),
        real=spec.real.kind,
        real_images={"train": splits.train, "reference": splits.reference},
        features=_feature_record(spec, done[ground.features.name]),
        attacks=attacks,
        defences=tuple(defences),
        adversaries=adversary_labels(spec.adversaries) if defences else (),
        directions=tuple(
            read_direction(done[direction.step.name].directory) for direction in fitted_directions(plan, done)
        ),
        measurements=tuple(measurements),
        failures=tuple(_failures(plan, execution)),
        refinements=tuple(refinement_records(plan, done)),
        verdicts=tuple(_verdicts(spec, measurements, attacks, defences)),
        accounts=tuple(account_records(plan, audit, done, spec.codes)),
        used=tuple(_uses(plan, done)),
        skipped=tuple(read_skipped((step.name, done[step.name].directory) for step in finished)),
        steps=tuple(
            StepRecord(name=step.name, kind=step.kind, seconds=round(done[step.name].seconds, 3))
            for step in finished
        ),
        pictures=tuple(pictures(plan, done, audit, (image_shape[1], image_shape[2]))),
    )


def _shape(target: TargetFile) -> tuple[int, int, int]:
    if target.image_shape is None:
        raise DataError("target.json does not say how large the target's images are. Run the audit again.")
    return target.image_shape


def _target_record(spec: Spec, plan: Plan, done: dict[str, Done], target: TargetFile) -> TargetRecord:
    reference = plan.ground.reference
    return TargetRecord(
        description=target.description,
        identity=target.identity,
        image_shape=_shape(target),
        codes=spec.codes,
        measured_against="reference" if reference else "api" if spec.remote() else "target",
        reference=read_target(done[reference.name].directory).identity if reference else None,
    )


def _feature_record(spec: Spec, features: Done) -> FeatureRecord:
    said = read_record(features.directory / "features.json", FeatureDescription, DataError)
    return FeatureRecord(
        kind=spec.features.kind, dimensions=said.dimensions, held_out_accuracy=said.held_out_accuracy
    )


def _attack_records(spec: Spec) -> Iterator[AttackRecord]:
    for label, by_budget in spec.labelled_attacks():
        first = by_budget[0]
        yield AttackRecord(
            label=label,
            kind=first.kind,
            architecture=first.architecture.kind,
            knows=first.needs().knows(),
            query_budgets=tuple(settings.query_budget for settings in by_budget),
            settings=first.model_dump(mode="json", exclude={"query_budget", "kind"}),
        )


def _defences(plan: Plan, done: dict[str, Done]) -> list[DefenceRecord]:
    """Return the defences that could be put up."""
    return [
        DefenceRecord(
            label=str(defended.scenario.defence),
            kinds=tuple(defence.kind for defence in defended.scenario.chain),
            settings=tuple(defence.model_dump(mode="json") for defence in defended.scenario.chain),
            identity=read_target(done[defended.target.name].directory).identity,
        )
        for defended in plan.ground.defended
        if defended.target.name in done
    ]


def _measurements(plan: Plan, done: dict[str, Done]) -> list[Measurement]:
    """Return every measurement. A step does not know behind which defence its numbers are, nor whose copy it measured."""
    ground, nobody = plan.ground, set[str]()
    wanted: list[tuple[Step, Whose, set[str]]] = [(ground.yardsticks, Whose(), nobody)]
    for purchase in plan.purchases:
        behind = Whose(defence=purchase.scenario.defence, adversary=purchase.scenario.who)
        wanted.append((purchase.replay, behind, {"defence", "adversary"}))
    wanted += [(step, Whose(), nobody) for step in plan.known]
    wanted += [(domain.floors, Whose(), nobody) for domain in ground.domains]
    for defended in ground.defended:
        wanted.append((defended.utility, Whose(defence=defended.scenario.defence), {"defence"}))
    for substitute in plan.substitutes:
        wanted.append((substitute.measure, substitute.copy.whose(), set(Whose.model_fields)))
    found: list[Measurement] = []
    for step, whose, fields in wanted:
        if step.name in done:
            said = whose.model_dump(include=fields)
            found += [m.model_copy(update=said) for m in read_measurements(done[step.name].directory)]
    return found


def _uses(plan: Plan, done: dict[str, Done]) -> Iterator[UseRecord]:
    for substitute in plan.substitutes:
        if substitute.train.name in done:
            used = queries_of(done[substitute.train.name].directory)
            yield UseRecord.model_validate({**substitute.copy.whose().model_dump(), "used": used})


def _verdicts(
    spec: Spec,
    measurements: list[Measurement],
    attacks: tuple[AttackRecord, ...],
    defences: list[DefenceRecord],
) -> list[Verdict]:
    undefended = [m for m in measurements if m.defence is None]
    found = verdicts(undefended, attacks, improvements(spec.labelled_attacks()))
    if spec.remote() and not spec.reference:
        return found
    return found + protection_verdicts(measurements, defences)


def _failures(plan: Plan, execution: Execution) -> Iterator[FailureRecord]:
    """Yield why each copy, and the utility of each defence, is absent."""
    wanted = [(substitute.measure, substitute.copy.whose()) for substitute in plan.substitutes]
    wanted += [
        (defended.utility, Whose(defence=defended.scenario.defence)) for defended in plan.ground.defended
    ]
    for step, whose in wanted:
        failed = None if step.name in execution.done else _cause(step, execution)
        if failed:
            reason = execution.failed[failed]
            yield FailureRecord.model_validate({**whose.model_dump(), "step": failed, "reason": reason})


def _cause(step: Step, execution: Execution) -> str | None:
    """Return the name of the failed step that is behind the absence of this one."""
    if step.name in execution.failed:
        return step.name
    needed = [*(read.step for read in step.inputs.by_role().values()), *step.after]
    return next(filter(None, (_cause(each, execution) for each in needed)), None)
