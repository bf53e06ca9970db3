"""Run steps on this machine: in this process, or in several beside it, each at the other end of a pipe.

If a process of the pool dies, the end of its pipe tells which step it was running, and another process takes
its place.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Protocol

from ganguard.audit.engine.cache import Done
from ganguard.audit.engine.run_step import Event, Listener, run_step
from ganguard.audit.plan.step import Step
from ganguard.base.compute import Compute, limit_threads
from ganguard.base.errors import GanguardError

PROGRESS_EVERY = 0.1  # seconds between the "at" events of one process
PATIENCE = 5.0  # seconds that a process gets to end by itself


@dataclass(frozen=True)
class Job:
    """A step to run, and the finished steps that it may read, by name."""

    step: Step
    done: dict[str, Done]


class Killed(Exception):
    """The process that ran a step has ended before the step did."""


Outcome = tuple[Step, Done | Exception]


class Workers(Protocol):
    """A place that runs jobs and returns their outcomes."""

    @property
    def free(self) -> int:
        """How many more jobs can begin now."""
        ...

    def begin(self, job: Job) -> None:
        """Begin a job. There must be a free worker."""
        ...

    def collect(self) -> list[Outcome]:
        """Wait until at least one job has ended, and return the outcomes. A job must have begun."""
        ...


class Here:
    """Runs each job in this process, when it is collected."""

    def __init__(self, audit: Path, compute: Compute, listener: Listener) -> None:
        self._audit, self._compute, self._listener = audit, compute, listener
        self._jobs: deque[Job] = deque()

    @property
    def free(self) -> int:
        return 1 - len(self._jobs)

    def begin(self, job: Job) -> None:
        self._jobs.append(job)

    def collect(self) -> list[Outcome]:
        job = self._jobs.popleft()
        try:
            with limit_threads(self._compute.threads):
                return [(job.step, run_step(job.step, job.done, self._audit, self._compute, self._listener))]
        except Exception as problem:  # noqa: BLE001 - the caller raises it
            return [(job.step, problem)]


class ProcessPool:
    """Runs jobs in processes, which begin when there is work for them and stay until `stop`."""

    def __init__(self, processes: int, audit: Path, compute: Compute, listener: Listener) -> None:
        self._audit, self._compute, self._listener = audit, compute, listener
        self._processes = processes
        self._idle: list[_Member] = []
        self._busy: dict[Connection, tuple[_Member, Step]] = {}

    @property
    def free(self) -> int:
        return self._processes - len(self._busy)

    def begin(self, job: Job) -> None:
        member = self._idle.pop() if self._idle else self._another()
        self._busy[member.pipe] = (member, job.step)
        with contextlib.suppress(OSError):  # it was killed while idle: collect() finds the pipe closed
            member.pipe.send(job)

    def collect(self) -> list[Outcome]:
        outcomes: list[Outcome] = []
        while not outcomes:
            for pipe in wait(list(self._busy)):
                outcomes += self._receive(self._busy[pipe][0])  # pyright: ignore[reportArgumentType, reportCallIssue]
        return outcomes

    def _receive(self, member: "_Member") -> list[Outcome]:
        """Return the outcome that a process has sent; none if it has sent an event, for the listener."""
        try:
            said = member.pipe.recv()
        except (EOFError, OSError):
            _, step = self._busy.pop(member.pipe)
            member.stop()
            return [(step, Killed(f"exit code {member.process.exitcode}"))]
        if isinstance(said, Event):
            self._listener(said)
            return []
        _, step = self._busy.pop(member.pipe)
        self._idle.append(member)
        return [(step, said)]

    def _another(self) -> "_Member":
        """Return a process that has just been started."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._audit, self._compute), daemon=True)
        # If start() had to begin the tracker, that would take the mask below away.
        resource_tracker.ensure_running()
        with _interrupts_blocked():
            process.start()
        theirs.close()
        return _Member(process, ours)

    def stop(self) -> None:
        """End every process. Those that run a step save nothing more, and remove what they were writing."""
        members = [*self._idle, *(member for member, _ in self._busy.values())]
        for member in members:
            member.process.terminate()
        for member in members:
            member.stop()


@dataclass(frozen=True)
class _Member:
    """One process, and our end of its pipe."""

    process: SpawnProcess
    pipe: Connection

    def stop(self) -> None:
        self.process.join(PATIENCE)
        self.process.kill()
        self.process.join()
        self.pipe.close()


@contextlib.contextmanager
def workers(processes: int, audit: Path, compute: Compute, listener: Listener) -> Generator[Workers]:
    """Yield workers to the body. When it is left, their processes have ended.

    Args:
        processes: how many jobs run at once. If it is 1, they run in this process.
        audit: directory of the audit.
        compute: device, and threads of each process.
        listener: is told what happens to each step.
    """
    if processes == 1:
        yield Here(audit, compute, listener)
        return
    pool = ProcessPool(processes, audit, compute, listener)
    try:
        yield pool
    finally:
        pool.stop()


@contextlib.contextmanager
def _interrupts_blocked() -> Generator[None]:
    """Let processes that begin in the body ignore Ctrl-C.

    A terminal sends it to all processes; their parent is the one that stops them.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _serve(pipe: Connection, audit: Path, compute: Compute) -> None:
    """Run the jobs that come through a pipe, in a process of the pool.

    Sends events, and for each job its Done or an exception.
    """
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tell = _Throttled(pipe)
    with limit_threads(compute.threads), contextlib.suppress(EOFError, OSError):  # the parent has closed it
        while True:
            job: Job = pipe.recv()
            try:
                pipe.send(run_step(job.step, job.done, audit, compute, tell))
            except Exception as problem:  # noqa: BLE001 - the caller of `collect` raises it
                pipe.send(_portable(problem))


def _portable(problem: Exception) -> Exception:
    """Return an exception that can be pickled for a pipe, and says where it was raised."""
    told = problem
    if not isinstance(problem, GanguardError | OSError):  # of another package: it may not pickle
        told = RuntimeError(f"{type(problem).__name__}: {problem}")
        told.add_note(traceback.format_exc())
    # Free now what its frames hold. Once the exception is sent, this process may be ended, and a SystemExit
    # that is raised within a finalizer is printed and ignored.
    problem.__traceback__ = problem.__context__ = problem.__cause__ = None
    return told


def _end(number: int, _frame: object) -> None:
    """End this process on a signal, and remove half-written files on the way out."""
    signal.signal(number, signal.SIG_IGN)  # a second signal would interrupt the removal
    raise SystemExit(1)


def _end_with_parent() -> None:
    """End this process if its parent was killed, so that it does not go on beside the next run."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _Throttled:
    """A listener that sends all events through a pipe, but of the "at" events only some.

    It sends one for every PROGRESS_EVERY seconds, and the last of each step.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._sent = 0.0

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        if event.what != "at" or event.done >= event.total or now - self._sent >= PROGRESS_EVERY:
            self._sent = now
            self._pipe.send(event)
