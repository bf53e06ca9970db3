"""From a spec to the steps that answer it: what is computed from what, before anything is.

    real ─► ready ─► target ─► fit ─► yardsticks ─► purchase ─► substitute ─► measure
    real ─► features ───────────────► yardsticks    purchase ─► replay ─────► measure

Nothing is trained before the real data are known to suffice and to fit the substitutes' architectures, nothing is bought before
the target is known to fit them too, and the adversary buys after the yardsticks stand.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from ganguard.attacks.protocol import AttackSettings
from ganguard.attacks.real_images import real_fraction
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
    cost: rough relative time, so that long ones begin first.
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
    budgets = sorted({settings.query_budget for settings in spec.attacks})
    steps = [*_ground_steps(spec)]
    for seed in spec.seeds:
        settings = {"codes": spec.codes, "seed": seed, "budgets": budgets}
        inputs = (Input("target", "target"),)
        purchase = Step(f"purchase, seed {seed}", "purchase", settings, inputs, after=("yardsticks",))
        steps += [purchase, Step(replay_name(seed), "replay", settings, (*inputs, *_measured_with(purchase.name, budgets)))]
    for fraction, seed in product(real_fractions(spec), spec.seeds):
        steps.append(_known_step(fraction, seed))
    substitutes: list[SubstitutePlan] = []
    for seed in spec.seeds:
        for label, by_budget in spec.labelled_attacks():
            for settings in by_budget:
                plan, pair = _substitute_steps(spec, label, settings, seed)
                substitutes.append(plan)
                steps.extend(pair)
    return Plan(tuple(steps), tuple(substitutes), dict.fromkeys(spec.seeds, budgets[-1]), 2 * spec.samples)


def _ground_steps(spec: Spec) -> Iterable[Step]:
    """Real data, target, features, yardsticks: what every substitute is measured with."""
    yield _real_step("real", spec.real)
    architectures = [a.architecture.model_dump(mode="json") for a in spec.attacks]
    planned = {
        "samples": spec.samples,
        "architectures": [a for i, a in enumerate(architectures) if a not in architectures[:i]],
        "real_fractions": real_fractions(spec),
    }
    yield Step("ready", "ready", planned, (Input("real", "real"),))
    target = spec.target
    if isinstance(target, TrainTarget):
        data = "real"
        if target.dataset != spec.real:
            data = "training data"
            yield _real_step(data, target.dataset)
        settings = target.model_dump(mode="json", exclude={"dataset", "checkpoint_every"})
        yield Step(
            "target",
            "train_target",
            settings,
            (Input("real", data),),
            after=("ready",),
            cost=float(target.steps),
            checkpoint_every=target.checkpoint_every,
        )
    else:
        seen = fingerprint_target(target)
        opened = {"target": target.model_dump(mode="json"), "codes": spec.codes, "fingerprint": seen}
        yield Step("target", "open_target", opened, after=("ready",), volatile=seen is None)
    attacks = [found[0].model_dump(mode="json", exclude={"checkpoint_every"}) for _, found in spec.labelled_attacks()]
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


def replay_name(seed: int) -> str:
    """The step that measures what was bought under a seed."""
    return f"replay, seed {seed}"


def _measured_with(purchase: str, budgets: list[int]) -> tuple[Input, ...]:
    bought = Input("purchase", purchase, str(budgets[-1]))
    return (bought, Input("features", "features"), Input("yardsticks", "yardsticks"))


def real_fractions(spec: Spec) -> list[float]:
    """The shares of the real training images that adversaries of this spec hold, ascending."""
    return sorted({fraction for attack in spec.attacks if (fraction := real_fraction(attack)) is not None})


def known_name(fraction: float, seed: int) -> str:
    """The step that chooses an adversary's real images."""
    return f"known real images, {100 * fraction:g} %, seed {seed}"


def _known_step(fraction: float, seed: int) -> Step:
    inputs = (Input("real", "real"), Input("features", "features"), Input("yardsticks", "yardsticks"))
    return Step(known_name(fraction, seed), "known", {"real_fraction": fraction, "seed": seed}, inputs)


def _knowledge(settings: AttackSettings, seed: int) -> tuple[Input, ...]:
    fraction = real_fraction(settings)
    if fraction is None:
        return ()
    return (Input("known", known_name(fraction, seed)), Input("features", "features"))


def _real_step(name: str, dataset: DatasetSettings) -> Step:
    return Step(name, "real", dataset.model_dump(mode="json") | {"fingerprint": fingerprint(dataset)})


def _substitute_steps(spec: Spec, label: str, settings: AttackSettings, seed: int) -> tuple[SubstitutePlan, list[Step]]:
    name = f"{label}, {settings.query_budget:,} queries, seed {seed}"
    train = Step(
        f"substitute {name}",
        "substitute",
        {
            "attack": settings.model_dump(mode="json", exclude={"checkpoint_every"}),
            "codes": spec.codes,
            "seed": seed,
        },
        (
            Input("purchase", f"purchase, seed {seed}", str(settings.query_budget)),
            Input("target", "target"),
            *_knowledge(settings, seed),
        ),
        cost=float(settings.steps) * settings.batch_size,
        checkpoint_every=settings.checkpoint_every,
    )
    measure = Step(
        f"measure {name}",
        "measure",
        {"samples": spec.samples, "seed": seed, "query_budget": settings.query_budget},
        (
            Input("substitute", train.name),
            Input("features", "features"),
            Input("yardsticks", "yardsticks"),
            Input("replay", replay_name(seed), str(settings.query_budget)),
        ),
        cost=1e6,
    )
    return SubstitutePlan(label, settings, seed, train.name, measure.name), [train, measure]
