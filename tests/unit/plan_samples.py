"""Plans of a few steps, without a spec."""

from typing import Any, cast

from ganguard.audit.plan.ground_work import FeaturesInputs, FeaturesSettings, NoInputs, RealSettings
from ganguard.audit.plan.parts import Ground, Plan
from ganguard.audit.plan.step import Input, Step
from ganguard.data.dataset import parse_dataset
from ganguard.metrics.features.network import parse_features


def plan_of(*steps: Step) -> Plan:
    """Return a plan that says of nothing what it is for: enough to be executed."""
    return Plan(steps, cast(Ground, None), (), (), (), 0)


def real_step(fingerprint: str = "x") -> Step:
    """Return the step that reads the digits."""
    return Step("real", RealSettings(dataset=parse_dataset("digits"), fingerprint=fingerprint), NoInputs())


def features_step(real: Step, network: Any = "random_network") -> Step:
    """Return the step that fits a feature network to real images."""
    return Step("features", FeaturesSettings(network=parse_features(network)), FeaturesInputs(Input(real)))
