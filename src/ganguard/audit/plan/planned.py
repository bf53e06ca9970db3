"""Each step of an audit's plan: its name, its settings, and what it reads."""

from collections.abc import Iterable
from typing import Any

from ganguard.attacks.continued_copy import GoesOnSettings
from ganguard.attacks.existing_copy import GivenSettings
from ganguard.attacks.protocol import AttackSettings
from ganguard.attacks.real_images import RealImagesSettings, real_fraction
from ganguard.attacks.transfer import TransferSettings
from ganguard.audit.plan.step import Input, Step
from ganguard.audit.spec.chains import attributes
from ganguard.audit.spec.scenarios import Situation, defended
from ganguard.audit.spec.spec import Spec, TrainTarget
from ganguard.comparison.directions import needs_classifier
from ganguard.data.dataset import DatasetSettings, fingerprint
from ganguard.metrics.features.network import pinned
from ganguard.targets.load import TargetSettings
from ganguard.targets.load import fingerprint as fingerprint_target

UNDEFENDED = Situation()
AUDITOR_DRAWS = 2  # sets of images of the target that the auditor measures with
REFERENCE = "reference target"
DIRECTION_SAMPLES = 10_000  # codes that a semantic direction is fitted to


def ground_steps(spec: Spec) -> Iterable[Step]:
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
    if (price := max(s.price for s in spec.situations())) > 1:
        planned["price"] = price
    of_domains = (Input(f"domain {i}", _real_of(name)) for i, name in enumerate(domain_names(spec)))
    yield Step(
        "ready", "ready", planned, (Input("real", "real"), Input("trained on", trained_on), *of_domains)
    )
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
        yield _open_step("target", target, spec.codes)
    if spec.reference:
        yield _open_step(REFERENCE, spec.reference, "provider")
    attacks = [_settings_of(found[0]) for _, found in spec.labelled_attacks()]
    beside = [Input("reference", REFERENCE)] if spec.reference else []
    yield Step(
        "fit",
        "fit",
        {"attacks": attacks, **_guesses(spec)},
        (Input("real", "real"), Input("target", "target"), *beside),
    )
    yield Step(
        "features",
        "features",
        pinned(spec.features).model_dump(mode="json"),
        (Input("real", "real"),),
        cost=600.0,
    )
    yield Step(
        "yardsticks",
        "yardsticks",
        {"samples": spec.samples},
        (Input("real", "real"), Input("target", measured_target(spec)), Input("features", "features")),
        after=("fit", *map(target_name, defended(spec.defences))),  # none is refused too late
        cost=1e6,
    )


def _guesses(spec: Spec) -> dict[str, Any]:
    """What adversaries believe of the defences, each belief once."""
    believed = [
        [defence.model_dump(mode="json") for defence in s.believed] for s in spec.situations() if s.believed
    ]
    return (
        {"guesses": [guess for i, guess in enumerate(believed) if guess not in believed[:i]]}
        if believed
        else {}
    )


def _open_step(name: str, target: TargetSettings, codes: str) -> Step:
    seen = fingerprint_target(target)
    opened = {"target": target.model_dump(mode="json"), "codes": codes, "fingerprint": seen}
    return Step(name, "open_target", opened, after=("ready",), volatile=seen is None)


def measured_target(spec: Spec) -> str:
    """The step of the target that the auditor draws from: what copies are measured against."""
    return REFERENCE if spec.reference else "target"


def defence_steps(spec: Spec, situation: Situation) -> list[Step]:
    """The target behind a chain of defences, and what honest users still get of it."""
    if not situation.chain:
        return []
    along = (
        Input(direction_name(attribute), direction_name(attribute))
        for attribute in attributes([situation.chain])
    )
    chain = [
        defence.model_dump(mode="json") | {"fingerprint": defence.fingerprint()}
        for defence in situation.chain
    ]
    shielded = Step(
        target_name(situation),
        "defend",
        {"defences": chain},
        (Input("target", "target"), *along),
        after=("fit",),
    )
    inputs = [Input(role, role) for role in ("real", "features", "yardsticks")]
    inputs += [Input("target", shielded.name), Input("undefended", measured_target(spec))]
    return [
        shielded,
        Step(utility_name(situation), "utility", {"samples": spec.samples}, tuple(inputs), cost=1e6),
    ]


def direction_name(attribute: str) -> str:
    """The step that fits a direction to an attribute; the role of what it made, too."""
    return f"direction {attribute}"


def direction_steps(spec: Spec) -> list[Step]:
    """A step for each attribute that some defence moves codes along."""

    def step(attribute: str) -> Step:
        settings = {"attribute": attribute, "samples": DIRECTION_SAMPLES, "seed": 0}
        told = (Input("features", "features"),) if needs_classifier(attribute) else ()
        inputs = (Input("target", measured_target(spec)), *told)
        return Step(direction_name(attribute), "direction", settings, inputs, ("fit",), cost=1e6)

    return [step(attribute) for attribute in attributes(spec.defences)]


def target_name(situation: Situation) -> str:
    """The step that opens the target, as it stands in a situation."""
    return f"target{situation.behind}"


def utility_name(situation: Situation) -> str:
    """The step that measures what honest users get behind a defence."""
    return f"utility{situation.behind}"


def purchase_steps(spec: Spec, budgets: list[int], seed: int, situation: Situation) -> list[Step]:
    settings = {"codes": spec.codes, "seed": seed, "budgets": budgets, **_averaging(situation)}
    inputs = (Input("target", target_name(situation)),)
    name = _purchase_name(seed, situation)
    purchase = Step(name, "purchase", settings, inputs, after=("yardsticks",), cost=1e6)
    replay = replay_name(seed, situation)
    return [purchase, Step(replay, "replay", settings, (*inputs, *_measured_with(purchase.name, budgets)))]


def _purchase_name(seed: int, situation: Situation) -> str:
    return f"purchase, seed {seed}{situation.purchase_suffix}"


def _averaging(situation: Situation) -> dict[str, Any]:
    """What a step is told that buys, or reads what was bought, where several queries make one image."""
    return {"averaging": situation.averaging.model_dump(mode="json")} if situation.averaging else {}


def _settings_of(attack: AttackSettings) -> dict[str, Any]:
    """All that an attack's result depends on, as JSON values."""
    said = attack.model_dump(mode="json", exclude={"checkpoint_every"})
    if isinstance(attack, GivenSettings | GoesOnSettings) and attack.substitute:
        said["fingerprint"] = attack.substitute.fingerprint()
    return said


def recipe(attack: AttackSettings) -> str:
    return attack.model_dump_json(exclude={"checkpoint_every"})


def images_of(queries: int, situation: Situation) -> int:
    """How many images so many queries give to train on."""
    return queries // situation.price


def replay_name(seed: int, situation: Situation = UNDEFENDED) -> str:
    """The step that measures what was bought under a seed."""
    return f"replay, seed {seed}{situation.purchase_suffix}"


def _measured_with(purchase: str, budgets: list[int]) -> tuple[Input, ...]:
    bought = Input("purchase", purchase, str(budgets[-1]))
    return (bought, Input("features", "features"), Input("yardsticks", "yardsticks"))


def training_data(spec: Spec) -> str:
    """The step that reads what the target was trained on, as far as is known: "real", unless the spec says
    otherwise."""
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


def known_step(spec: Spec, fraction: float, seed: int) -> Step:
    inputs = (
        Input("real", training_data(spec)),
        Input("features", "features"),
        Input("yardsticks", "yardsticks"),
    )
    return Step(
        known_name(fraction, seed), "known", {"real_fraction": fraction, "seed": seed}, inputs, cost=1e6
    )


def domain_step(name: str) -> Step:
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


def train_name(label: str, settings: AttackSettings, seed: int, situation: Situation) -> str:
    return f"substitute {label}, {settings.query_budget:,} queries, seed {seed}{situation.suffix}"


def train_step(
    spec: Spec,
    label: str,
    settings: AttackSettings,
    seed: int,
    situation: Situation,
    stolen: str | None = None,
) -> Step:
    """The training of a substitute; of one that begins as another, after that one's."""
    inputs = [Input("target", target_name(situation)), *_knowledge(spec, settings, seed)]
    if stolen:
        inputs.append(Input("stolen", stolen))
    elif settings.buys():
        inputs.append(Input("purchase", _purchase_name(seed, situation), str(settings.buys())))
    said: dict[str, Any] = {
        "attack": _settings_of(settings),
        "codes": spec.codes,
        "seed": seed,
        **_averaging(situation),
    }
    if situation.believed and not stolen:  # what goes on with a copy that was trained so does not
        said["guess"] = [defence.model_dump(mode="json") for defence in situation.believed]
    return Step(
        train_name(label, settings, seed, situation),
        "substitute",
        said,
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


def measure_step(spec: Spec, train: Step, settings: AttackSettings, seed: int, situation: Situation) -> Step:
    name = train.name.replace("substitute", "measure", 1)
    measured = {"samples": spec.samples, "seed": seed}
    inputs = [Input("substitute", train.name), Input("features", "features")]
    if isinstance(settings, TransferSettings):
        inputs += [Input("domain", _domain_name(spec, settings)), _domain_input(spec, settings)]
        return Step(
            name,
            "measure_transfer",
            {**measured, "domain_images": settings.domain_images},
            tuple(inputs),
            cost=1e6,
        )
    inputs.append(Input("yardsticks", "yardsticks"))
    if settings.buys():
        inputs.append(Input("replay", replay_name(seed, situation), str(settings.buys())))
    if (fraction := real_fraction(settings)) is not None:
        inputs.append(Input("known", known_name(fraction, seed)))
    return Step(
        name,
        "measure",
        {**measured, "query_budget": images_of(settings.buys(), situation)},
        tuple(inputs),
        cost=1e6,
    )
