"""Run the steps of an audit that open things: they train nothing, and buy nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ganguard.audit.engine.cache import Done, find, step_key
from ganguard.audit.engine.run_step import Listener, run_step
from ganguard.audit.plan.parts import Plan
from ganguard.audit.plan.step import Step
from ganguard.base.compute import Compute, limit_threads
from ganguard.base.errors import GanguardError, InputError
from ganguard.base.settings import one_line

LONGEST = 400  # characters of a reason
OPENING = frozenset({"real", "ready", "open_target", "fit", "defend"})
"""Kinds of steps that open things. A direction is fitted to thousands of codes: defences that need one are
left to the audit, as everything is that needs a target which is still to be trained."""


@dataclass
class Opened:
    """What opened, and what did not.

    Attributes:
        done: the finished steps of the plan, by name; also those of an earlier audit.
        problems: what is wrong: where, and the reason with what to do.
        remarks: what is worth knowing.
        bad_input: whether a problem is the spec's, or that of the files it names, rather than the machine's.
    """

    done: dict[str, Done]
    problems: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    remarks: list[str] = field(default_factory=list[str])
    bad_input: bool = False

    def refuse(self, where: str, reason: str) -> None:
        """Note something that is wrong with what the spec names."""
        self.problems.append((where, reason))
        self.bad_input = True

    def attempt(self, what: str, work: Callable[[], None]) -> None:
        """Do some work. What it raises becomes a problem."""
        try:
            work()
        except GanguardError as problem:
            self.problems.append((what, one_line(problem, LONGEST)))
            self.bad_input |= isinstance(problem, InputError)


def open_all(plan: Plan, directory: Path, compute: Compute, listener: Listener) -> Opened:
    """Run the opening steps of a plan that are not finished, and return what opened.

    Each is tried whose inputs opened, so that one run finds as many problems as there are. The other steps of
    the plan are looked up, in case an audit has done them.

    Args:
        plan: the plan of the audit.
        directory: of the audit. What is done there, the audit does not repeat.
        compute: device type and threads.
        listener: is told what happens to each step.
    """
    opened = Opened({})
    with limit_threads(compute.threads):
        for step in plan.steps:
            # Whatever else must succeed before it in an audit: here nothing is trained or bought.
            if all(read.step.name in opened.done for read in step.inputs.by_role().values()):
                work = partial(_take, step, opened, directory, compute)
                opened.attempt(step.name, partial(work, listener if step.kind in OPENING else None))
    return opened


def _take(step: Step, opened: Opened, directory: Path, compute: Compute, listener: Listener | None) -> None:
    """Note a step if it is finished; run it if there is a listener to tell."""
    key = step_key(step, opened.done, compute)
    found = None if step.volatile else find(directory, step, key)
    if found is None and listener:
        found = run_step(step, opened.done, directory, compute, listener)
    if found:
        opened.done[step.name] = found
