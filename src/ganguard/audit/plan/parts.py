"""The parts of a plan, which refer to steps: the ground, defences, purchases and substitutes."""

from dataclasses import dataclass

from ganguard.attacks.protocol import AttackSettings
from ganguard.audit.plan.step import Input, Step
from ganguard.audit.spec.scenarios import Scenario
from ganguard.base.cache import canonical_json
from ganguard.data.dataset import DatasetSettings
from ganguard.results.whose import Whose
from ganguard.targets.ask import UNIFORM, Ask
from ganguard.targets.load import TargetSettings
from ganguard.training.settings import TrainingSettings


@dataclass(frozen=True)
class DomainPlan:
    """A domain that copies are moved to.

    Attributes:
        dataset: its data set.
        real: the step that reads its images.
        floors: the step that measures its floors.
    """

    dataset: DatasetSettings
    real: Step
    floors: Step


@dataclass(frozen=True)
class DirectionPlan:
    """A semantic direction that is fitted to the target: its attribute and its step."""

    attribute: str
    step: Step


@dataclass(frozen=True)
class DefendedPlan:
    """A target behind a chain of defences.

    Attributes:
        scenario: the chain, whoever attacks.
        target: the step that puts the chain before the target.
        utility: the step that measures what honest users still get.
    """

    scenario: Scenario
    target: Step
    utility: Step


@dataclass(frozen=True)
class Ground:
    """The steps that run before any adversary comes.

    Attributes:
        real: the real images that accuracy is measured against.
        trained_on: the real images that the target was trained on, as far as is known.
        ready: refuses what cannot be trained or measured, before the target is trained.
        target: the target to audit.
        reference: the reference target of a remote one, or None.
        bought: opens the images that were bought before, or None if adversaries buy.
        found: opens each copy that was found.
        fit: refuses what does not fit the target, before anything is bought.
        features: the feature network.
        yardsticks: measures everything that copies are compared with.
        sound: refuses a broken target, before anything is bought from it or trained for an adversary.
        eyesight: measures what the feature network sees.
        codes: keeps codes and the target's images of them, or None if no copy could know codes.
        domains: other domains that copies are moved to.
        directions: semantic directions, fitted for defences that move codes along them.
        defended: the target behind each chain of defences.
    """

    real: Step
    trained_on: Step
    ready: Step
    target: Step
    reference: Step | None
    bought: Step | None
    found: tuple[tuple[TargetSettings, Step], ...]
    fit: Step
    features: Step
    yardsticks: Step
    sound: Step
    eyesight: Step
    codes: Step | None
    domains: tuple[DomainPlan, ...]
    directions: tuple[DirectionPlan, ...]
    defended: tuple[DefendedPlan, ...]

    @property
    def bought_before(self) -> Input | None:
        """The images that were bought before, as an input of a step; None if adversaries buy."""
        return Input(self.bought) if self.bought else None

    @property
    def measured_target(self) -> Step:
        """The target that the auditor draws from, and copies are measured against."""
        return self.reference or self.target

    def target_in(self, scenario: Scenario) -> Step:
        """Return the target behind the defences of a scenario."""
        if scenario.defence is None:
            return self.target
        return next(plan.target for plan in self.defended if plan.scenario.defence == scenario.defence)

    def found_of(self, copy: TargetSettings) -> Step:
        """Return the step that opens a copy that was found."""
        return next(step for found, step in self.found if found == copy)

    def domain_of(self, dataset: DatasetSettings) -> DomainPlan:
        """Return the domain with that data set."""
        return next(domain for domain in self.domains if domain.dataset == dataset)


@dataclass(frozen=True)
class PurchasePlan:
    """The purchase of one adversary from one target under one seed.

    Attributes:
        scenario: the defence that it buys through, and whether it averages.
        seed: the seed of the purchase.
        queries: how many queries it pays for.
        purchase: the step that buys.
        replay: the step that measures the bought images, or what was made of them.
        ask: how it asks a conditional target.
        rework: the step that makes other images of them to train on; None if the adversary takes them as they
            are.
        also: labels of other adversaries that ask alike, and share it.
    """

    scenario: Scenario
    seed: int
    queries: int
    purchase: Step
    replay: Step
    ask: Ask = UNIFORM
    rework: Step | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Copy:
    """The copy that one attack makes at one budget, under one seed, in one scenario.

    Attributes:
        label: label of the attack, unique in its spec.
        settings: settings of the attack.
        seed: seed of the purchase and of the substitute.
        scenario: the defences, and the adversary.
    """

    label: str
    settings: AttackSettings
    seed: int
    scenario: Scenario

    @property
    def name(self) -> str:
        """Its part in the names of its steps."""
        return f"{self.label}, {self.settings.query_budget:,} queries, seed {self.seed}{self.scenario}"

    def recipe(self) -> "Recipe":
        """Return a value that is equal for copies whose training is the same, whatever their labels."""
        return canonical_json(self.settings.said()), self.seed, self.scenario.defence, self.scenario.who

    def whose(self) -> Whose:
        """Return the fields that mark the copy's numbers in results."""
        return Whose(
            attack=self.label,
            query_budget=self.settings.query_budget,
            seed=self.seed,
            defence=self.scenario.defence,
            adversary=self.scenario.who,
        )


Recipe = tuple[str, int, str | None, str | None]
"""Settings of the attack as JSON, seed, and the labels of defence and adversary."""


@dataclass(frozen=True)
class SubstitutePlan:
    """The training and the measuring of a copy.

    Attributes:
        copy: the copy.
        train: the step that trains it.
        measure: the step that measures it.
        bought: the purchase that it is trained on; None if it buys nothing.
        measure_codes: the step that measures it code by code; None if none does.
    """

    copy: Copy
    train: Step
    measure: Step
    bought: PurchasePlan | None
    measure_codes: Step | None = None


@dataclass(frozen=True)
class HonestPlan:
    """The training and the measuring of a model that never saw an answer of the target.

    Attributes:
        label: of all models of the same recipe and share; unique in the plan.
        training: the recipe.
        attacks: labels of the attacks whose copies are trained alike.
        share: share of the train split of the real images that it is trained on.
        seed: seed of the audit that its own seed is derived from.
        train: the step that trains it.
        measure: the step that measures it.
    """

    label: str
    training: TrainingSettings
    attacks: tuple[str, ...]
    share: float
    seed: int
    train: Step
    measure: Step


@dataclass(frozen=True)
class Plan:
    """All steps of an audit, and their purposes.

    Attributes:
        steps: all steps, each after those that it reads.
        ground: those that run before any adversary comes.
        purchases: what adversaries buy.
        known: the steps that choose the real images of adversaries.
        substitutes: the copies.
        auditor: how many images the auditor buys.
        honest: the models that never saw an answer of the target.
        reworked: purchases of which adversaries made other images, one for each budget.
    """

    steps: tuple[Step, ...]
    ground: Ground
    purchases: tuple[PurchasePlan, ...]
    known: tuple[Step, ...]
    substitutes: tuple[SubstitutePlan, ...]
    auditor: int
    honest: tuple[HonestPlan, ...] = ()
    reworked: tuple[PurchasePlan, ...] = ()

    def paid(self) -> tuple[PurchasePlan, ...]:
        """Return the purchases that are paid for by accounts of their own: images that were bought before are
        held by the adversaries of all seeds, and count once."""
        return self.purchases[:1] if self.ground.bought else self.purchases
