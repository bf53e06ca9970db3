"""Run a plan: each step by a worker, as soon as what it needs is done.

Small networks thread badly: two processes of one thread each train more than one process of two threads. A
finished step is never run again. If a step fails, the steps that need it are left out, and the others go on.
"""

from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path

from ganguard.audit.engine.cache import Done, find, step_key
from ganguard.audit.engine.run_step import Event, Listener
from ganguard.audit.engine.workers.local import Job, Killed, Workers, workers
from ganguard.audit.plan.parts import Plan
from ganguard.audit.plan.step import Step
from ganguard.base.compute import Compute, cores
from ganguard.base.errors import StepError

TRIES = 2  # runs of a step whose process is killed; the second goes on from the last saved state


@dataclass(frozen=True)
class Execution:
    """The outcome of a plan's steps, by name.

    Attributes:
        done: the finished steps.
        failed: the reasons why steps failed. A step in neither was left out, because a step that it needs
            failed.
    """

    done: dict[str, Done]
    failed: dict[str, str]


def default_processes(compute: Compute) -> int:
    """Return how many processes this machine's cores have threads for; 1 if a GPU computes."""
    if compute.torch_device().type != "cpu":
        return 1
    return max(1, cores() // compute.threads)


def execute(plan: Plan, audit: Path, compute: Compute, *, processes: int, listener: Listener) -> Execution:
    """Run every step of a plan that is not finished yet.

    A step that raises StepError fails alone. Whatever else a step raises is raised, after the others were
    stopped.

    Args:
        plan: the steps.
        audit: directory of the audit.
        compute: device, and threads of each process.
        processes: how many steps run at once.
        listener: is told what happens to each step.
    """
    run = _Run(plan, audit, compute, listener)
    run.take_finished()
    if run.waiting:
        with workers(processes, audit, compute, listener) as pool:
            run.go(pool)
    return Execution(run.done, run.failed)


@dataclass
class _Run:
    """The state of one execution. A step's name, which is unique in its plan, stands for the step.

    Attributes:
        done: the finished steps.
        failed: the reasons why steps failed.
        waiting: steps that are to run, and whose inputs are done.
        running: keys of the steps that run.
        twins: steps with the same key as one that runs, by that key: its result is theirs.
        killed: how often the process of a step was killed.
    """

    plan: Plan
    audit: Path
    compute: Compute
    listener: Listener
    done: dict[str, Done] = field(default_factory=dict[str, Done])
    failed: dict[str, str] = field(default_factory=dict[str, str])
    waiting: list[Step] = field(default_factory=list[Step])
    running: dict[str, str] = field(default_factory=dict[str, str])
    twins: dict[str, list[Step]] = field(default_factory=dict[str, list[Step]])
    killed: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        self._steps = {step.name: step for step in self.plan.steps}
        reads = {
            step.name: {read.step.name for read in step.inputs.by_role().values()} for step in self.plan.steps
        }
        self._order = TopologicalSorter(reads)
        self._order.prepare()

    def take_finished(self) -> None:
        """Look in the cache for the steps whose inputs are done. Those that are not there wait to run."""
        while names := self._order.get_ready():
            for step in map(self._steps.__getitem__, names):
                found = None
                if not step.volatile:
                    found = find(self.audit, step, step_key(step, self.done, self.compute))
                if found:
                    self._finish(step, found)
                    self.listener(Event("cached", step.name))
                else:
                    self.waiting.append(step)

    def go(self, pool: Workers) -> None:
        """Run the steps that are ready, long ones first, until no step is left that can run."""
        while True:
            self._begin_ready(pool)
            if not self.running:
                return
            for step, outcome in pool.collect():
                self._take(step, outcome)
            self.take_finished()

    def _begin_ready(self, pool: Workers) -> None:
        ready = [step for step in self.waiting if all(before.name in self.done for before in step.after)]
        for step in sorted(ready, key=lambda step: -step.cost):
            key = step_key(step, self.done, self.compute)
            if key in self.running.values():
                self.twins.setdefault(key, []).append(step)
            elif pool.free:
                self.running[step.name] = key
                pool.begin(Job(step, dict(self.done)))
            else:
                continue
            self.waiting.remove(step)

    def _take(self, step: Step, outcome: Done | Exception) -> None:
        """Note the outcome of a step that ran. Raises what it raised, unless that lets it fail alone."""
        key = self.running.pop(step.name)
        twins = self.twins.pop(key, [])
        if isinstance(outcome, Killed) and not step.volatile:
            # Its process may have been killed when the step was whole.
            outcome = find(self.audit, step, key) or outcome
        if isinstance(outcome, Done):
            self._finish(step, outcome)
            for twin in twins:
                self._finish(twin, outcome)
                self.listener(Event("cached", twin.name))
            return
        self.waiting += twins
        if isinstance(outcome, StepError):
            self._fail(step, str(outcome))
        elif isinstance(outcome, Killed):
            self.killed[step.name] = self.killed.get(step.name, 0) + 1
            if self.killed[step.name] == TRIES:
                why = f"its process was killed {TRIES} times ({outcome}); was there too little memory?"
                self._fail(step, why)
            else:
                self.waiting.append(step)
        else:
            raise outcome

    def _finish(self, step: Step, done: Done) -> None:
        self.done[step.name] = done
        self._order.done(step.name)

    def _fail(self, step: Step, reason: str) -> None:
        self.failed[step.name] = reason
        self.listener(Event("fails", step.name, note=reason))
