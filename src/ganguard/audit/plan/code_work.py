"""The work of measuring copies code by code: frozen settings and a record of inputs for each kind of step."""

from dataclasses import dataclass
from typing import ClassVar

from ganguard.audit.plan.step import Inputs, StepSettings, T
from ganguard.base.settings import Positive
from ganguard.targets.ask import UNIFORM, Ask


class CodesSettings(StepSettings):
    """Keep codes, and the target's images of them, that no adversary sent.

    Attributes:
        samples: images in each of the auditor's draws.
        ask: how the auditor asks a conditional target.
    """

    kind: ClassVar[str] = "codes"
    samples: Positive
    ask: Ask = UNIFORM


@dataclass(frozen=True)
class CodesInputs(Inputs[T]):
    """The target that the auditor draws from, the feature network, and the yardsticks, which bought draws."""

    target: T
    features: T
    yardsticks: T


class MeasureCodesSettings(StepSettings):
    """Measure a substitute beside the target, code by code."""

    kind: ClassVar[str] = "measure_codes"


@dataclass(frozen=True)
class MeasureCodesInputs(Inputs[T]):
    """The substitute, the feature network, and the codes with the target's images of them."""

    substitute: T
    features: T
    codes: T
