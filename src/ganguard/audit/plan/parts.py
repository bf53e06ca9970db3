"""The parts of a plan: references to the steps of the ground, of each defence, purchase and substitute."""

from dataclasses import dataclass

from ganguard.attacks.protocol import AttackSettings
from ganguard.audit.plan.step import Step
from ganguard.audit.spec.scenarios import Scenario
from ganguard.data.dataset import DatasetSettings
from ganguard.results.whose import Whose


@dataclass(frozen=True)
class DomainPlan:
    """A domain that copies are moved to: its data set, the step that reads it, and the step that measures its floors."""

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
    """A target behind a chain of defences: the step that puts them up, and the step that measures their utility."""

    scenario: Scenario
    target: Step
    utility: Step


@dataclass(frozen=True)
class Ground:
    """What stands before any adversary comes.

    Attributes:
        real: the real images that accuracy is measured against.
        trained_on: the real images that the target was trained on, as far as is known.
        ready: refuses what cannot be trained or measured, before the target is trained.
        reference: the reference target of a remote one.
        fit: refuses what does not fit the target, before anything is bought.
        yardsticks: measures everything that copies are compared with.
        domains: other domains that copies are moved to.
        directions: fitted for defences that move codes along them.
        defended: the target behind each chain of defences.
    """

    real: Step
    trained_on: Step
    ready: Step
    target: Step
    reference: Step | None
    fit: Step
    features: Step
    yardsticks: Step
    domains: tuple[DomainPlan, ...]
    directions: tuple[DirectionPlan, ...]
    defended: tuple[DefendedPlan, ...]

    @property
    def measured_target(self) -> Step:
        """The target that the auditor draws from: what copies are measured against."""
        return self.reference or self.target

    def target_in(self, scenario: Scenario) -> Step:
        """Return the target as it stands in a scenario."""
        behind = {plan.scenario.defence: plan.target for plan in self.defended}
        return behind.get(scenario.defence, self.target)

    def domain_of(self, dataset: DatasetSettings) -> DomainPlan:
        """Return the plan of a domain by its data set."""
        return next(domain for domain in self.domains if domain.dataset == dataset)


@dataclass(frozen=True)
class PurchasePlan:
    """What one adversary buys from one target under a seed.

    Attributes:
        scenario: before which defence, and whether it averages.
        queries: how many it pays for.
        purchase: the step that buys.
        replay: the step that measures what was bought.
    """

    scenario: Scenario
    seed: int
    queries: int
    purchase: Step
    replay: Step


@dataclass(frozen=True)
class Copy:
    """A copy: of one attack at one budget, under one seed, in one scenario. label: the attack's, unique in its spec."""

    label: str
    settings: AttackSettings
    seed: int
    scenario: Scenario

    @property
    def name(self) -> str:
        """How its steps are named, for people."""
        return f"{self.label}, {self.settings.query_budget:,} queries, seed {self.seed}{self.scenario}"

    def recipe(self) -> tuple[str, int, str]:
        """Return what makes one copy another, whatever it is called."""
        return self.settings.model_dump_json(exclude={"checkpoint_every"}), self.seed, str(self.scenario)

    def whose(self) -> Whose:
        """Return the record that says whose the copy's numbers are."""
        return Whose(
            attack=self.label,
            query_budget=self.settings.query_budget,
            seed=self.seed,
            defence=self.scenario.defence,
            adversary=self.scenario.who,
        )


@dataclass(frozen=True)
class SubstitutePlan:
    """The training of a copy, how it is measured, and the purchase that it is trained on; None if it buys nothing."""

    copy: Copy
    train: Step
    measure: Step
    bought: PurchasePlan | None


@dataclass(frozen=True)
class Plan:
    """All steps of an audit, and what they are for.

    Attributes:
        steps: each comes after those that it reads.
        known: the steps that choose an adversary's real images.
        auditor: images that the auditor buys.
    """

    steps: tuple[Step, ...]
    ground: Ground
    purchases: tuple[PurchasePlan, ...]
    known: tuple[Step, ...]
    substitutes: tuple[SubstitutePlan, ...]
    auditor: int
