"""From the finished steps of a plan to the audit's results."""

import json
from pathlib import Path
from typing import Any

from ganguard.audit.engine.cache import Done
from ganguard.audit.engine.execute import Execution
from ganguard.audit.outcome.accounts import account_records
from ganguard.audit.outcome.copies import copy_checkpoints, fitted_directions, pictures
from ganguard.audit.outcome.environment import environment
from ganguard.audit.outcome.refinements import refinement_records
from ganguard.audit.plan.pairs import improvements
from ganguard.audit.plan.plan import Plan
from ganguard.audit.plan.planned import REFERENCE, target_name, utility_name
from ganguard.audit.plan.step import Step
from ganguard.audit.spec.adversaries import adversary_labels
from ganguard.audit.spec.scenarios import Situation
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.direction import EFFECT
from ganguard.audit.steps.measurements import read_measurements
from ganguard.audit.steps.real import load_real
from ganguard.audit.steps.target import open_target, target_identity
from ganguard.base.cache import copy_directory
from ganguard.base.compute import Compute
from ganguard.results.protection import protection_verdicts
from ganguard.results.records import (
    AttackRecord,
    AuditResults,
    DefenceRecord,
    DirectionRecord,
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


def assemble(
    name: str, spec: Spec, plan: Plan, execution: Execution, audit: Path, processes: int
) -> AuditResults:
    """Collect everything the steps found into one record, and copy sample grids, checkpoints and the feature
    network beside it."""
    done = execution.done
    measurements = _measurements(plan, done)
    real = load_real(done["real"].directory)
    target = open_target(done["target"].directory, spec.compute)
    described = json.loads((done["target"].directory / "target.json").read_text())
    features = json.loads((done["features"].directory / "features.json").read_text())
    defences, directions = _defences(plan, done, spec.compute), _directions(plan, done)
    copy_checkpoints(plan, done, audit)
    copy_directory(done["features"].directory, audit / "features")
    return AuditResults(
        name=name,
        spec=spec.model_dump(mode="json"),
        environment=environment(spec.compute, processes),
        target=TargetRecord(
            description=described["description"],
            identity=target.identity,
            image_shape=target.image_shape,
            codes=spec.codes,
            measured_against="reference" if spec.reference else "api" if spec.remote() else "target",
            reference=target_identity(done[REFERENCE].directory) if spec.reference else None,
        ),
        real=spec.real.kind,
        real_images={"train": len(real.train), "reference": len(real.reference)},
        features=FeatureRecord(
            kind=spec.features.kind,
            dimensions=features["dimensions"],
            held_out_accuracy=features["held_out_accuracy"],
        ),
        attacks=tuple(_attack_records(spec)),
        defences=tuple(record for record, _ in defences),
        adversaries=adversary_labels(spec.adversaries) if defences else (),
        directions=tuple(directions),
        measurements=tuple(measurements),
        failures=tuple(_failures(plan, execution)),
        refinements=tuple(refinement_records(plan, done)),
        verdicts=tuple(_verdicts(spec, measurements, [record for record, _ in defences])),
        accounts=tuple(account_records(spec, audit, done, plan)),
        used=tuple(
            UseRecord(**s.whose(), used=_queries(done[s.step])) for s in plan.substitutes if s.step in done
        ),
        skipped=tuple(read_skipped((s.name, done[s.name].directory) for s in plan.steps if s.name in done)),
        steps=tuple(
            StepRecord(name=s.name, kind=s.kind, seconds=round(done[s.name].seconds, 3))
            for s in plan.steps
            if s.name in done
        ),
        pictures=tuple(pictures(plan, done, audit, (target.image_shape[1], target.image_shape[2]))),
    )


def _measurements(plan: Plan, done: dict[str, Done]) -> list[Measurement]:
    wanted: list[tuple[str, dict[str, Any]]] = [("yardsticks", {})]
    wanted += [
        (purchase.replay, {"defence": purchase.defence, "adversary": purchase.adversary})
        for purchase in plan.purchases
    ]
    wanted += [(step.name, {}) for step in plan.steps if step.kind in ("known", "domain")]
    wanted += [(utility_name(situation), {"defence": situation.defence}) for situation in plan.defended]
    wanted += [(substitute.measure, substitute.whose()) for substitute in plan.substitutes]
    found: list[Measurement] = []
    for step, whose in wanted:
        if step in done:
            found += [m.model_copy(update=whose) for m in read_measurements(done[step].directory)]
    return found


Defended = list[tuple[DefenceRecord, Situation]]


def _defences(plan: Plan, done: dict[str, Done], compute: Compute) -> Defended:
    """The defences that could be put up."""
    found: Defended = []
    for situation in plan.defended:
        if (step := target_name(situation)) in done:
            record = DefenceRecord(
                label=str(situation.defence),
                kinds=tuple(defence.kind for defence in situation.chain),
                settings=tuple(defence.model_dump(mode="json") for defence in situation.chain),
                identity=open_target(done[step].directory, compute).identity,
            )
            found.append((record, situation))
    return found


def _directions(plan: Plan, done: dict[str, Done]) -> list[DirectionRecord]:
    texts = [(done[step].directory / EFFECT).read_text() for step, _ in fitted_directions(plan, done)]
    return [DirectionRecord.model_validate_json(text) for text in texts]


def _verdicts(spec: Spec, measurements: list[Measurement], defences: list[DefenceRecord]) -> list[Verdict]:
    undefended = [m for m in measurements if m.defence is None]
    found = verdicts(undefended, improvements(spec.labelled_attacks()))
    return (
        found if spec.remote() and not spec.reference else found + protection_verdicts(measurements, defences)
    )


def _failures(plan: Plan, execution: Execution) -> list[FailureRecord]:
    steps = {step.name: step for step in plan.steps}

    def cause(step: Step) -> str | None:
        """The failed step that is behind the absence of this one."""
        if step.name in execution.failed:
            return step.name
        needed = [*(i.step for i in step.inputs), *step.after]
        return next(filter(None, (cause(steps[name]) for name in needed)), None)

    wanted: list[tuple[str, dict[str, Any]]] = [
        (substitute.measure, substitute.whose()) for substitute in plan.substitutes
    ]
    wanted += [(utility_name(situation), {"defence": situation.defence}) for situation in plan.defended]
    absent = [(cause(steps[name]), whose) for name, whose in wanted if name not in execution.done]
    return [
        FailureRecord(**whose, step=failed, reason=execution.failed[failed])
        for failed, whose in absent
        if failed
    ]


def _attack_records(spec: Spec) -> list[AttackRecord]:
    return [
        AttackRecord(
            label=label,
            kind=by_budget[0].kind,
            architecture=by_budget[0].architecture.kind,
            query_budgets=tuple(settings.query_budget for settings in by_budget),
            settings=by_budget[0].model_dump(mode="json", exclude={"query_budget", "kind"}),
        )
        for label, by_budget in spec.labelled_attacks()
    ]


def _queries(substitute: Done) -> int:
    return int(json.loads((substitute.directory / "substitute.json").read_text())["queries"])
