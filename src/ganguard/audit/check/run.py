"""Check an audit before it runs: open everything, look at a few images, and tell what it will cost."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ganguard.audit.check.by_class import few_of_what_is_learnt
from ganguard.audit.check.estimate import Cost, estimate
from ganguard.audit.check.looking import Look, Looking, buys
from ganguard.audit.check.looks import SHOWN, peak_memory, save_picture, some
from ganguard.audit.check.opening import Opened, open_all
from ganguard.audit.check.rehearsal import rehearse
from ganguard.audit.check.speeds import Speeds, write_speeds
from ganguard.audit.check.timing import time_all
from ganguard.audit.engine.execute import default_processes
from ganguard.audit.engine.run_step import Listener
from ganguard.audit.outcome.accounts import account_records
from ganguard.audit.outcome.directory import require_ours, take
from ganguard.audit.plan.ground_work import TrainTargetSettings
from ganguard.audit.plan.parts import Plan
from ganguard.audit.plan.plan import make_plan
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.real import Real, load_real
from ganguard.base.cache import remove_temporaries
from ganguard.base.locks import alone


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
    estimate: Cost | None = None
    to_train: bool = False


def check(
    name: str,
    spec: Spec,
    directory: Path,
    *,
    images: int = SHOWN,
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
        speeds = _examine_and_time(found, spec, plan, directory, images, say)
        found.memory = peak_memory(spec.compute)
        if speeds:
            write_speeds(directory, speeds)
        bought = account_records(plan, directory, opened.done, spec, delivered=True)
        at_once = processes or default_processes(spec.compute)
        finished = {step.name for step in plan.steps if step.name in opened.done and not step.volatile}
        found.estimate = estimate(spec, plan, finished, speeds, bought, at_once)
    return found


def _examine_and_time(
    found: Checked, spec: Spec, plan: Plan, directory: Path, images: int, say: Callable[[str], None]
) -> Speeds | None:
    """Look at images and time the work, and return the speeds of this machine.

    Images that must be bought come last, and not at all if something is wrong: what is wrong may change which
    images are wanted.
    """

    def examine() -> None:
        if found.real:
            _examine(found, found.real, spec, plan, directory, images, say)

    def timed() -> Speeds | None:
        drawing = found.look.seconds if found.look else None
        return time_all(spec, plan, directory, found.opened, found.real, drawing, say)

    if not buys(spec, plan):
        examine()
        return timed()
    speeds = timed()
    if found.opened.problems:
        found.opened.remarks.append("no image was bought to look at, since something is wrong.")
    else:
        examine()
    drawing = found.look.seconds if found.look else None
    return speeds.model_copy(update={"drawing": drawing}) if speeds and drawing else speeds


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

    def look() -> None:
        found.look = Looking(spec, plan, directory, opened, real).look(images, say)

    if found.to_train:
        trained_on = opened.done.get(plan.ground.trained_on.name)
        learnt = load_real(trained_on.directory) if trained_on else real
        rehearse(plan, opened, learnt, spec.compute)
        opened.remarks += few_of_what_is_learnt(spec, plan, learnt)
    elif plan.ground.measured_target.name in opened.done:
        opened.attempt("target", look)
    shown = some(real.images, real.train, SHOWN)
    found.picture = save_picture(found.look.images if found.look else None, shown, directory)
