"""An estimate of what an audit costs that opens nothing: neither images, nor target, nor files of weights."""

from collections.abc import Callable
from pathlib import Path

from ganguard.audit.check.estimate import Cost, estimate
from ganguard.audit.check.pace import recipe_key
from ganguard.audit.check.speeds import (
    Speeds,
    read_speeds,
    untrained,
    with_comparing,
    with_features,
    with_trainings,
)
from ganguard.audit.check.work import work_of
from ganguard.audit.engine.cache import Done
from ganguard.audit.engine.execute import default_processes
from ganguard.audit.outcome.accounts import account_records
from ganguard.audit.plan.parts import Plan
from ganguard.audit.spec.spec import Spec
from ganguard.audit.spec.target import TrainTarget
from ganguard.audit.steps.real import count_real
from ganguard.audit.steps.target_files import read_target
from ganguard.metrics.features.network import FeatureSettings


def estimate_unopened(
    spec: Spec,
    plan: Plan,
    directory: Path,
    done: dict[str, Done],
    processes: int | None,
    say: Callable[[str], None],
) -> Cost:
    """Return what an audit will still cost.

    The speeds are those that a check noted in the audit's directory. What it did not note is timed now, on
    images of noise, as far as nothing need be opened for it.

    Args:
        spec: the spec.
        plan: its plan.
        directory: of the audit.
        done: its finished steps, by name.
        processes: how many steps run at once; None takes one for each core and thread.
        say: is told what is being timed.
    """
    speeds = _speeds(spec, plan, directory, done, say)
    bought = account_records(plan, directory, done, spec, delivered=True)
    finished = {step.name for step in plan.steps if step.name in done and not step.volatile}
    at_once = processes or default_processes(spec.compute)
    return estimate(spec, plan, finished, speeds, bought, at_once)


def _speeds(
    spec: Spec, plan: Plan, directory: Path, done: dict[str, Done], say: Callable[[str], None]
) -> Speeds | None:
    """Return the speeds of this machine; None if the size of the images is not known."""
    compute = spec.compute
    noted = read_speeds(directory, compute)
    shape = noted.image_shape if noted else _shape(spec, plan, done)
    if shape is None:
        return None
    found = noted or Speeds(device=compute.torch_device().type, threads=compute.threads, image_shape=shape)
    if plan.ground.real.name in done:
        counts = count_real(done[plan.ground.real.name].directory)
        found = found.model_copy(update={"real_images": counts.train + counts.reference})
    works = [work_of(step, 0) for step in plan.steps if step.name not in done]
    found = with_trainings(found, works, compute, say)
    if found.embedding is None and _needs_no_file(spec.features):
        say(f"timing {spec.features.kind}")
        network = untrained(spec.features, shape[0])
        found = with_features(found, spec.features, network, compute)
    found = with_own_target(found, spec)
    return with_comparing(found, spec.samples, compute)


def with_own_target(speeds: Speeds, spec: Spec) -> Speeds:
    """Return speeds with that of the target, if the audit trains it: its recipe tells how fast it is."""
    if speeds.drawing is not None or not isinstance(spec.target, TrainTarget):
        return speeds
    pace = speeds.trainings.get(recipe_key(spec.target.training()))
    return speeds.model_copy(update={"drawing": pace.image}) if pace else speeds


def _shape(spec: Spec, plan: Plan, done: dict[str, Done]) -> tuple[int, int, int] | None:
    """Return the shape (C, H, W) of the images, as far as it is known without reading one."""
    target = plan.ground.target.name
    if target in done and (shape := read_target(done[target].directory).image_shape):
        return shape
    return spec.real.image_shape()


def _needs_no_file(features: FeatureSettings) -> bool:
    """Return whether the time of a feature network can be taken without reading its weights."""
    return not features.pretrained and features.fingerprint() is None and not features.libraries
