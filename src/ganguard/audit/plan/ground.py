"""Plan what comes before any adversary: real data, target, features, yardsticks and defences."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from ganguard.architectures.networks import classes_of
from ganguard.attacks.protocol import AttackSettings, learns_domain
from ganguard.audit.plan import ground_work as work
from ganguard.audit.plan.adversary_work import COPY_DRAWS
from ganguard.audit.plan.codes import codes_step
from ganguard.audit.plan.defended import defended_plan, defended_target, direction_plans
from ganguard.audit.plan.parts import DomainPlan, Ground
from ganguard.audit.plan.step import WAITED_FOR, Input, Step
from ganguard.audit.spec.judge import learns_classes
from ganguard.audit.spec.scenarios import defended
from ganguard.audit.spec.spec import Spec
from ganguard.audit.spec.target import TrainTarget
from ganguard.base.errors import DataError
from ganguard.base.settings import one_line
from ganguard.data.dataset import DatasetSettings, fingerprint
from ganguard.metrics.features.network import pinned
from ganguard.targets.ask import Ask
from ganguard.targets.load import TargetSettings
from ganguard.targets.load import fingerprint as fingerprint_target
from ganguard.targets.protocol import Codes

T = TypeVar("T")


def lay_ground(spec: Spec) -> Ground:
    """Return the steps that every substitute depends on.

    Nothing is trained before the real data are known to suffice. Nothing is bought before the target, the
    defences and the attacks are known to fit each other.
    """
    real = _real_step(spec, "real", spec.real)
    trained_on = _trained_on(spec, real)
    datasets = _domain_datasets(spec)
    names = ["domain"] if len(datasets) == 1 else [f"domain {number + 1}" for number in range(len(datasets))]
    domain_images = tuple(
        _real_step(spec, f"real images of {name}", data) for name, data in zip(names, datasets, strict=True)
    )
    ready = _ready_step(spec, real, trained_on, domain_images, datasets)
    target = _target_step(spec, trained_on, ready)
    reference = _open_step("reference target", spec.reference, "provider", ready) if spec.reference else None
    bought = _open_step("images bought before", spec.purchase, "provider", ready) if spec.purchase else None
    found = _found_copies(spec, ready)
    fit = _fit_step(spec, real, trained_on, target, reference, bought, found, domain_images)
    network = pinned(spec.features)
    features = Step(
        "features", work.FeaturesSettings(network=network), work.FeaturesInputs(Input(real)), cost=600.0
    )
    measured = reference or target
    directions = direction_plans(spec, measured, features, fit)
    behind = [
        (scenario, defended_target(scenario, target, directions, fit)) for scenario in defended(spec.defences)
    ]
    yardsticks = Step(
        "yardsticks",
        work.YardsticksSettings(samples=spec.samples, ask=spec.asks(None)),
        work.YardsticksInputs(Input(real), Input(measured), Input(features)),
        # The auditor buys here, and a defence that does not fit must be refused before.
        after=(fit, *(shielded for _, shielded in behind)),
        cost=WAITED_FOR,
    )
    accepted = work.SoundSettings(accepted="target_broken" in spec.even_if)
    sound = Step("sound", accepted, work.SoundInputs(Input(yardsticks)), cost=WAITED_FOR)
    return Ground(
        real=real,
        trained_on=trained_on,
        ready=ready,
        target=target,
        reference=reference,
        bought=bought,
        found=found,
        fit=fit,
        features=features,
        yardsticks=yardsticks,
        sound=sound,
        eyesight=_eyesight_step(spec, measured, features, yardsticks),
        codes=codes_step(spec, measured, features, yardsticks),
        domains=tuple(
            DomainPlan(data, images, _floors_step(name, images, features, ready))
            for name, data, images in zip(names, datasets, domain_images, strict=True)
        ),
        directions=directions,
        defended=tuple(
            defended_plan(spec, scenario, shielded, measured, features, yardsticks, sound)
            for scenario, shielded in behind
        ),
    )


def _real_step(spec: Spec, name: str, dataset: DatasetSettings) -> Step:
    """Return the step that reads a data set. Raises DataError, with how to get it, if it is absent."""
    try:
        settings = work.RealSettings(dataset=dataset, fingerprint=fingerprint(dataset))
    except DataError as problem:
        told = f" How to get it: {one_line(spec.how_to_get, 1000)}" if spec.how_to_get else ""
        raise DataError(f"{problem}{told}") from None
    return Step(name, settings, work.NoInputs())


def _trained_on(spec: Spec, real: Step) -> Step:
    """Return the step that reads the target's training images: the real ones unless the spec names others."""
    if isinstance(spec.target, TrainTarget) and spec.target.dataset != spec.real:
        return _real_step(spec, "training data", spec.target.dataset)
    return real


def _eyesight_step(spec: Spec, target: Step, features: Step, yardsticks: Step) -> Step:
    settings = work.EyesightSettings(samples=spec.samples, ask=spec.asks(None))
    inputs = work.EyesightInputs(Input(target), Input(features), Input(yardsticks))
    return Step("eyesight", settings, inputs)


def _domain_datasets(spec: Spec) -> list[DatasetSettings]:
    """Return the data sets that copies are moved to, each once."""
    wanted = [copy.needs().domain for copy in spec.trained_copies()]
    datasets = [domain.dataset for domain in wanted if domain is not None]
    return _each_once(datasets)


def _of_classes(spec: Spec) -> tuple[Ask, ...]:
    """Return the ways to ask that name classes of a target that is to be trained, each once."""
    if not isinstance(spec.target, TrainTarget):
        return ()
    asks = [spec.asks(copy) for copy in (None, *spec.trained_copies())]
    return tuple(_each_once([ask for ask in asks if ask.only is not None or ask.proportions is not None]))


def _each_once(values: Sequence[T]) -> list[T]:
    """Return the values that differ, in their order."""
    return [value for place, value in enumerate(values) if value not in values[:place]]


def _ready_step(
    spec: Spec,
    real: Step,
    trained_on: Step,
    domain_images: Sequence[Step],
    datasets: Sequence[DatasetSettings],
) -> Step:
    settings = work.ReadySettings(
        samples=spec.samples,
        attacks=tuple(_each_once(spec.trained_copies())),
        domains=tuple(datasets),
        seeds=spec.seeds,
        price=max(scenario.price for scenario in spec.scenarios()),
        honest=spec.independent != "off",
        judge_learns=learns_classes(spec.judge_features),
        asks=_of_classes(spec),
    )
    domains = tuple(map(Input, domain_images))
    return Step("ready", settings, work.ReadyInputs(Input(real), Input(trained_on), domains))


def _target_step(spec: Spec, trained_on: Step, ready: Step) -> Step:
    target = spec.target
    if not isinstance(target, TrainTarget):
        return _open_step("target", target, spec.codes, ready)
    begun = target.beginning.fingerprint() if target.beginning else None
    settings = work.TrainTargetSettings(training=target.training(), seed=target.seed, fingerprint=begun)
    inputs = work.TrainTargetInputs(Input(trained_on))
    return Step("target", settings, inputs, after=(ready,), cost=float(target.steps))


def _open_step(name: str, target: TargetSettings, codes: Codes, ready: Step) -> Step:
    seen = fingerprint_target(target)
    settings = work.OpenTargetSettings(target=target, codes=codes, fingerprint=seen)
    return Step(name, settings, work.NoInputs(), after=(ready,), volatile=seen is None)


def _found_copies(spec: Spec, ready: Step) -> tuple[tuple[TargetSettings, Step], ...]:
    """Return every copy that was found, each once, and the step that opens it."""
    wanted = [copy.needs().found for copy in spec.trained_copies()]
    copies = _each_once([found for found in wanted if found is not None])
    return tuple(
        (found, _open_step(f"found copy {number}", found, "provider", ready))
        for number, found in enumerate(copies, 1)
    )


def _fit_step(
    spec: Spec,
    real: Step,
    trained_on: Step,
    target: Step,
    reference: Step | None,
    bought: Step | None,
    found: Sequence[tuple[TargetSettings, Step]],
    domain_images: Sequence[Step],
) -> Step:
    attacks = _at_smallest_budget(spec)
    believed = [scenario.believed for scenario in spec.scenarios() if scenario.believed]
    settings = work.FitSettings(
        attacks=attacks,
        fingerprints=tuple(attack.fingerprint() for attack in attacks),
        guesses=tuple(_each_once(believed)),
        bought=max((copy.needs().purchase for copy in spec.trained_copies()), default=0) if bought else 0,
        drawn=COPY_DRAWS * spec.samples if found else 0,
        ask=spec.ask,
        again=any(scenario.asking and scenario.asking.kept == "each" for scenario in spec.scenarios()),
        honest=spec.independent != "off"
        and any(attack.from_scratch() and classes_of(attack.architecture) for attack in attacks),
    )
    opened = tuple(Input(step) for _, step in found)
    beside, before = (Input(step) if step else None for step in (reference, bought))
    inputs = work.FitInputs(Input(real), Input(target), beside, before, opened)
    return Step("fit", settings, _with_classes(spec, inputs, trained_on, domain_images))


def _at_smallest_budget(spec: Spec) -> tuple[AttackSettings, ...]:
    return tuple(by_budget[0] for _, by_budget in spec.labelled_attacks())


def _with_classes(
    spec: Spec, inputs: work.FitInputs[Input], trained_on: Step, domain_images: Sequence[Step]
) -> work.FitInputs[Input]:
    """Return the inputs of a fit step with the other images whose classes must be the target's."""
    wanted = [attack.needs().domain for attack in _at_smallest_budget(spec) if learns_domain(attack)]
    places = [_domain_datasets(spec).index(domain.dataset) for domain in wanted if domain is not None]
    has_classes = isinstance(spec.target, TrainTarget) and classes_of(spec.target.architecture) > 0
    others = has_classes and trained_on is not inputs.real.step
    return replace(
        inputs,
        trained_on=Input(trained_on) if others else None,
        domains=tuple(Input(domain_images[place]) for place in places),
    )


def _floors_step(name: str, images: Step, features: Step, ready: Step) -> Step:
    inputs = work.DomainInputs(Input(images), Input(features))
    return Step(name, work.DomainSettings(), inputs, after=(ready,), cost=WAITED_FOR)
