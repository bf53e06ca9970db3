"""Does everything fit a target that is still to be trained? An untrained one stands in for it."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from ganguard.architectures.checkpoint import save_checkpoint
from ganguard.architectures.networks import build_networks, classes_of
from ganguard.audit.check.opening import Opened
from ganguard.audit.plan.ground_work import TrainTargetSettings
from ganguard.audit.plan.parts import Plan
from ganguard.audit.plan.step import Step
from ganguard.audit.steps.call import StepCall
from ganguard.audit.steps.kinds import KINDS
from ganguard.audit.steps.real import Real
from ganguard.audit.steps.target_files import TargetFile, trained_here, write_target
from ganguard.base.compute import Compute, limit_threads
from ganguard.base.images import shape_of
from ganguard.base.progress import silent
from ganguard.base.seeds import seeded_weights
from ganguard.training.classes import require_as_many


def rehearse(plan: Plan, opened: Opened, real: Real, compute: Compute) -> None:
    """Add what does not fit the target of a plan, once it is trained, to the problems of `opened`.

    Defences that move codes along a direction which is still to be fitted are left out. Nothing is kept.

    Args:
        plan: the plan, which trains its target.
        opened: what opened; the real images did.
        real: the images that the target is trained on.
        compute: device type and threads.
    """
    with TemporaryDirectory() as audit, limit_threads(compute.threads):
        stand_in = Path(audit) / "steps" / "target"
        before = len(opened.problems)
        opened.attempt("target", lambda: _write_untrained(plan, stand_in, real, compute))
        if len(opened.problems) > before:
            return
        for step in [plan.ground.fit, *(defended.target for defended in plan.ground.defended)]:
            there = {plan.ground.target.name: stand_in}
            there |= {name: done.directory for name, done in opened.done.items()}
            if all(read.step.name in there for read in step.inputs.by_role().values()):
                opened.attempt(step.name, partial(_try, step, there, Path(audit), compute))


def _write_untrained(plan: Plan, directory: Path, real: Real, compute: Compute) -> None:
    """Write what the step that trains the target would, with random weights."""
    training = cast(TrainTargetSettings, plan.ground.target.settings).training
    architecture = training.architecture
    require_as_many(training, len(real.classes))
    image_shape, names = shape_of(real.images), real.classes if classes_of(architecture) else None
    with seeded_weights(0):
        networks = build_networks(architecture, image_shape)
    save_checkpoint(directory / "checkpoint", networks, architecture, image_shape, {}, class_names=names)
    write_target(directory, TargetFile(description="untrained"), trained_here(directory).load(compute))


def _try(step: Step, place: Mapping[str, Path], audit: Path, compute: Compute) -> None:
    """Do the work of a step in a directory of its own below `audit`.

    place: directories of the steps that it reads, by name.
    """
    directory = audit / "work" / step.kind
    directory.mkdir(parents=True, exist_ok=True)
    inputs = step.inputs.located(lambda read: place[read.step.name])
    KINDS[step.kind].run(StepCall(step.settings, inputs, directory, audit, compute, silent))
