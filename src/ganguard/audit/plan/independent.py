"""Plan honest models: trained as copies are, on the real images that the audit holds, without a query.

An honest model has the train split of `real`, whatever the target was trained on: that is what somebody who
wants such images has without the target.
"""

from itertools import product

from ganguard.architectures.networks import classes_of
from ganguard.audit.plan import independent_work as work
from ganguard.audit.plan.parts import Ground, HonestPlan
from ganguard.audit.plan.step import WAITED_FOR, Input, Step
from ganguard.audit.spec.graders import looked_through
from ganguard.audit.spec.labels import numbered
from ganguard.audit.spec.spec import Spec
from ganguard.base.cache import canonical_json
from ganguard.training.settings import TrainingSettings


def honest_plans(spec: Spec, ground: Ground) -> tuple[HonestPlan, ...]:
    """Return the plan of every honest model: one for each recipe of the attacks, share and seed.

    Attacks whose copies are trained alike share it, at all budgets, behind all defences, and with all
    adversaries.
    """
    if spec.independent == "off":
        return ()
    recipes = _recipes(spec)
    names = numbered([_name(training) for training, _ in recipes])
    return tuple(
        _honest(spec, ground, name, training, attacks, share, seed)
        for (name, (training, attacks)), share, seed in product(
            zip(names, recipes, strict=True), spec.independent.shares, spec.seeds
        )
    )


def _name(training: TrainingSettings) -> str:
    projected = ", projected" if training.discriminator else ""
    return (
        training.architecture.kind + projected + (" with labels" if classes_of(training.architecture) else "")
    )


def _recipes(spec: Spec) -> list[tuple[TrainingSettings, tuple[str, ...]]]:
    """Return every recipe that trains a copy from scratch, and the labels of the attacks that follow it."""
    found: dict[str, tuple[TrainingSettings, tuple[str, ...]]] = {}
    for label, by_budget in spec.labelled_attacks():
        for training in by_budget[0].from_scratch():
            said = canonical_json(training.recipe() | training.completed().model_dump(mode="json"))
            first, attacks = found.get(said, (training, ()))
            found[said] = first, (*attacks, label)
    return list(found.values())


def _honest(
    spec: Spec,
    ground: Ground,
    name: str,
    training: TrainingSettings,
    attacks: tuple[str, ...],
    share: float,
    seed: int,
) -> HonestPlan:
    label = name if share == 1 else f"{name}, {100 * share:g} % of the real images"
    train = Step(
        f"independent {label}, seed {seed}",
        work.IndependentSettings(
            training=training, share=share, seed=seed, projected=looked_through([training])
        ),
        work.IndependentInputs(Input(ground.real)),
        after=(ground.sound,),
        cost=float(training.steps) * training.batch_size,
    )
    measure = Step(
        f"measure independent {label}, seed {seed}",
        work.MeasureIndependentSettings(samples=spec.samples, seed=seed, ask=spec.asks(None)),
        work.MeasureIndependentInputs(Input(train), Input(ground.features), Input(ground.yardsticks)),
        cost=WAITED_FOR,
    )
    return HonestPlan(label, training, attacks, share, seed, train, measure)
