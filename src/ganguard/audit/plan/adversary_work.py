"""The work of steps of adversaries: frozen settings and a record of inputs for each kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pydantic import SerializeAsAny

from ganguard.attacks.protocol import AttackSettings
from ganguard.attacks.reweighting import Shift
from ganguard.audit.plan.step import Inputs, StepSettings, T
from ganguard.audit.spec.adversary import Asking
from ganguard.audit.spec.judge import JudgeField
from ganguard.base.plugins import PluginTable
from ganguard.base.settings import NonNegative, Positive, read_yaml
from ganguard.defences.protocol import Defence
from ganguard.metrics.features.network import FeatureField, FeatureSettings, parse_features
from ganguard.targets.ask import UNIFORM, Ask
from ganguard.targets.protocol import Codes
from ganguard.training.denoiser import DenoiserSettings

JUDGED_WITH = "{kind: random_network, seed: 2}"
"""What an adversary judges copies with that has nothing but its purchase: anybody can make this network, and
no grader has its weights."""
COPY_DRAWS = 2  # sets of a copy's images that are measured


class KnownSettings(StepSettings):
    """Choose the real images that an adversary holds.

    Attributes:
        judge: the network of its judge: "own", "audit", or a network's settings.
    """

    kind: ClassVar[str] = "known"
    real_fraction: float
    seed: NonNegative
    judge: JudgeField = "own"

    def networks(self) -> tuple[FeatureSettings, ...]:
        """Return the network of the judge."""
        return () if isinstance(self.judge, str) else (self.judge,)


@dataclass(frozen=True)
class KnownInputs(Inputs[T]):
    """The target's training images, and the feature network and yardsticks to measure with."""

    real: T
    features: T
    yardsticks: T


class BuyerSettings(StepSettings):
    """Base of the settings of a step that asks the target as an adversary.

    Attributes:
        codes: who draws the latent codes.
        seed: seed of the purchase, which also seeds a substitute.
        asking: how codes are asked for several times; None if each is once.
        ask: how a conditional target is asked.
    """

    codes: Codes
    seed: NonNegative
    asking: Asking | None = None
    ask: Ask = UNIFORM


class PurchaseSettings(BuyerSettings):
    """Buy the images of the largest budget.

    Attributes:
        budgets: in queries, ascending. The images of a smaller budget are the first ones of a larger one.
    """

    kind: ClassVar[str] = "purchase"
    budgets: tuple[Positive, ...]


@dataclass(frozen=True)
class PurchaseInputs(Inputs[T]):
    """The target behind the defences that the adversary meets, or the images that it bought before."""

    target: T
    bought: T | None = None


class ReplaySettings(StepSettings):
    """Measure the bought images, at each budget. price: queries that an image costs."""

    kind: ClassVar[str] = "replay"
    seed: NonNegative
    budgets: tuple[Positive, ...]
    price: Positive


@dataclass(frozen=True)
class ReplayInputs(Inputs[T]):
    """The purchase, the feature network and yardsticks to measure with, and what an adversary made of the
    purchase, which is measured in its place."""

    purchase: T
    features: T
    yardsticks: T
    reworked: T | None = None


class ReworkSettings(StepSettings):
    """Make other images of a purchase, as an adversary trains on them.

    Attributes:
        seed: of the purchase.
        images: how many it holds, and how many are made.
        shifts: movements of codes that are undone by resampling; empty if none.
        denoiser: how a denoiser is learnt from the purchase; None if none is.
        paired: whether each two images in succession are answers for one code.
    """

    kind: ClassVar[str] = "rework"
    seed: NonNegative
    images: Positive
    shifts: tuple[Shift, ...] = ()
    denoiser: DenoiserSettings | None = None
    paired: bool = False


@dataclass(frozen=True)
class ReworkInputs(Inputs[T]):
    """The purchase, and the feature network if an attribute needs its classes."""

    purchase: T
    features: T | None = None


class SubstituteSettings(BuyerSettings):
    """Run one attack at one budget.

    Attributes:
        attack: settings of the attack.
        fingerprint: digest of the files that the attack names; None if it names none.
        guess: the defences that the adversary believes in; empty if it is naive.
        judged_with: the feature network by which the adversary judges copies by its purchase; empty if it
            judges none.
        projected: the feature networks that D's look through; empty if they look at pixels.
    """

    kind: ClassVar[str] = "substitute"
    unsaid: ClassVar[frozenset[str]] = frozenset({"judged_with", "projected"})
    attack: SerializeAsAny[AttackSettings]
    fingerprint: str | None
    guess: tuple[SerializeAsAny[Defence], ...] = ()
    judged_with: str = ""
    projected: tuple[FeatureField, ...] = ()

    def said(self) -> Mapping[str, object]:
        """Return the settings, without how often the training saves its state."""
        return {**self.model_dump(mode="json", exclude={"attack"}), "attack": self.attack.said()}

    def networks(self) -> tuple[FeatureSettings, ...]:
        """Return the network that copies are judged with, and those that D's look through."""
        judge = (parse_features(read_yaml(self.judged_with, "judged_with")),) if self.judged_with else ()
        return (*judge, *self.projected)

    def defences(self) -> tuple[Defence, ...]:
        """Return the guessed defences."""
        return self.guess

    def plugins(self) -> list[tuple[PluginTable, str]]:
        """Return the attack and its architecture."""
        return self.attack.plugins()


@dataclass(frozen=True)
class SubstituteInputs(Inputs[T]):
    """The parts that the attack needs.

    Attributes:
        bought: the images that it bought before.
        stolen: the copy that it continues.
        reworked: what it made of its purchase, and trains on in its place.
    """

    target: T
    purchase: T | None = None
    known: T | None = None
    features: T | None = None
    domain_images: T | None = None
    stolen: T | None = None
    bought: T | None = None
    reworked: T | None = None


class FoundSettings(StepSettings):
    """Draw the images of a copy that was found.

    Attributes:
        count: how many.
        ask: how a conditional copy is asked.
    """

    kind: ClassVar[str] = "found"
    count: Positive
    ask: Ask = UNIFORM


@dataclass(frozen=True)
class FoundInputs(Inputs[T]):
    """The found copy, opened."""

    found: T


class MeasureSettings(StepSettings):
    """Measure a substitute.

    Attributes:
        bought: how many images of the purchase it was trained on.
        ask: how a conditional copy is asked.
    """

    kind: ClassVar[str] = "measure"
    samples: Positive
    seed: NonNegative
    bought: NonNegative
    ask: Ask = UNIFORM


@dataclass(frozen=True)
class MeasureInputs(Inputs[T]):
    """The substitute, the feature network and yardsticks to measure with, and what it was trained on."""

    substitute: T
    features: T
    yardsticks: T
    replay: T | None = None
    known: T | None = None


class MeasureTransferSettings(StepSettings):
    """Measure a copy that was moved to another domain. domain_images: how many it saw; None means all."""

    kind: ClassVar[str] = "measure_transfer"
    samples: Positive
    seed: NonNegative
    domain_images: Positive | None


@dataclass(frozen=True)
class MeasureTransferInputs(Inputs[T]):
    """The moved copy, the feature network, the domain's floors, and its images."""

    substitute: T
    features: T
    domain: T
    domain_images: T
