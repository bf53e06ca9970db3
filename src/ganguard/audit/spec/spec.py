"""The spec of an audit: what is audited, by which attacks, behind which defences, and how it is measured."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    field_serializer,
    field_validator,
    model_validator,
)

from ganguard.attacks.asking import AttackAsk
from ganguard.attacks.protocol import AttackSettings, parse_attack
from ganguard.audit.spec.adversaries import AdversariesField, Naive
from ganguard.audit.spec.applying import require_applicable
from ganguard.audit.spec.bought import PurchaseField
from ganguard.audit.spec.chains import ChainsField, attributes, swept
from ganguard.audit.spec.chosen import ChosenFeatures
from ganguard.audit.spec.graders import require_other_graders
from ganguard.audit.spec.independent import Independent, IndependentField
from ganguard.audit.spec.labels import numbered
from ganguard.audit.spec.scenarios import Scenario, scenarios
from ganguard.audit.spec.target import ReferenceField, TargetField, TrainTarget
from ganguard.base.cache import canonical_json
from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError
from ganguard.base.settings import NonNegative, Positive, Words, one_line
from ganguard.data.dataset import DatasetField
from ganguard.targets.ask import Ask
from ganguard.targets.protocol import Codes

SWEPT = ("query_budget", "real_fraction", "domain_images", "method")
"""Settings of an attack that may be lists of values."""


STRONGEST = "strongest"
BUDGETS = (200, 1000, 5000)
"""The query budgets of an audit that names no attack."""


def _attacks(value: object) -> list[AttackSettings]:
    """Return the settings of each attack, and of each combination of swept values. The word `strongest`
    stands for the panel of recipes at the usual budgets."""
    if value == STRONGEST:
        value = [STRONGEST]
    if not isinstance(value, list | tuple):
        raise SpecError(
            "attacks must be a list of attacks, or the word `strongest`; it may be empty if there are "
            "defences."
        )
    found: list[AttackSettings] = []
    for number, item in enumerate(cast(list[Any], value)):
        if isinstance(item, AttackSettings):
            found.append(item)
            continue
        if item == STRONGEST:
            item = {"kind": STRONGEST, "query_budget": list(BUDGETS)}
        if not isinstance(item, Mapping):
            raise SpecError(
                f"attacks.{number} must be a mapping with `kind`, or the word `strongest`; got {item!r}."
            )
        found += [_attack(number, values) for values in swept(item, f"attacks.{number}", SWEPT)]
    return found


def _attack(number: int, values: Mapping[str, Any]) -> AttackSettings:
    """Return the settings of one attack."""
    # A copy that exists already needs no kind: `{substitute: {checkpoint: …}, query_budget: …}`.
    copy = values.get("substitute")
    kind = "found" if isinstance(copy, Mapping) and copy and "checkpoint" not in copy else "given"
    implied = {"kind": kind} if "substitute" in values and "kind" not in values else {}
    try:
        return parse_attack({**implied, **values})
    except SpecError as problem:
        raise SpecError(f"attacks.{number}: {one_line(problem)}") from None


class Spec(ChosenFeatures):
    """The settings of an audit.

    Attributes:
        target: the generator to audit: `train:`, or one of the targets' kinds.
        reference: for a target at a `url`, the same generator as its owner holds it, to measure against.
            Without it, distances are to the images that the API returns, and protection is not judged.
        real: the real images that accuracy is measured against, and that give the features their scale.
        features: the network whose features are compared; "pretrained" chooses one that is installed.
        features_chosen: the kind that was chosen for "pretrained"; empty if the spec names its network.
        codes: "provider" if the target draws its codes, "client" if the adversary sends them.
        ask: how a conditional target is asked: "uniform", which is the same as leaving it out, a list of
            conditions, or a mapping of conditions to shares. The auditor asks so, and so do attacks that name
            no way of their own; an attack may also name the law of the codes that it sends.
        purchase: `{images: …}`, images that were bought before: every adversary holds these, each once and in
            their order, and buys nothing. None lets adversaries buy.
        attacks: each trains one substitute for each seed, defence and adversary. Left out, or as the word
            "strongest", it is the panel of recipes at 200, 1,000 and 5,000 queries. There may be none if only
            the utility of defences is asked for. If query_budget, real_fraction, domain_images or method is a
            list, each of its values makes an attack of its own.
        defences: each entry is "none", a defence, or a list of defences that are applied one after the other.
            If a setting of a defence is a list, each of its values makes a defence of its own. "none" is
            always among them.
        adversaries: each attacks every defended target: "naive" trains on the images that it gets; `{kind:
            through_defence}` trains through a guess of the defence; `{kind: averaging}` asks for every image
            several times. Others undo one kind of defence: `{kind: code_pairs}` linear interpolation, `{kind:
            reweighting}` semantic interpolation, `{kind: denoising}` Gaussian noise. If a setting is a list,
            each of its values makes an adversary of its own.
        seeds: each reseeds the purchase and the substitutes, and trains honest models of its own.
        target_seeds: each trains a target of its own, in the place of `target.train.seed`, and runs the whole
            audit against it. Intervals are then over targets, and speak of all targets of this kind.
        independent: whether honest models are trained on the real images without a query, and on which
            shares of them: on, off, or {shares: [1, 0.5]}. Without them no copy is called close.
        samples: images in each measured set.
        judge_features: the network by which an adversary that holds real images judges its own work. "own":
            a small classifier trained on these images, or a random network if they have no classes; it is
            never the one that grades. "audit" is the one that grades; or a network as in `features`.
        even_if: findings that would stop the audit, and shall not, as a word or a list. "target_broken": the
            target is no nearer to real images than noise is, or covers none of them.
        compute: device, and threads of each process.
        price: what one image of the target costs, in any money. The plan and `check` tell what the images
            cost.
        how_to_get: how to come by real images that are not at hand. Where they are absent, the error says it.
        for_gpu: whether the trainings are sized for a GPU. `audit` and `check` say so if there is none.
    """

    unsaid = ChosenFeatures.unsaid | {"ask", "target_seeds", "how_to_get"}
    target: TargetField
    reference: ReferenceField = None
    real: DatasetField
    codes: Codes = "provider"
    ask: AttackAsk = None
    purchase: PurchaseField = None
    attacks: Annotated[
        tuple[SerializeAsAny[AttackSettings], ...], BeforeValidator(_attacks), Field(validate_default=True)
    ] = cast(tuple[AttackSettings, ...], STRONGEST)
    defences: ChainsField = ((),)
    adversaries: AdversariesField = (Naive(),)
    seeds: tuple[NonNegative, ...] = (0,)
    target_seeds: tuple[NonNegative, ...] = ()
    independent: IndependentField = Independent()
    samples: Annotated[Positive, Field(ge=6)] = 5000
    even_if: Words[Literal["target_broken"]] = ()
    compute: Compute = Compute()
    price: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    how_to_get: Annotated[str, Field(max_length=1000)] = ""
    for_gpu: bool = False

    @field_serializer("ask", mode="wrap")
    def _ask_said(self, ask: object, handler: SerializerFunctionWrapHandler) -> object:
        return handler(ask) or (None if ask is None else "uniform")  # what is written must be readable

    @field_serializer("attacks", mode="wrap")
    def _attacks_said(self, attacks: object, handler: SerializerFunctionWrapHandler) -> list[dict[str, Any]]:
        return [each | ({"ask": "uniform"} if each.get("ask") == {} else {}) for each in handler(attacks)]

    @field_validator("seeds")
    @classmethod
    def _distinct_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds or len(set(seeds)) < len(seeds):
            raise ValueError(f"must be one or more distinct whole numbers; got {list(seeds)}")
        return seeds

    @model_validator(mode="after")
    def _several_targets(self) -> "Spec":
        wanted = self.target_seeds
        if wanted and (len(wanted) < 2 or len(set(wanted)) < len(wanted)):
            raise ValueError(
                f"target_seeds must be two or more distinct whole numbers; got {list(wanted)}. Set "
                "target.train.seed for one target"
            )
        if wanted and not isinstance(self.target, TrainTarget):
            raise ValueError(
                "target_seeds trains targets, and this one exists already. Set target: {train: …}, or leave "
                "target_seeds out"
            )
        if wanted and self.purchase:
            raise ValueError("target_seeds and purchase exclude each other: bought images are of one target")
        return self

    @model_validator(mode="after")
    def _distinct_attacks(self) -> "Spec":
        seen = set[tuple[str, int]]()
        for settings in self.attacks:
            recipe = _without_budget(settings), settings.query_budget
            if recipe in seen:
                raise ValueError(
                    f"attacks: {settings.label()}, {settings.query_budget:,} queries, is listed twice. "
                    "Remove one"
                )
            seen.add(recipe)
        return self

    @field_validator("ask")
    @classmethod
    def _fixed(cls, ask: Ask | None) -> Ask | None:
        if ask is not None and ask.learns and not ask.sends_codes:
            how = ask.judge or ask.choose
            raise ValueError(f"is how the auditor asks, in fixed shares. Set `ask: {how}` of an attack")
        if ask is not None and ask.sends_codes:
            said = f"`ask: {{{ask.field_of_codes()}: …}}` of an attack"
            raise ValueError(f"is how the auditor asks, who takes the target as it is. Set {said}")
        return ask

    @model_validator(mode="after")
    def _askable(self) -> "Spec":
        """Refuse what a target that is still to be trained could not be asked for, nor teach."""
        if isinstance(self.target, TrainTarget):
            self.target.require_askable(self.asks(None))
            for copy in self.trained_copies():
                self.target.require_copied(copy, self.asks(copy))
        return self

    @model_validator(mode="after")
    def _buys_beyond_the_pilot(self) -> "Spec":
        price = max(scenario.price for scenario in self.scenarios())
        for copy in self.trained_copies():
            self.asks(copy).require_beyond_pilot(copy.needs().purchase // price, copy.query_budget)
        return self

    @model_validator(mode="after")
    def _reference_fits(self) -> "Spec":
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
    def _bought_as_they_are(self) -> "Spec":
        if getattr(self.target, "in_order", False):
            raise ValueError(
                "target: images that were bought in order are no target to draw from. Name them as purchase: "
                "{images: …}"
            )
        if self.purchase and self.codes == "client":
            raise ValueError(
                "purchase: no codes were kept with images that were bought before. Set codes: provider"
            )
        if self.purchase and self.defences != ((),):
            raise ValueError(
                "purchase: images that were bought before passed whatever defence there was. Leave defences "
                "out, or purchase"
            )
        return self

    @model_validator(mode="after")
    def _trainable_through(self) -> "Spec":
        for settings in self.attacks:
            cannot = settings.needs().purchase and not settings.trains_through()
            if cannot and any(scenario.believed for scenario in self.scenarios()):
                raise ValueError(
                    f"{settings.label()} cannot train through a defence. Leave it out, or set adversaries: "
                    "[naive]"
                )
        return self

    @model_validator(mode="after")
    def _asks_something(self) -> "Spec":
        if not self.attacks and self.defences == ((),):
            raise ValueError(
                "attacks must be a list with at least one attack, unless only defences are judged"
            )
        return self

    @model_validator(mode="after")
    def _defended(self) -> "Spec":
        if self.defences == ((),) and self.adversaries != (Naive(),):
            raise ValueError(
                "adversaries only differ if there is a defence, and there is none. Set defences, or set "
                "adversaries: [naive]"
            )
        return self

    @model_validator(mode="after")
    def _adversaries_apply(self) -> "Spec":
        require_applicable(self.adversaries, self.defences, self.codes, self.attacks)
        return self

    @model_validator(mode="after")
    def _judged(self) -> "Spec":
        require_other_graders(self.attacks, self.features, self.judge_features)
        return self

    def asks(self, attack: AttackSettings | None) -> Ask:
        """Return how an attack asks a conditional target; None stands for the auditor."""
        return (attack.ask if attack else None) or self.ask or Ask()

    def remote(self) -> bool:
        """Return whether the target is reached over a network."""
        return not isinstance(self.target, TrainTarget) and self.target.remote

    def of_targets(self) -> "dict[int, Spec]":
        """Return the spec of each target's audit by the seed of the target; none without `target_seeds`."""
        if not isinstance(self.target, TrainTarget):
            return {}
        trained = self.target
        return {
            seed: self.model_copy(
                update={"target": trained.model_copy(update={"seed": seed}), "target_seeds": ()}
            )
            for seed in self.target_seeds
        }

    def scenarios(self) -> list[Scenario]:
        """Return the undefended target first, then every defence with every adversary."""
        return scenarios(self.defences, self.adversaries)

    def trained_copies(self) -> list[AttackSettings]:
        """Return the settings of every attack, and of every copy that is stolen for one."""
        stolen = [attack.needs().stolen for attack in self.attacks]
        return [*self.attacks, *(copy for copy in stolen if copy)]

    def labelled_attacks(self) -> list[tuple[str, list[AttackSettings]]]:
        """Return each attack's unique label and its settings by ascending budget, in the spec's order."""
        by_recipe: dict[str, list[AttackSettings]] = {}
        for settings in self.attacks:
            by_recipe.setdefault(_without_budget(settings), []).append(settings)
        groups = [sorted(group, key=lambda settings: settings.query_budget) for group in by_recipe.values()]
        labels = numbered([group[0].label() for group in groups])
        return list(zip(labels, groups, strict=True))


def _without_budget(settings: AttackSettings) -> str:
    """Return a text that is equal for attacks that differ in their budget at most."""
    return canonical_json({name: value for name, value in settings.said().items() if name != "query_budget"})
