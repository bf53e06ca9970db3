"""Runs a plan on this machine: each step by a process of a pool, as soon as what it needs is done; with one
process, here.

Small networks thread badly: two processes of one thread each train more than one process of two. A finished
step is never
done again. A step that fails fails alone: what reads it is left out, and all the rest goes on.
"""

from dataclasses import dataclass, field
from pathlib import Path

from ganguard.audit.engine.cache import Done, find, step_key
from ganguard.audit.engine.run_step import Event, Listener
from ganguard.audit.engine.workers.local import Job, Killed, Workers, workers
from ganguard.audit.plan.plan import Plan
from ganguard.audit.plan.step import Step
from ganguard.base.compute import Compute, cores
from ganguard.base.errors import StepError

TRIES = 2  # of a step whose process is killed: it goes on from its last saved state


@dataclass(frozen=True)
class Execution:
    """What became of a plan's steps, by name: those that are done, and why others failed. What neither names
    was left out, because a step that it needs had failed."""

    done: dict[str, Done]
    failed: dict[str, str]


def default_processes(compute: Compute) -> int:
    """As many processes as the cores that this one may use give threads for; one where a GPU computes."""
    if compute.torch_device().type != "cpu":
        return 1
    return max(1, cores() // compute.threads)


def execute(plan: Plan, audit: Path, compute: Compute, *, processes: int, listener: Listener) -> Execution:
    """Do every step of `plan` that is not done yet, in `audit`.

    Raises what a step raises, after stopping the others, but for StepError: such a step fails alone.
    """
    run = _Run(plan, audit, compute, listener)
    run.look_up()
    if run.waiting:
        with workers(processes, audit, compute, listener) as pool:
            run.go(pool)
    return Execution(run.done, run.failed)


@dataclass
class _Run:
    """The state of one execution: what is done, failed, waits and runs."""

    plan: Plan
    audit: Path
    compute: Compute
    listener: Listener
    done: dict[str, Done] = field(default_factory=dict[str, Done])
    failed: dict[str, str] = field(default_factory=dict[str, str])
    waiting: list[Step] = field(default_factory=list[Step])
    running: dict[str, str] = field(default_factory=dict[str, str])
    killed: dict[str, int] = field(default_factory=dict[str, int])

    def look_up(self) -> None:
        """Take finished steps out of the cache, as far as their inputs are known."""
        self.waiting = []
        for step in self.plan.steps:
            if step.name in self.done or step.name in self.failed or step.name in self.running:
                continue
            found = None
            if not step.volatile and self._inputs_done(step):
                found = find(self.audit, step, step_key(step, self.done, self.compute))
            if found:
                self.done[step.name] = found
                self.listener(Event("cached", step.name))
            else:
                self.waiting.append(step)

    def go(self, pool: Workers) -> None:
        """Begin what is ready, long steps first, until nothing is left that can be done."""
        while True:
            ready = [
                s for s in self.waiting if self._inputs_done(s) and all(name in self.done for name in s.after)
            ]
            ready.sort(key=lambda step: -step.cost)
            for step in ready:
                if not pool.free:
                    break
                key = step_key(step, self.done, self.compute)
                if key not in self.running.values():  # two steps that come to the same are done once
                    self.running[step.name] = key
                    pool.begin(Job(step, dict(self.done)))
            if not self.running:
                return
            for step, outcome in pool.collect():
                self._take(step, outcome)
            self.look_up()

    def _take(self, step: Step, outcome: Done | Exception) -> None:
        del self.running[step.name]
        if isinstance(outcome, Done):
            self.done[step.name] = outcome
        elif isinstance(outcome, StepError):
            self._fail(step, str(outcome))
        elif isinstance(outcome, Killed):
            self.killed[step.name] = self.killed.get(step.name, 0) + 1
            if self.killed[step.name] == TRIES:
                self._fail(
                    step, f"its process was killed {TRIES} times ({outcome}); was there too little memory?"
                )
        else:
            raise outcome

    def _fail(self, step: Step, reason: str) -> None:
        self.failed[step.name] = reason
        self.listener(Event("fails", step.name, note=reason))

    def _inputs_done(self, step: Step) -> bool:
        return all(i.step in self.done for i in step.inputs)
