"""The work of honest models: frozen settings and a record of inputs for each kind of step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ganguard.architectures import ARCHITECTURES
from ganguard.audit.plan.step import Inputs, StepSettings, T
from ganguard.base.plugins import PluginTable
from ganguard.base.settings import NonNegative, Positive
from ganguard.metrics.features.network import FeatureField, FeatureSettings
from ganguard.targets.ask import UNIFORM, Ask
from ganguard.training.settings import TrainingSettings

STREAM = "independent"  # honest models' seeds are derived under this name, so they equal no copy's


class IndependentSettings(StepSettings):
    """Train an honest model.

    Attributes:
        training: how copies are trained that it is compared with.
        share: share of the train split that it is trained on.
        seed: seed of the audit that its own seed is derived from.
        projected: the feature networks that its D looks through; empty if it looks at pixels.
    """

    kind: ClassVar[str] = "independent"
    unsaid: ClassVar[frozenset[str]] = frozenset({"projected"})
    training: TrainingSettings
    share: float
    seed: NonNegative
    projected: tuple[FeatureField, ...] = ()

    def said(self) -> Mapping[str, object]:
        """Return the settings, without how often the training saves its state."""
        return self.model_dump(mode="json", exclude={"training": {"checkpoint_every"}})

    def networks(self) -> tuple[FeatureSettings, ...]:
        """Return the networks that D looks through."""
        return self.projected

    def plugins(self) -> list[tuple[PluginTable, str]]:
        """Return the architecture."""
        return [(ARCHITECTURES, self.training.architecture.kind)]


@dataclass(frozen=True)
class IndependentInputs(Inputs[T]):
    """The real images. Neither the target nor a purchase is among the inputs."""

    real: T


class MeasureIndependentSettings(StepSettings):
    """Measure an honest model, as a copy is measured. ask: how a conditional one is asked."""

    kind: ClassVar[str] = "measure_independent"
    samples: Positive
    seed: NonNegative
    ask: Ask = UNIFORM


@dataclass(frozen=True)
class MeasureIndependentInputs(Inputs[T]):
    """The honest model, and the feature network and yardsticks to measure with."""

    independent: T
    features: T
    yardsticks: T
