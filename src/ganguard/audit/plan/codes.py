"""Plan the measuring of copies as functions: beside the target, code by code."""

from ganguard.audit.plan import code_work as work
from ganguard.audit.plan.parts import Copy, Ground
from ganguard.audit.plan.step import Input, Step
from ganguard.audit.spec.spec import Spec


def codes_step(spec: Spec, target: Step, features: Step, yardsticks: Step) -> Step | None:
    """Return the step that keeps codes and the target's images of them; None if no copy could know codes.

    Args:
        spec: the settings of the audit.
        target: the target that the auditor draws from.
        features: the feature network.
        yardsticks: the step that buys the images.
    """
    if not any(attack.needs().codes for attack in spec.attacks):
        return None
    settings = work.CodesSettings(samples=spec.samples, ask=spec.asks(None))
    return Step("codes", settings, work.CodesInputs(Input(target), Input(features), Input(yardsticks)))


def measure_codes_step(ground: Ground, copy: Copy, train: Step) -> Step | None:
    """Return the step that measures a copy code by code.

    All copies of the target in an audit with codes are measured so: one that learnt from images alone shows
    what unrelated codes give. None if the audit has no codes, or only images of the copy are known.

    Args:
        ground: the steps that run before.
        copy: the copy.
        train: the step that trains it.
    """
    needs = copy.settings.needs()
    if ground.codes is None or needs.found or needs.domain:
        return None
    inputs = work.MeasureCodesInputs(Input(train), Input(ground.features), Input(ground.codes))
    return Step(f"measure codes of {copy.name}", work.MeasureCodesSettings(), inputs)
