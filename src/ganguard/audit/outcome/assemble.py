"""Assemble the results of an audit from its finished steps. Nothing is bought, and no target is opened."""

from pathlib import Path

from ganguard.audit.engine.execute import Execution
from ganguard.audit.outcome.accounts import account_records
from ganguard.audit.outcome.audited import (
    attack_records,
    defence_records,
    direction_records,
    feature_record,
    independent_records,
    target_record,
)
from ganguard.audit.outcome.binned import bins_records
from ganguard.audit.outcome.copies import copy_checkpoints, pictures
from ganguard.audit.outcome.environment import environment
from ganguard.audit.outcome.measured import (
    failure_records,
    measurements_of,
    rework_records,
    use_records,
    verdicts_on,
)
from ganguard.audit.outcome.panels import panel_records
from ganguard.audit.outcome.refinements import refinement_records
from ganguard.audit.plan.parts import Plan
from ganguard.audit.spec.adversaries import adversary_labels
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.eyesight import read_ladder
from ganguard.audit.steps.real import count_real
from ganguard.base.cache import copy_directory
from ganguard.results.records import AuditResults, StepRecord
from ganguard.results.skipped import read_skipped


def assemble(
    name: str, spec: Spec, plan: Plan, execution: Execution, audit: Path, processes: int
) -> AuditResults:
    """Return everything that the steps found, and copy grids, checkpoints and the feature network beside it.

    Args:
        name: the audit's name.
        spec: its settings.
        plan: its plan.
        execution: the outcome of the plan's steps.
        audit: its directory.
        processes: how many steps ran at once.
    """
    done, ground = execution.done, plan.ground
    measurements = list(measurements_of(plan, done))
    target = target_record(spec, plan, done)
    attacks, defences = list(attack_records(spec, target)), list(defence_records(plan, done))
    splits = count_real(done[ground.real.name].directory)
    honest = independent_records(plan, splits.train)
    copy_checkpoints(plan, done, audit)
    copy_directory(done[ground.features.name].directory, audit / "features")
    finished = [step for step in plan.steps if step.name in done]
    return AuditResults(
        name=name,
        spec=spec.model_dump(mode="json"),
        environment=environment(spec.compute, processes),
        target=target,
        real=spec.real.kind,
        real_images={"train": splits.train, "reference": splits.reference},
        features=feature_record(spec, done[ground.features.name]),
        attacks=tuple(attacks),
        independent=tuple(honest),
        defences=tuple(defences),
        adversaries=adversary_labels(spec.adversaries) if defences else (),
        directions=tuple(direction_records(plan, done)),
        measurements=tuple(measurements),
        bins=tuple(bins_records(plan, done)),
        eyesight=read_ladder(done[ground.eyesight.name].directory) if ground.eyesight.name in done else (),
        failures=tuple(failure_records(plan, execution)),
        refinements=tuple(refinement_records(plan, done)),
        panels=tuple(panel_records(plan, done)),
        reworked=tuple(rework_records(plan, done)),
        verdicts=tuple(verdicts_on(spec, measurements, attacks, defences, honest)),
        accounts=tuple(account_records(plan, audit, done, spec)),
        used=tuple(use_records(plan, done)),
        skipped=tuple(read_skipped((step.name, done[step.name].directory) for step in finished)),
        steps=tuple(
            StepRecord(name=step.name, kind=step.kind, seconds=round(done[step.name].seconds, 3))
            for step in finished
        ),
        pictures=tuple(pictures(plan, done, audit, target)),
    )
