"""Where a training goes on: at the step of its saved state, with networks as large as they were there."""

from pathlib import Path
from typing import Any

from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError
from ganguard.training.assembling import Training
from ganguard.training.course import Course, course_of
from ganguard.training.processes import Devices
from ganguard.training.settings import TrainingSettings
from ganguard.training.state import saved_training


def goes_on(
    training: Training,
    settings: TrainingSettings,
    state: Path,
    identity: dict[str, Any],
    compute: Compute,
    devices: Devices,
) -> Course:
    """Let networks that grow go on where the saved state left them, and return the training's course.

    Args:
        training: the training, set up and not begun.
        settings: how it is trained.
        state: the file of its saved state, which need not be there.
        identity: names the training.
        compute: device type and threads.
        devices: the devices that share its batches.

    Raises CheckpointError if the state belongs to another training, or has come further than this one goes.
    """
    saved = saved_training(state, identity)
    if saved and saved.step > settings.steps:
        raise CheckpointError(
            f"{state}: has come to step {saved.step:,}, and steps is {settings.steps:,}. Raise steps, or "
            "choose another directory."
        )
    parts = saved.parts if saved else ()
    course = course_of(parts, settings, compute, devices, grows=training.growth.grows)
    laid_out = [(part.until, part.how.get("steps")) for part in course.before]
    training.growth.goes_on((until, steps) for until, steps in laid_out if isinstance(steps, int))
    return course
