"""From a spec to the steps that answer it: what is computed from what, before anything is.

    real ─► ready ─► target ─► fit ─► yardsticks ─► purchase ─► substitute ─► measure
    real ─► features ───────────────► yardsticks    purchase ─► replay ─────► measure
    another domain's real images ─► domain          substitute ─► transferred substitute ─► measure, beside domain

Nothing is trained before the real data are known to suffice and to fit the substitutes' architectures, nothing is bought before
the target is known to fit them too, and the adversary buys after the yardsticks stand.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from ganguard.attacks.existing_copy import GoesOnSettings
from ganguard.attacks.given import GivenSettings
from ganguard.attacks.protocol import AttackSettings
from ganguard.attacks.real_images import RealImagesSettings, real_fraction
from ganguard.attacks.transfer import TransferSettings
from ganguard.audit.spec import Spec, TrainTarget
from ganguard.data.dataset import DatasetSettings, fingerprint
from ganguard.metrics.features.network import pinned
from ganguard.targets.load import fingerprint as fingerprint_target


@dataclass(frozen=True)
class Input:
    """The output of another step that a step reads: under which role, and which of that step's digests it depends on."""

    role: str
    step: str
    part: str = "result"


@dataclass(frozen=True)
class Step:
    """A piece of work.

    name: unique in its plan, for people. kind: which runner does it. settings: all else that it depends on, as JSON values.
    inputs: what it reads. after: steps that must have succeeded before, though nothing of theirs is read.
    volatile: only doing it tells whether anything changed (a user's factory), so it is done anew each time.
    cost: rough relative time, so that long ones begin first; 1e6 for those that others wait for.
    checkpoint_every: steps of a training between saved states, of which its result does not depend.
    """

    name: str
    kind: str
    settings: dict[str, Any]
    inputs: tuple[Input, ...] = ()
    after: tuple[str, ...] = ()
    volatile: bool = False
    cost: float = 0.0
    checkpoint_every: int | None = None


@dataclass(frozen=True)
class SubstitutePlan:
    """The substitute of one attack at one budget under one seed: the names of its two steps, and what it uses."""

    label: str
    settings: AttackSettings
    seed: int
    step: str
    measure: str


@dataclass(frozen=True)
class Plan:
    """The steps in an order in which they can run, and the substitutes among them. bought: images by adversary's seed."""

    steps: tuple[Step, ...]
    substitutes: tuple[SubstitutePlan, ...]
    bought: dict[int, int]
    auditor: int = field(default=0)


def make_plan(spec: Spec) -> Plan:
    """All steps of an audit."""
    budgets = sorted({settings.buys() for settings in spec.attacks} - {0})
    steps = [*_ground_steps(spec)]
    for seed in spec.seeds if budgets else ():
        steps += _purchase_steps(spec, budgets, seed)
    steps += [_known_step(spec, fraction, seed) for fraction, seed in product(real_fractions(spec), spec.seeds)]
    steps += [_domain_step(name) for name in domain_names(spec)]
    copies = [(label, a) for label, by_budget in spec.labelled_attacks() for a in by_budget]
    copies.sort(key=lambda copy: isinstance(copy[1], GoesOnSettings))  # those come after what they go on with
    stolen = {(_recipe(a), seed): _train_name(label, a, seed) for label, a in copies for seed in spec.seeds}
    of_attacks = len(stolen)
    substitutes: list[SubstitutePlan] = []
    for seed, (label, settings) in product(spec.seeds, copies):
        if isinstance(settings, GivenSettings) and seed != spec.seeds[0]:
            continue  # it was made once
        begins_as = None
        if isinstance(settings, GoesOnSettings) and settings.steals():
            key = _recipe(settings.stealing()), seed
            if key not in stolen:  # no attack of the spec makes this copy
                number = len(stolen) - of_attacks + 1
                steps.append(_train_step(spec, f"stolen {settings.architecture.kind} #{number}", settings.stealing(), seed))
                stolen[key] = steps[-1].name
            begins_as = stolen[key]
        train = _train_step(spec, label, settings, seed, begins_as)
        measure = _measure_step(spec, train, settings, seed)
        substitutes.append(SubstitutePlan(label, settings, seed, train.name, measure.name))
        steps += [train, measure]
    return Plan(tuple(steps), tuple(substitutes), dict.fromkeys(spec.seeds, max(budgets, default=0)), 2 * spec.samples)


def _ground_steps(spec: Spec) -> Iterable[Step]:
    """Real data, target, features, yardsticks: what every substitute is measured with."""
    yield _real_step("real", spec.real)
    trained_on = training_data(spec)
    if trained_on != "real" and isinstance(spec.target, TrainTarget):
        yield _real_step(trained_on, spec.target.dataset)
    for dataset, name in zip(domains(spec), domain_names(spec), strict=True):
        yield _real_step(_real_of(name), dataset)
    attacks = [_settings_of(a) for a in spec.attacks]
    planned = {
        "samples": spec.samples,
        "attacks": [a for i, a in enumerate(attacks) if a not in attacks[:i]],
        "domains": [dataset.model_dump(mode="json") for dataset in domains(spec)],
        "seeds": list(spec.seeds),
    }
    of_domains = (Input(f"domain {i}", _real_of(name)) for i, name in enumerate(domain_names(spec)))
    yield Step("ready", "ready", planned, (Input("real", "real"), Input("trained on", trained_on), *of_domains))
    target = spec.target
    if isinstance(target, TrainTarget):
        settings = target.model_dump(mode="json", exclude={"dataset", "checkpoint_every"})
        yield Step(
            "target",
            "train_target",
            settings,
            (Input("real", trained_on),),
            after=("ready",),
            cost=float(target.steps),
            checkpoint_every=target.checkpoint_every,
        )
    else:
        seen = fingerprint_target(target)
        opened = {"target": target.model_dump(mode="json"), "codes": spec.codes, "fingerprint": seen}
        yield Step("target", "open_target", opened, after=("ready",), volatile=seen is None)
    attacks = [_settings_of(found[0]) for _, found in spec.labelled_attacks()]
    yield Step("fit", "fit", {"attacks": attacks}, (Input("real", "real"), Input("target", "target")))
    yield Step("features", "features", pinned(spec.features).model_dump(mode="json"), (Input("real", "real"),), cost=600.0)
    yield Step(
        "yardsticks",
        "yardsticks",
        {"samples": spec.samples},
        (Input("real", "real"), Input("target", "target"), Input("features", "features")),
        after=("fit",),
        cost=1e6,
    )


def _purchase_steps(spec: Spec, budgets: list[int], seed: int) -> list[Step]:
    settings = {"codes": spec.codes, "seed": seed, "budgets": budgets}
    inputs = (Input("target", "target"),)
    purchase = Step(f"purchase, seed {seed}", "purchase", settings, inputs, after=("yardsticks",), cost=1e6)
    return [purchase, Step(replay_name(seed), "replay", settings, (*inputs, *_measured_with(purchase.name, budgets)))]


def _settings_of(attack: AttackSettings) -> dict[str, Any]:
    """All that an attack's result depends on, as JSON values."""
    said = attack.model_dump(mode="json", exclude={"checkpoint_every"})
    if isinstance(attack, GivenSettings | GoesOnSettings) and attack.substitute:
        said["fingerprint"] = attack.substitute.fingerprint()
    return said


def _recipe(attack: AttackSettings) -> str:
    return attack.model_dump_json(exclude={"checkpoint_every"})


def replay_name(seed: int) -> str:
    """The step that measures what was bought under a seed."""
    return f"replay, seed {seed}"


def _measured_with(purchase: str, budgets: list[int]) -> tuple[Input, ...]:
    bought = Input("purchase", purchase, str(budgets[-1]))
    return (bought, Input("features", "features"), Input("yardsticks", "yardsticks"))


def training_data(spec: Spec) -> str:
    """The step that reads what the target was trained on, as far as is known: "real", unless the spec says otherwise."""
    other = isinstance(spec.target, TrainTarget) and spec.target.dataset != spec.real
    return "training data" if other else "real"


def domains(spec: Spec) -> list[DatasetSettings]:
    """The data sets that copies are moved to."""
    found = [attack.domain for attack in spec.attacks if isinstance(attack, TransferSettings)]
    return [dataset for i, dataset in enumerate(found) if dataset not in found[:i]]


def domain_names(spec: Spec) -> list[str]:
    """The steps that measure in each of them."""
    count = len(domains(spec))
    return ["domain"] if count == 1 else [f"domain {i + 1}" for i in range(count)]


def _real_of(domain: str) -> str:
    return f"real images of {domain}"


def real_fractions(spec: Spec) -> list[float]:
    """The shares of the real training images that adversaries of this spec hold, ascending."""
    return sorted({fraction for attack in spec.attacks if (fraction := real_fraction(attack)) is not None})


def known_name(fraction: float, seed: int) -> str:
    """The step that chooses an adversary's real images."""
    return f"known real images, {100 * fraction:.10g} %, seed {seed}"


def _known_step(spec: Spec, fraction: float, seed: int) -> Step:
    inputs = (Input("real", training_data(spec)), Input("features", "features"), Input("yardsticks", "yardsticks"))
    return Step(known_name(fraction, seed), "known", {"real_fraction": fraction, "seed": seed}, inputs, cost=1e6)


def _domain_step(name: str) -> Step:
    inputs = (Input("real", _real_of(name)), Input("features", "features"))
    return Step(name, "domain", {}, inputs, after=("ready",), cost=1e6)


def _knowledge(spec: Spec, settings: AttackSettings, seed: int) -> tuple[Input, ...]:
    if isinstance(settings, TransferSettings):
        return (_domain_input(spec, settings),)
    fraction = real_fraction(settings)
    if fraction is None:
        return ()
    return (Input("known", known_name(fraction, seed)), Input("features", "features"))


def _domain_input(spec: Spec, settings: TransferSettings) -> Input:
    return Input("domain images", _real_of(_domain_name(spec, settings)))


def _domain_name(spec: Spec, settings: TransferSettings) -> str:
    return domain_names(spec)[domains(spec).index(settings.domain)]


def _real_step(name: str, dataset: DatasetSettings) -> Step:
    return Step(name, "real", dataset.model_dump(mode="json") | {"fingerprint": fingerprint(dataset)})


def _train_name(label: str, settings: AttackSettings, seed: int) -> str:
    return f"substitute {label}, {settings.query_budget:,} queries, seed {seed}"


def _train_step(spec: Spec, label: str, settings: AttackSettings, seed: int, stolen: str | None = None) -> Step:
    """The training of a substitute; of one that begins as another, after that one's."""
    inputs = [Input("target", "target"), *_knowledge(spec, settings, seed)]
    if stolen:
        inputs.append(Input("stolen", stolen))
    elif settings.buys():
        inputs.append(Input("purchase", f"purchase, seed {seed}", str(settings.buys())))
    return Step(
        _train_name(label, settings, seed),
        "substitute",
        {"attack": _settings_of(settings), "codes": spec.codes, "seed": seed},
        tuple(inputs),
        after=("fit",),
        cost=float(_training_steps(settings, stolen)) * settings.batch_size,
        checkpoint_every=settings.checkpoint_every,
    )


def _training_steps(settings: AttackSettings, stolen: str | None) -> int:
    """About how long it trains."""
    if isinstance(settings, TransferSettings):
        return settings.transfer_steps
    real = settings.real_steps if isinstance(settings, RealImagesSettings) else 0
    return real if stolen else settings.steps + real


def _measure_step(spec: Spec, train: Step, settings: AttackSettings, seed: int) -> Step:
    name = train.name.replace("substitute", "measure", 1)
    measured = {"samples": spec.samples, "seed": seed}
    inputs = [Input("substitute", train.name), Input("features", "features")]
    if isinstance(settings, TransferSettings):
        inputs += [Input("domain", _domain_name(spec, settings)), _domain_input(spec, settings)]
        return Step(name, "measure_transfer", {**measured, "domain_images": settings.domain_images}, tuple(inputs), cost=1e6)
    inputs.append(Input("yardsticks", "yardsticks"))
    if settings.buys():
        inputs.append(Input("replay", replay_name(seed), str(settings.buys())))
    if (fraction := real_fraction(settings)) is not None:
        inputs.append(Input("known", known_name(fraction, seed)))
    return Step(name, "measure", {**measured, "query_budget": settings.buys()}, tuple(inputs), cost=1e6)
