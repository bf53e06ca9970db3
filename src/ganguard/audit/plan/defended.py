"""Plan the target behind each chain of defences, and the directions that some defences move codes along."""

from collections.abc import Sequence

from ganguard.audit.plan import ground_work as work
from ganguard.audit.plan.parts import DefendedPlan, DirectionPlan
from ganguard.audit.plan.step import WAITED_FOR, Input, Step
from ganguard.audit.spec.chains import attributes
from ganguard.audit.spec.scenarios import Scenario
from ganguard.audit.spec.spec import Spec
from ganguard.comparison.directions import needs_classifier

DIRECTION_SAMPLES = 10_000  # codes that a semantic direction is fitted to


def direction_plans(spec: Spec, target: Step, features: Step, fit: Step) -> tuple[DirectionPlan, ...]:
    """Return a step for each attribute whose direction some defence moves codes along."""

    def step(attribute: str) -> Step:
        settings = work.DirectionSettings(attribute=attribute, samples=DIRECTION_SAMPLES, seed=0)
        classes = Input(features) if needs_classifier(attribute) else None
        inputs = work.DirectionInputs(Input(target), classes)
        return Step(f"direction {attribute}", settings, inputs, after=(fit,), cost=WAITED_FOR)

    return tuple(DirectionPlan(attribute, step(attribute)) for attribute in attributes(spec.defences))


def defended_target(scenario: Scenario, target: Step, directions: Sequence[DirectionPlan], fit: Step) -> Step:
    """Return the step that puts a chain of defences before the target."""
    wanted = attributes([scenario.chain])
    along = {plan.attribute: Input(plan.step) for plan in directions if plan.attribute in wanted}
    settings = work.DefendSettings(
        chain=scenario.chain, fingerprints=tuple(defence.fingerprint() for defence in scenario.chain)
    )
    return Step(f"target{scenario}", settings, work.DefendInputs(Input(target), along), after=(fit,))


def defended_plan(
    spec: Spec,
    scenario: Scenario,
    shielded: Step,
    undefended: Step,
    features: Step,
    yardsticks: Step,
    sound: Step,
) -> DefendedPlan:
    """Return the plan of a defended target, with the step that measures what honest users still get.

    Args:
        spec: the settings of the audit.
        scenario: the chain of defences, whoever attacks.
        shielded: the step that puts them before the target.
        undefended: the target without them.
        features: the feature network.
        yardsticks: the images that it is compared with.
        sound: refuses a broken target, from which nothing more is bought.
    """
    settings = work.UtilitySettings(samples=spec.samples, ask=spec.asks(None))
    inputs = work.UtilityInputs(Input(shielded), Input(undefended), Input(features), Input(yardsticks))
    utility = Step(f"utility{scenario}", settings, inputs, after=(sound,), cost=WAITED_FOR)
    return DefendedPlan(scenario, shielded, utility)
