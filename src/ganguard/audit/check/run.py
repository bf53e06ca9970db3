"""Check an audit before it runs: open everything, look at a few images, and tell what it will cost."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor

from ganguard.audit.check import looks
from ganguard.audit.check.estimate import Estimate, estimate
from ganguard.audit.check.opening import Opened, open_all
from ganguard.audit.check.rehearsal import rehearse
from ganguard.audit.check.speeds import (
    Speeds,
    read_speeds,
    untrained,
    with_comparing,
    with_features,
    with_trainings,
    write_speeds,
)
from ganguard.audit.check.unopened import with_own_target
from ganguard.audit.check.work import Work, work_of
from ganguard.audit.engine.execute import default_processes
from ganguard.audit.engine.run_step import Listener
from ganguard.audit.outcome.accounts import account_records
from ganguard.audit.outcome.directory import require_ours, take
from ganguard.audit.plan.ground_work import TrainTargetSettings
from ganguard.audit.plan.parts import Plan
from ganguard.audit.plan.plan import make_plan
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.call import StepCall
from ganguard.audit.steps.purchase import buy_for_auditor
from ganguard.audit.steps.real import Real, load_real
from ganguard.audit.steps.target_files import open_target, read_target
from ganguard.base.cache import remove_temporaries
from ganguard.base.errors import MetricError
from ganguard.base.images import shape_of
from ganguard.base.locks import alone
from ganguard.base.progress import silent
from ganguard.base.seeds import derived_seed
from ganguard.comparison.embedding import Embedding, load_embedding
from ganguard.metrics.features.network import FeatureNetwork, FeatureSettings, parse_features


@dataclass
class Look:
    """A few images of the target beside real ones.

    Attributes:
        images: of the target, (n, C, H, W) uint8.
        real: real images, (m, C, H, W) uint8.
        bought: how many of `images` were bought: they are the first that the audit would buy.
        seconds: that one image took.
        pixels, real_pixels: ranges of both.
        impure: how images depend on how they are asked for; "" if they do not; None if that was not asked,
            because each question costs.
        nearness: how far they are from real ones; None if that could not be measured.
    """

    images: Tensor
    real: Tensor
    bought: int
    seconds: float
    pixels: looks.Pixels
    real_pixels: looks.Pixels
    impure: str | None
    nearness: looks.Nearness | None = None


@dataclass
class Checked:
    """What a check found.

    Attributes:
        opened: what opened, what did not, and remarks.
        real: the real images; None if they did not open.
        look: a few images of the target; None if it did not open, or is still to be trained.
        picture: the PNG of them.
        memory: the most bytes that this process has held, in memory and on a GPU.
        estimate: what the audit will cost; None if nothing is known of its images.
        to_train: whether the audit trains the target itself, and has not yet.
    """

    opened: Opened
    real: Real | None = None
    look: Look | None = None
    picture: Path | None = None
    memory: tuple[int, int] = (0, 0)
    estimate: Estimate | None = None
    to_train: bool = False


def check(
    name: str,
    spec: Spec,
    directory: Path,
    *,
    images: int = looks.SHOWN,
    processes: int | None = None,
    listener: Listener,
    say: Callable[[str], None],
    source: str | None = None,
) -> Checked:
    """Open everything that an audit needs, and return what was found.

    Nothing is trained. Images are bought only of a target on another machine that has no reference: the first
    ones that its audit would buy. What is opened is kept in `directory`, so that the audit goes on from it,
    and the speeds that were measured, so that a dry run knows them.

    Args:
        name: the audit's name.
        spec: its spec.
        directory: where the audit works.
        images: how many images of the target are looked at.
        processes: how many steps the audit will run at once; None takes one for each core and thread.
        listener: is told what happens to each step.
        say: is told what else is being done.
        source: where the spec came from, as `spec.reading.source_of` returns it.

    Raises:
        InputError: the spec names something that does not exist, or `directory` belongs to another audit.
    """
    plan = make_plan(spec)
    directory.mkdir(parents=True, exist_ok=True)
    require_ours(directory, name, source)
    with alone(directory):
        take(directory, name, source)
        remove_temporaries(directory)
        opened = open_all(plan, directory, spec.compute, listener)
        trains = isinstance(plan.ground.target.settings, TrainTargetSettings)
        found = Checked(opened, to_train=trains and plan.ground.target.name not in opened.done)
        if plan.ground.real.name in opened.done:
            found.real = load_real(opened.done[plan.ground.real.name].directory)
            _examine(found, found.real, spec, plan, directory, images, say)
        found.memory = looks.peak_memory(spec.compute)
        speeds = _measured(found, spec, plan, directory, say)
        if speeds:
            write_speeds(directory, speeds)
        bought = account_records(plan, directory, opened.done, spec.codes)
        at_once = processes or default_processes(spec.compute)
        finished = {step.name for step in plan.steps if step.name in opened.done and not step.volatile}
        found.estimate = estimate(spec, plan, finished, speeds, bought, at_once)
    return found


def _examine(
    found: Checked,
    real: Real,
    spec: Spec,
    plan: Plan,
    directory: Path,
    images: int,
    say: Callable[[str], None],
) -> None:
    """Look at images of the target beside real ones, and write the picture of both."""
    opened = found.opened
    if found.to_train:
        trained_on = opened.done.get(plan.ground.trained_on.name)
        shape = shape_of(load_real(trained_on.directory).images if trained_on else real.images)
        rehearse(plan, opened, shape, spec.compute)
    elif plan.ground.measured_target.name in opened.done:
        opened.attempt("target", lambda: _look(found, real, spec, plan, directory, images, say))
    shown = looks.some(real.images, real.train, looks.SHOWN)
    found.picture = looks.save_picture(found.look.images if found.look else None, shown, directory)


def _look(
    found: Checked,
    real: Real,
    spec: Spec,
    plan: Plan,
    directory: Path,
    count: int,
    say: Callable[[str], None],
) -> None:
    """Draw images of the target that the auditor draws from, and examine them."""
    step = plan.ground.measured_target
    place = found.opened.done[step.name].directory
    target, seed = open_target(place, spec.compute), derived_seed(0, "auditor")
    say(f"drawing {count:,} images")
    if spec.remote() and step is plan.ground.target:
        began = looks.now()
        call = StepCall(None, None, place, directory, spec.compute, silent)
        count = min(count, spec.samples)  # all that the audit will buy in this draw
        images = buy_for_auditor(call, target, 0, count)
        bought, seconds, impure = count, (looks.now() - began) / count, None
    else:
        images, seconds = looks.drawn(target, count, seed)
        bought, impure = 0, looks.impure(target, images, seed)
    if impure:
        found.opened.problems.append((step.name, impure))
    shown = looks.some(real.images, real.train, looks.SHOWN)
    own, theirs = looks.Pixels.of(images), looks.Pixels.of(shown)
    found.look = Look(images, shown, bought, seconds, own, theirs, impure)
    if remark := looks.narrow(own, theirs):
        found.opened.remarks.append(remark)
    if shape_of(images) == shape_of(real.images):
        found.opened.attempt("features", lambda: _compare(found, real, spec, plan))


def _compare(found: Checked, real: Real, spec: Spec, plan: Plan) -> None:
    """Measure how far the target's images are from real ones, beside noise."""
    if found.look is None:
        return
    step = plan.ground.features.name
    if step in found.opened.done:
        of: Embedding | tuple[str, FeatureNetwork] = load_embedding(
            found.opened.done[step].directory, spec.compute
        )
    else:
        settings = _stand_in(spec.features)
        of = settings.kind, untrained(settings, real.images.shape[1])
    rows = looks.some(real.images, real.train), looks.some(real.images, real.reference)
    try:
        found.look.nearness = looks.nearness(found.look.images, *rows, of, spec.compute)
    except MetricError as problem:
        found.opened.remarks.append(f"how near the target is to real images was not measured: {problem}")
        return
    if found.look.nearness.broken():
        found.opened.remarks.append(
            "the target is no nearer to real images than noise is: the audit would stop there. Check its "
            "weights, the range and order of its pixels, and that `real` holds images of its kind."
        )


def _stand_in(features: FeatureSettings) -> FeatureSettings:
    """Return the settings of the network that a check looks through: one that need not be trained first."""
    return parse_features("random_network") if features.learns_labels else features


def _measured(
    found: Checked, spec: Spec, plan: Plan, directory: Path, say: Callable[[str], None]
) -> Speeds | None:
    """Return the speeds of this machine, on images of the size that was opened; None if none was."""
    compute, opened = spec.compute, found.opened
    target = opened.done.get(plan.ground.target.name)
    shape = read_target(target.directory).image_shape if target else None
    if shape is None and found.real:
        shape = shape_of(found.real.images)
    if shape is None:
        return None
    noted = read_speeds(directory, compute)
    speeds = Speeds(
        device=compute.torch_device().type,
        threads=compute.threads,
        image_shape=shape,
        real_images=len(found.real.images) if found.real else None,
        drawing=found.look.seconds if found.look else None,
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
