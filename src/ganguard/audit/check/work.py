"""How much work each step of a plan is, in units whose speed can be measured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from ganguard.audit.plan import adversary_work as bought
from ganguard.audit.plan import code_work as codes
from ganguard.audit.plan import ground_work as ground
from ganguard.audit.plan import independent_work as honest
from ganguard.audit.plan.step import Step, StepSettings
from ganguard.audit.steps.codes import MOST_CODES
from ganguard.audit.steps.eyesight import MOST_IMAGES
from ganguard.audit.steps.measurements import DRAWS
from ganguard.audit.steps.yardsticks import HALVINGS
from ganguard.metrics.features.classifier import Classifier
from ganguard.training.settings import TrainingSettings

DAMAGED = 30  # about so many times the feature network looks at the damaged images


@dataclass(frozen=True)
class Work:
    """The work of one step.

    Attributes:
        training: the recipe of the GAN that it trains, or whose images it measures; None if there is none.
        steps: updates of that G.
        beside: further recipes that it trains by, and the updates of each.
        made: images that this G makes.
        drawn: images that the audited target makes.
        classified: updates of a classifier.
        embedded: images that go through the feature network.
        compared: how often two sets of images are compared by their features.
    """

    training: TrainingSettings | None = None
    steps: int = 0
    beside: tuple[tuple[TrainingSettings, int], ...] = ()
    made: int = 0
    drawn: int = 0
    classified: int = 0
    embedded: int = 0
    compared: int = 0

    @property
    def trainings(self) -> tuple[tuple[TrainingSettings, int], ...]:
        """Every recipe that it trains by, or whose images it measures, and the updates of each."""
        return (*([(self.training, self.steps)] if self.training else []), *self.beside)


def work_of(step: Step, real_images: int) -> Work:
    """Return the work of a step. Kinds that only read, choose and look up are no work.

    real_images: how many real images there are.
    """
    found = _WORK.get(type(step.settings))
    return found(step, real_images) if found else Work()


def _target(step: Step, _: int) -> Work:
    training = cast(ground.TrainTargetSettings, step.settings).training
    return Work(training=training, steps=training.steps)


def _features(step: Step, real_images: int) -> Work:
    network = cast(ground.FeaturesSettings, step.settings).network
    updates = network.steps if isinstance(network, Classifier) else 0
    return Work(classified=updates, embedded=real_images)


def _direction(step: Step, _: int) -> Work:
    settings = cast(ground.DirectionSettings, step.settings)
    inputs = cast("ground.DirectionInputs[Any]", step.inputs)
    return Work(drawn=settings.samples, embedded=settings.samples if inputs.features else 0)


def _yardsticks(step: Step, real_images: int) -> Work:
    samples = cast(ground.YardsticksSettings, step.settings).samples
    # The target, the floors and noise are each compared with the target, with the real images, or both.
    return Work(
        drawn=DRAWS * samples, embedded=(DRAWS + 1) * samples + real_images, compared=7 + HALVINGS // 2
    )


def _eyesight(step: Step, _: int) -> Work:
    samples = cast(ground.EyesightSettings, step.settings).samples
    return Work(embedded=DAMAGED * min(samples, MOST_IMAGES), compared=1)


def _utility(step: Step, _: int) -> Work:
    samples = cast(ground.UtilitySettings, step.settings).samples
    return Work(drawn=2 * samples, embedded=samples, compared=2)


def _purchase(step: Step, _: int) -> Work:
    settings = cast(bought.PurchaseSettings, step.settings)
    inputs = cast("bought.PurchaseInputs[Any]", step.inputs)
    return Work(drawn=0 if inputs.bought else max(settings.budgets))


def _replay(step: Step, _: int) -> Work:
    settings = cast(bought.ReplaySettings, step.settings)
    return Work(embedded=max(settings.budgets) // settings.price, compared=2 * len(settings.budgets))


def _substitute(step: Step, _: int) -> Work:
    settings = cast(bought.SubstituteSettings, step.settings)
    inputs = cast("bought.SubstituteInputs[Any]", step.inputs)
    attack = settings.attack
    there = attack.needs().copy is not None and not attack.from_scratch() and not attack.needs().domain
    recipes = attack.trainings()
    if len(recipes) > 1:  # each is tried, and one of them trains again: the longest, at most
        again = max(recipes, key=lambda recipe: recipe.steps)
        beside = tuple((recipe, recipe.steps) for recipe in (*recipes[1:], again))
        return Work(training=recipes[0], steps=recipes[0].steps, beside=beside)
    steps = 0 if there else attack.training_steps(copy_at_hand=inputs.stolen is not None)
    return Work(training=attack, steps=steps)


def _independent(step: Step, _: int) -> Work:
    training = cast(honest.IndependentSettings, step.settings).training
    return Work(training=training, steps=training.steps)


def _measure(step: Step, _: int) -> Work:
    samples = cast(bought.MeasureSettings, step.settings).samples
    images = DRAWS * samples
    trained = [i.step for i in step.inputs.by_role().values() if type(i.step.settings) in _TRAINED]
    copy = work_of(trained[0], 0).training if trained else None
    return Work(training=copy, made=images if copy else 0, embedded=images, compared=2 * DRAWS)


def _codes(step: Step, _: int) -> Work:
    return Work(embedded=min(cast(codes.CodesSettings, step.settings).samples, MOST_CODES))


def _measure_codes(step: Step, _: int) -> Work:
    copy = work_of(cast("codes.MeasureCodesInputs[Any]", step.inputs).substitute.step, 0).training
    return Work(training=copy, made=MOST_CODES, embedded=MOST_CODES)


_WORK: dict[type[StepSettings], Callable[[Step, int], Work]] = {
    ground.TrainTargetSettings: _target,
    ground.FeaturesSettings: _features,
    ground.DirectionSettings: _direction,
    ground.YardsticksSettings: _yardsticks,
    ground.EyesightSettings: _eyesight,
    codes.CodesSettings: _codes,
    ground.UtilitySettings: _utility,
    bought.PurchaseSettings: _purchase,
    bought.ReplaySettings: _replay,
    bought.SubstituteSettings: _substitute,
    bought.MeasureSettings: _measure,
    codes.MeasureCodesSettings: _measure_codes,
    bought.MeasureTransferSettings: _measure,
    honest.IndependentSettings: _independent,
    honest.MeasureIndependentSettings: _measure,
}
_TRAINED = (bought.SubstituteSettings, honest.IndependentSettings)
