"""Describe what was audited, and by what means: target, features, attacks, defences and directions."""

from collections.abc import Iterator

from ganguard.architectures.networks import classes_of
from ganguard.audit.engine.cache import Done
from ganguard.audit.outcome.copies import fitted_directions
from ganguard.audit.plan.parts import Plan
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.direction import read_direction
from ganguard.audit.steps.independent import honest_images
from ganguard.audit.steps.target_files import TargetFile, read_target
from ganguard.base.errors import DataError
from ganguard.base.settings import read_record
from ganguard.comparison.embedding import FeatureDescription
from ganguard.metrics.features.pretrained import CHOICES
from ganguard.results.direction_record import DirectionRecord
from ganguard.results.independent_record import IndependentRecord
from ganguard.results.records import (
    AttackRecord,
    DefenceRecord,
    FeatureRecord,
    TargetRecord,
)
from ganguard.results.target_record import AskRecord, ConditionsRecord
from ganguard.targets.ask import Ask
from ganguard.targets.conditions import Conditions


def target_record(spec: Spec, plan: Plan, done: dict[str, Done]) -> TargetRecord:
    """Return the record of the target, as it was when it was opened. Raises DataError if that is damaged."""
    target, ask = read_target(done[plan.ground.target.name].directory), spec.asks(None)
    conditions = _conditions(target)
    reference, bought = plan.ground.reference, plan.ground.bought
    if target.image_shape is None:
        raise DataError("target.json does not say how large the target's images are. Run the audit again.")
    return TargetRecord(
        description=target.description,
        identity=target.identity,
        image_shape=target.image_shape,
        codes=spec.codes,
        measured_against="reference" if reference else "api" if spec.remote() else "target",
        reference=read_target(done[reference.name].directory).identity if reference else None,
        bought=read_target(done[bought.name].directory).identity if bought else None,
        notes=target.notes,
        conditions=conditions,
        ask=None if ask.is_uniform else _ask(ask, conditions),
    )


def _conditions(target: TargetFile) -> ConditionsRecord | None:
    known = target.conditions
    return None if known is None else ConditionsRecord(kind=known.kind, names=known.names)


def feature_record(spec: Spec, features: Done) -> FeatureRecord:
    """Return the record of the feature network. Raises DataError if its description is damaged."""
    said = read_record(features.directory / "features.json", FeatureDescription, DataError)
    return FeatureRecord(
        kind=spec.features.kind,
        dimensions=said.dimensions,
        held_out_accuracy=said.held_out_accuracy,
        note=said.note,
        why=CHOICES.get(spec.features.kind, "") if spec.features_chosen == spec.features.kind else "",
    )


def attack_records(spec: Spec, target: TargetRecord) -> Iterator[AttackRecord]:
    """Yield the record of each attack, at all its budgets. target: the record of what they attack."""
    for label, by_budget in spec.labelled_attacks():
        first = by_budget[0]
        needs = first.needs()
        yield AttackRecord(
            label=label,
            kind=first.kind,
            architecture=", ".join(dict.fromkeys(each.architecture.kind for each in first.trainings())),
            knows=needs.knows(),
            query_budgets=tuple(settings.query_budget for settings in by_budget),
            settings=first.model_dump(mode="json", exclude={"query_budget", "kind"}),
            ask=_ask(spec.asks(first), target.conditions) if needs.purchase else None,
            labels=classes_of(first.architecture) > 0 if target.conditions and not needs.found else None,
        )


def _ask(ask: Ask, known: ConditionsRecord | None) -> AskRecord | None:
    """Return how a target is asked; None if it takes no conditions, and is sent codes of its own prior."""
    if known is None:
        return AskRecord(label=ask.label(), digest=ask.digest()) if ask.sends_codes else None
    names = ask.names(Conditions(kind=known.kind, names=known.names))
    some = names if len(names) < len(known.names) else ()
    return AskRecord(label=ask.label(), digest=ask.digest(), names=some)


def independent_records(plan: Plan, train: int) -> list[IndependentRecord]:
    """Return the record of each kind of honest model, whether or not it could be trained.

    train: how many real images the train split holds.
    """
    found = {model.label: model for model in plan.honest}
    return [
        IndependentRecord(
            label=label,
            architecture=model.training.architecture.kind,
            attacks=model.attacks,
            share=model.share,
            images=honest_images(train, model.share),
            settings=model.training.model_dump(mode="json"),
        )
        for label, model in found.items()
    ]


def defence_records(plan: Plan, done: dict[str, Done]) -> Iterator[DefenceRecord]:
    """Yield the record of each chain of defences that could be put before the target."""
    for defended in plan.ground.defended:
        if defended.target.name in done:
            yield DefenceRecord(
                label=str(defended.scenario.defence),
                kinds=tuple(defence.kind for defence in defended.scenario.chain),
                settings=tuple(defence.model_dump(mode="json") for defence in defended.scenario.chain),
                identity=read_target(done[defended.target.name].directory).identity,
            )


def direction_records(plan: Plan, done: dict[str, Done]) -> Iterator[DirectionRecord]:
    """Yield the record of each direction that was fitted."""
    for direction in fitted_directions(plan, done):
        yield read_direction(done[direction.step.name].directory)
