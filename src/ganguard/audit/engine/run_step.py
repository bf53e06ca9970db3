"""Doing one step: in its own directory, telling how far it is, and putting the result into its place."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ganguard.audit.engine.cache import Done, finish, require_whole, step_directory, step_key
from ganguard.audit.plan.step import Step
from ganguard.base.cache import remove_temporaries
from ganguard.base.compute import Compute


@dataclass(frozen=True)
class Event:
    """What happens to a step: it is found "cached", or it "begins", is "at" done of total, and "ends" or
    "fails"."""

    what: Literal["cached", "begins", "at", "ends", "fails"]
    step: str
    done: int = 0
    total: int = 0
    note: str = ""


Listener = Callable[[Event], None]


def perform(step: Step, done: dict[str, Done], audit: Path, compute: Compute, listener: Listener) -> Done:
    """Do one step here and now. done: at least the steps that it reads. Raises what the step raises."""
    from ganguard.audit.steps.call import StepCall
    from ganguard.audit.steps.kinds import RUNNERS

    key = step_key(step, done, compute)
    work = step_directory(audit, step, key, "work")
    work.mkdir(parents=True, exist_ok=True)
    remove_temporaries(work)  # of a run that was killed while it wrote
    inputs = {i.role: done[i.step].directory for i in step.inputs}
    for directory in inputs.values():
        require_whole(directory)
    listener(Event("begins", step.name))
    begun = time.monotonic()

    def progress(done: int, total: int, note: str = "") -> None:
        listener(Event("at", step.name, done, total, note))

    digests = RUNNERS[step.kind](
        StepCall(step.settings, inputs, work, audit, compute, progress, step.checkpoint_every)
    )
    finished = finish(audit, step, key, digests, time.monotonic() - begun)
    listener(Event("ends", step.name))
    return finished
