"""What a user writes: the spec of an audit, its presets, and changes to it from the command line."""

from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, Field, SerializeAsAny, field_validator, model_validator

from ganguard.attacks.protocol import AttackSettings, parse_attack
from ganguard.audit.spec.adversaries import AdversariesField, Averaging, Naive
from ganguard.audit.spec.chains import ChainsField, attributes, swept
from ganguard.audit.spec.labels import numbered
from ganguard.audit.spec.scenarios import Scenario, scenarios
from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError, unknown_name
from ganguard.base.settings import NonNegative, Positive, Settings, one_line, parse
from ganguard.comparison.directions import require_attribute
from ganguard.data.dataset import DatasetField
from ganguard.metrics.features.network import FeatureField
from ganguard.queries.store import Codes
from ganguard.targets import TARGETS
from ganguard.targets.load import TargetSettings, parse_target
from ganguard.training.differential_privacy import PrivateTraining

SWEPT = (
    "query_budget",
    "real_fraction",
    "domain_images",
    "method",
)  # settings of an attack that may be lists of values


class TrainTarget(PrivateTraining):
    """`target: {train: …}`: a GAN that the audit trains itself, on the train split of `dataset`."""

    dataset: DatasetField
    seed: NonNegative = 0

    def training(self) -> PrivateTraining:
        """Return how it is trained, whatever on."""
        return PrivateTraining.model_validate(self.model_dump(include=set(PrivateTraining.model_fields)))


def _target(value: object) -> TrainTarget | TargetSettings:
    if isinstance(value, TrainTarget | TargetSettings):
        return value
    if isinstance(value, Mapping) and "train" in value:
        values = cast(Mapping[str, Any], value)
        if len(values) > 1 or not isinstance(values["train"], Mapping):
            raise SpecError(f"target.train must be a mapping and stand alone; got {dict(values)!r}.")
        return parse(TrainTarget, cast(Mapping[str, Any], values["train"]), "target.train")
    known = ["train", *TARGETS.table()]
    if not isinstance(value, Mapping):
        raise SpecError(f"target must be a mapping with one of {', '.join(sorted(known))}; got {value!r}.")
    if not any(key in known for key in value):
        raise SpecError(unknown_name("target", next(iter(cast(Mapping[str, Any], value)), ""), known))
    return parse_target(value)


def _attacks(value: object) -> list[AttackSettings]:
    """One settings record for each attack, and for each of the values of what is swept."""
    if not isinstance(value, list | tuple):
        raise SpecError("attacks must be a list of attacks; it may be empty where defences are.")
    found: list[AttackSettings] = []
    for number, item in enumerate(cast(list[Any], value)):
        if isinstance(item, AttackSettings):
            found.append(item)
            continue
        if not isinstance(item, Mapping):
            raise SpecError(f"attacks.{number} must be a mapping with `kind`; got {item!r}.")
        found += [_attack(number, values) for values in swept(item, f"attacks.{number}", SWEPT)]
    return found


def _attack(number: int, values: Mapping[str, Any]) -> AttackSettings:
    """A copy that exists already needs no kind: `{substitute: {checkpoint: …}, query_budget: …}`."""
    implied = {"kind": "given"} if "substitute" in values and "kind" not in values else {}
    try:
        return parse_attack({**implied, **values})
    except SpecError as problem:
        raise SpecError(f"attacks.{number}: {one_line(problem)}") from None


def _reference(value: object) -> TargetSettings | None:
    if value is None:
        return None
    try:
        return parse_target(value)
    except SpecError as problem:
        raise SpecError(f"reference: {one_line(problem)}") from None


class Spec(Settings):
    """An audit.

    target: what is audited: `train:`, or one of the targets' kinds.
    reference: for a target at a `url`, the same generator as its owner holds it, to measure against. Without
        it, distances are to what the API returns, and protection is not judged.
    real: the real images that accuracy is measured against, and that the features are scaled by.
    features: the network whose features are compared.
    codes: "provider" draws them, or the adversary, as "client", sends them.
    attacks: each trains one substitute for each seed, defence and adversary; none, where only what defences
        leave to users is asked. Where query_budget, real_fraction, domain_images or method is a list, each of
        its values makes an attack of its own.
    defences: what stands before the target: "none", a defence, or a list of defences, one after the other.
        Where a setting of a defence is a list, each of its values makes a defence of its own. "none" is
        always among them.
    adversaries: who attacks a defended target: "naive", who trains on what comes back; `{kind:
        through_defence}`, who trains through a guess of the defence; `{kind: averaging}`, who asks for every
        image several times. Where a setting is a list, each of its values makes an adversary of its own.
    seeds: each reseeds the purchase and the substitutes.
    samples: images in each set that is measured.
    compute: device, and threads of each process.
    """

    target: Annotated[SerializeAsAny[TrainTarget | TargetSettings], BeforeValidator(_target)]
    reference: Annotated[SerializeAsAny[TargetSettings] | None, BeforeValidator(_reference)] = None
    real: DatasetField
    features: FeatureField
    codes: Codes = "provider"
    attacks: Annotated[tuple[SerializeAsAny[AttackSettings], ...], BeforeValidator(_attacks)]
    defences: ChainsField = ((),)
    adversaries: AdversariesField = (Naive(),)
    seeds: tuple[NonNegative, ...] = (0,)
    samples: Annotated[Positive, Field(ge=6)] = 5000
    compute: Compute = Compute()

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds or len(set(seeds)) < len(seeds):
            raise ValueError(f"must be one or more distinct whole numbers; got {list(seeds)}")
        return seeds

    @model_validator(mode="after")
    def _distinct_attacks(self) -> "Spec":
        seen = set[tuple[str, int]]()
        for settings in self.attacks:
            recipe = _without_budget(settings), settings.query_budget
            if recipe in seen:
                raise ValueError(
                    f"attacks: {settings.label()}, {settings.query_budget:,} queries, stands twice. Leave one out"
                )
            seen.add(recipe)
        return self

    @model_validator(mode="after")
    def _referred(self) -> "Spec":
        if self.reference and (not self.remote() or self.reference.remote):
            raise ValueError(
                "reference goes with a target at a url, and is one that its owner holds. Leave it out"
            )
        if self.remote() and not self.reference and attributes(self.defences):
            raise ValueError(
                "a direction is fitted to a generator at hand. Set reference, or name a direction that exists"
            )
        return self

    @model_validator(mode="after")
    def _trainable_through(self) -> "Spec":
        for settings in self.attacks:
            mixes = settings.needs().purchase and not settings.trains_through()
            if mixes and any(s.believed for s in self.scenarios()):
                raise ValueError(
                    f"{settings.label()} cannot train through a defence. Leave it out, or set adversaries: "
                    "[naive]"
                )
        return self

    @model_validator(mode="after")
    def _asks_something(self) -> "Spec":
        if not self.attacks and self.defences == ((),):
            raise ValueError(
                "attacks must be a list with at least one attack, unless defences are judged alone"
            )
        return self

    @model_validator(mode="after")
    def _defended(self) -> "Spec":
        if self.defences == ((),) and self.adversaries != (Naive(),):
            raise ValueError(
                "adversaries differ before a defence only, and there is none. Set defences, or set "
                "adversaries: [naive]"
            )
        return self

    @model_validator(mode="after")
    def _averageable(self) -> "Spec":
        averaging = [a for a in self.adversaries if isinstance(a, Averaging)]
        if averaging and self.codes != "client":
            raise ValueError("adversaries: averaging asks for the same codes again. Set codes: client")
        most = max((a.copies for a in averaging), default=1)
        bought = [settings.needs().purchase for settings in self.attacks]
        least = min(filter(None, bought), default=most)
        if least < most:
            raise ValueError(
                f"query_budget of {least} does not pay for one image of {most} copies; set it to at least "
                f"{most}"
            )
        return self

    @model_validator(mode="after")
    def _scorable(self) -> "Spec":
        for attribute in attributes(self.defences):
            require_attribute(attribute)
        return self

    def remote(self) -> bool:
        """Whether the target is asked over a wire."""
        return isinstance(self.target, TargetSettings) and self.target.remote

    def scenarios(self) -> list[Scenario]:
        """Return the undefended target first, then every defence with every adversary."""
        return scenarios(self.defences, self.adversaries)

    def labelled_attacks(self) -> list[tuple[str, list[AttackSettings]]]:
        """Return the unique label of each attack, and its settings by ascending budget, in the order of the spec."""
        by_recipe: dict[str, list[AttackSettings]] = {}
        for settings in self.attacks:
            by_recipe.setdefault(_without_budget(settings), []).append(settings)
        groups = [sorted(group, key=lambda settings: settings.query_budget) for group in by_recipe.values()]
        labels = numbered([group[0].label() for group in groups])
        return list(zip(labels, groups, strict=True))


def _without_budget(settings: AttackSettings) -> str:
    """Return what makes one attack another, whatever its budget."""
    return settings.model_dump_json(exclude={"query_budget", "checkpoint_every"})
