"""Time the work of an audit, on images of the size that was opened."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ganguard.audit.check.opening import Opened
from ganguard.audit.check.speeds import (
    Speeds,
    read_speeds,
    untrained,
    with_comparing,
    with_features,
    with_trainings,
)
from ganguard.audit.check.unopened import with_own_target
from ganguard.audit.check.work import Work, work_of
from ganguard.audit.plan.parts import Plan
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.real import Real
from ganguard.audit.steps.target_files import read_target
from ganguard.base.images import shape_of


def time_all(
    spec: Spec,
    plan: Plan,
    directory: Path,
    opened: Opened,
    real: Real | None,
    drawing: float | None,
    say: Callable[[str], None],
) -> Speeds | None:
    """Return the speeds of this machine; None if neither the target nor the real images opened.

    Args:
        spec: of the audit.
        plan: of the audit.
        directory: where it works, and where an earlier check noted speeds.
        opened: what opened; what cannot be built is added to its problems.
        real: the real images.
        drawing: seconds in which the target makes an image, if that was measured now.
        say: is told what is being timed.
    """
    target = opened.done.get(plan.ground.target.name)
    shape = read_target(target.directory).image_shape if target else None
    shape = shape_of(real.images) if shape is None and real else shape
    if shape is None:
        return None
    noted = read_speeds(directory, spec.compute)
    speeds = Speeds(
        device=spec.compute.torch_device().type,
        threads=spec.compute.threads,
        image_shape=shape,
        real_images=len(real.images) if real else None,
        drawing=drawing or (noted.drawing if noted and noted.image_shape == shape else None),
        trainings=noted.trainings if noted and noted.image_shape == shape else {},
    )
    return _timed(speeds, spec, plan, opened, say)


def _timed(speeds: Speeds, spec: Spec, plan: Plan, opened: Opened, say: Callable[[str], None]) -> Speeds:
    """Return speeds with those of all trainings and of the features. What cannot be built is a problem."""
    compute, found = spec.compute, [speeds]  # the last one is the newest

    def trainings(work: Work) -> None:
        found.append(with_trainings(found[-1], [work], compute, say))

    def features() -> None:
        say(f"timing {spec.features.kind}")
        network = untrained(spec.features, speeds.image_shape[0])
        found.append(with_features(found[-1], spec.features, network, compute))

    for step in plan.steps:
        if step.name not in opened.done:
            opened.attempt(step.name, partial(trainings, work_of(step, 0)))
    opened.attempt(plan.ground.features.name, features)
    return with_comparing(with_own_target(found[-1], spec), spec.samples, compute)
