"""The work of steps before any adversary comes: frozen settings and a record of inputs for each kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import SerializeAsAny

from ganguard.architectures import ARCHITECTURES
from ganguard.attacks.protocol import AttackSettings
from ganguard.audit.plan.step import Inputs, StepSettings, T
from ganguard.base.plugins import PluginTable
from ganguard.base.settings import NonNegative, Positive
from ganguard.data import DATASETS
from ganguard.data.dataset import DatasetSettings
from ganguard.defences.protocol import Defence
from ganguard.metrics.features.network import FeatureSettings
from ganguard.targets import TARGETS
from ganguard.targets.ask import UNIFORM, Ask
from ganguard.targets.images import ImagesTarget
from ganguard.targets.load import TargetSettings
from ganguard.targets.protocol import Codes
from ganguard.training.differential_privacy import PrivateTraining

Chain = tuple[SerializeAsAny[Defence], ...]
Attacks = tuple[SerializeAsAny[AttackSettings], ...]


class RealSettings(StepSettings):
    """Decode a data set. fingerprint: changes if its files may have changed."""

    kind: ClassVar[str] = "real"
    dataset: SerializeAsAny[DatasetSettings]
    fingerprint: str

    def plugins(self) -> list[tuple[PluginTable, str]]:
        """Return the data set's kind."""
        return [(DATASETS, self.dataset.kind)]


@dataclass(frozen=True)
class NoInputs(Inputs[T]):
    """No inputs."""


class ReadySettings(StepSettings):
    """Refuse what cannot be trained or measured.

    Attributes:
        samples: images in each measured set.
        attacks: all attacks, without repetitions.
        domains: data sets that copies are moved to.
        seeds: seeds of the audit.
        price: the most queries that any adversary pays for an image.
        honest: whether honest models are trained on the real images.
        judge_learns: whether the judge of an adversary learns the classes of the real images that it holds.
        asks: how the auditor and the attacks ask a target that is to be trained, where they name classes.
    """

    kind: ClassVar[str] = "ready"
    unsaid: ClassVar[frozenset[str]] = frozenset({"judge_learns", "asks"})
    samples: Positive
    attacks: Attacks
    domains: tuple[SerializeAsAny[DatasetSettings], ...]
    seeds: tuple[NonNegative, ...]
    price: Positive = 1
    honest: bool = True
    judge_learns: bool = False
    asks: tuple[Ask, ...] = ()

    def said(self) -> Mapping[str, object]:
        """Return the settings, without how often trainings save their state."""
        return _said_with_attacks(self, self.attacks)

    def plugins(self) -> list[tuple[PluginTable, str]]:
        """Return the attacks and their architectures."""
        return [named for attack in self.attacks for named in attack.plugins()]


@dataclass(frozen=True)
class ReadyInputs(Inputs[T]):
    """Real images, those that the target was trained on, and those of each domain."""

    real: T
    trained_on: T
    domains: tuple[T, ...] = ()


class TrainTargetSettings(StepSettings):
    """Train the target. fingerprint: digest of the checkpoint that it begins with; None without one."""

    kind: ClassVar[str] = "train_target"
    training: PrivateTraining
    seed: NonNegative
    fingerprint: str | None = None

    def said(self) -> Mapping[str, object]:
        """Return the settings, without how often the training saves its state."""
        return self.model_dump(mode="json", exclude={"training": {"checkpoint_every"}})

    def plugins(self) -> list[tuple[PluginTable, str]]:
        """Return the architecture."""
        return [(ARCHITECTURES, self.training.architecture.kind)]

    def libraries(self) -> tuple[str, ...]:
        """Return the library that computes how much noise a private training needs."""
        return ("opacus",) if self.training.differential_privacy else ()


@dataclass(frozen=True)
class TrainTargetInputs(Inputs[T]):
    """The real images, whose train split the target is trained on."""

    real: T


class OpenTargetSettings(StepSettings):
    """Open a user's target.

    Attributes:
        codes: who draws the latent codes.
        target: settings of the target.
        fingerprint: changes if the target's files may have changed; None if only opening it shows that.
    """

    kind: ClassVar[str] = "open_target"
    target: SerializeAsAny[TargetSettings]
    codes: Codes
    fingerprint: str | None = None

    def plugins(self) -> list[tuple[PluginTable, str]]:
        """Return the target's kind, and the kind of data set of a target `images`."""
        # One of a target's fields is named after its kind.
        named = [(TARGETS, name) for name in type(self.target).model_fields]
        images = [(DATASETS, self.target.images.kind)] if isinstance(self.target, ImagesTarget) else []
        return named + images


class FitSettings(StepSettings):
    """Refuse a target that attacks or guesses do not fit.

    Attributes:
        attacks: each attack once, at its smallest budget.
        fingerprints: digests of the files that each attack names.
        guesses: the chains of defences that adversaries believe in, without repetitions.
        bought: how many of the images that were bought before are wanted.
        drawn: how many images of each found copy are wanted.
        ask: how the audit asks a conditional target; None if the spec does not say it.
        honest: whether honest models learn the classes of the real images.
        again: whether an adversary sends every code several times, and keeps each answer.
    """

    kind: ClassVar[str] = "fit"
    unsaid: ClassVar[frozenset[str]] = frozenset({"honest", "again"})
    attacks: Attacks
    fingerprints: tuple[str | None, ...]
    guesses: tuple[Chain, ...] = ()
    bought: NonNegative = 0
    drawn: NonNegative = 0
    ask: Ask | None = None
    honest: bool = False
    again: bool = False

    def said(self) -> Mapping[str, object]:
        """Return the settings, without how often trainings save their state."""
        return _said_with_attacks(self, self.attacks)

    def defences(self) -> tuple[Defence, ...]:
        """Return all guessed defences."""
        return tuple(defence for guess in self.guesses for defence in guess)

    def plugins(self) -> list[tuple[PluginTable, str]]:
        """Return the attacks and their architectures."""
        return [named for attack in self.attacks for named in attack.plugins()]


@dataclass(frozen=True)
class FitInputs(Inputs[T]):
    """What must fit the target.

    Attributes:
        real: real images.
        target: the target.
        reference: the reference target of a remote one.
        bought: images that were bought before.
        found: copies that were found.
        trained_on: the images that the target was trained on, if they are other ones than `real` and it can
            be asked for classes.
        domains: the images of the domain of each attack that `learns_domain`.
    """

    real: T
    target: T
    reference: T | None = None
    bought: T | None = None
    found: tuple[T, ...] = ()
    trained_on: T | None = None
    domains: tuple[T, ...] = ()


class DirectionSettings(StepSettings):
    """Fit a semantic direction. samples: codes that are drawn and scored."""

    kind: ClassVar[str] = "direction"
    attribute: str
    samples: Positive
    seed: NonNegative


@dataclass(frozen=True)
class DirectionInputs(Inputs[T]):
    """The target, and the feature network if the attribute needs its classes."""

    target: T
    features: T | None = None


class DefendSettings(StepSettings):
    """Put a chain of defences before the target. fingerprints: digests of the files that defences name."""

    kind: ClassVar[str] = "defend"
    chain: Chain
    fingerprints: tuple[str | None, ...]

    def defences(self) -> tuple[Defence, ...]:
        """Return the chain."""
        return self.chain


@dataclass(frozen=True)
class DefendInputs(Inputs[T]):
    """The undefended target, and the fitted directions by attribute."""

    target: T
    directions: dict[str, T] = field(default_factory=dict[str, T])


class UtilitySettings(StepSettings):
    """Measure what honest users still get. ask: how the auditor asks a conditional target."""

    kind: ClassVar[str] = "utility"
    samples: Positive
    ask: Ask = UNIFORM


@dataclass(frozen=True)
class UtilityInputs(Inputs[T]):
    """The defended and the undefended target, and the feature network and yardsticks to measure with."""

    target: T
    undefended: T
    features: T
    yardsticks: T


class FeaturesSettings(StepSettings):
    """Train the feature network if it is a classifier, and fit the scale of its features."""

    kind: ClassVar[str] = "features"
    network: SerializeAsAny[FeatureSettings]

    def networks(self) -> tuple[FeatureSettings, ...]:
        """Return the network."""
        return (self.network,)


@dataclass(frozen=True)
class FeaturesInputs(Inputs[T]):
    """Real images."""

    real: T


class YardsticksSettings(StepSettings):
    """Measure everything that copies are compared with. ask: how the auditor asks a conditional target."""

    kind: ClassVar[str] = "yardsticks"
    samples: Positive
    ask: Ask = UNIFORM


@dataclass(frozen=True)
class YardsticksInputs(Inputs[T]):
    """Real images, the target that the auditor draws from, and the feature network."""

    real: T
    target: T
    features: T


class SoundSettings(StepSettings):
    """Refuse a broken target. accepted: whether the user wants it audited all the same."""

    kind: ClassVar[str] = "sound"
    accepted: bool


@dataclass(frozen=True)
class SoundInputs(Inputs[T]):
    """The yardsticks, which hold the target's distance to real images and that of noise."""

    yardsticks: T


class EyesightSettings(StepSettings):
    """Measure what the feature network sees.

    Attributes:
        samples: images in each of the auditor's draws.
        ask: how the auditor asks a conditional target.
    """

    kind: ClassVar[str] = "eyesight"
    samples: Positive
    ask: Ask = UNIFORM

    def libraries(self) -> tuple[str, ...]:
        """Return the library that codes images as JPEG, and the one that finds clusters."""
        return ("simplejpeg", "scikit-learn")


@dataclass(frozen=True)
class EyesightInputs(Inputs[T]):
    """The target that the auditor draws from, the feature network, and the yardsticks, which bought draws."""

    target: T
    features: T
    yardsticks: T


class DomainSettings(StepSettings):
    """Measure the floors of another domain."""

    kind: ClassVar[str] = "domain"


@dataclass(frozen=True)
class DomainInputs(Inputs[T]):
    """Real images of the domain, and the feature network."""

    real: T
    features: T


def _said_with_attacks(settings: StepSettings, attacks: Attacks) -> Mapping[str, object]:
    said = settings.model_dump(mode="json", exclude={"attacks"})
    return {**said, "attacks": [attack.said() for attack in attacks]}
