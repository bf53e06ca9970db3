"""Run one step in its own directory, report its progress, and publish the result."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ganguard.audit.engine.cache import Done, finish, require_whole, step_directory, step_key
from ganguard.audit.plan.step import Step
from ganguard.audit.steps.call import StepCall
from ganguard.audit.steps.kinds import KINDS
from ganguard.base.cache import remove_temporaries
from ganguard.base.compute import Compute


@dataclass(frozen=True)
class Event:
    """What happens to a step.

    Attributes:
        what: it is found "cached", or it "begins", is "at" `done` of `total`, "says" something, and "ends" or
            "fails".
        step: the step's name.
        done, total: how far it has come.
        note: what it is doing, what it says, or why it failed.
    """

    what: Literal["cached", "begins", "at", "says", "ends", "fails"]
    step: str
    done: int = 0
    total: int = 0
    note: str = ""


Listener = Callable[[Event], None]


def run_step(step: Step, done: dict[str, Done], audit: Path, compute: Compute, listener: Listener) -> Done:
    """Run one step in this process, and return what is recorded of it. Raises what the step raises.

    Args:
        step: the step to run.
        done: the finished steps by name; at least those that it reads.
        audit: directory of the audit.
        compute: device type and threads.
        listener: is told how far the step has come.
    """
    key = step_key(step, done, compute)
    work = step_directory(audit, step, key, "work")
    work.mkdir(parents=True, exist_ok=True)
    remove_temporaries(work)  # of a run that was killed while it wrote
    for read in step.inputs.by_role().values():
        require_whole(done[read.step.name].directory)
    inputs = step.inputs.located(lambda read: done[read.step.name].directory)
    listener(Event("begins", step.name))
    begun = time.monotonic()

    def progress(done: int, total: int, note: str = "") -> None:
        listener(Event("at", step.name, done, total, note))

    def say(sentence: str) -> None:
        listener(Event("says", step.name, note=sentence))

    call = StepCall(step.settings, inputs, work, audit, compute, progress, say)
    digests = KINDS[step.kind].run(call)
    finished = finish(audit, step, key, digests, time.monotonic() - begun)
    listener(Event("ends", step.name))
    return finished
