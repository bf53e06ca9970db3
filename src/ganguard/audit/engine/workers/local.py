"""Who does the steps: this process, or several beside it, each at the other end of a pipe.

A process of the pool dies alone: the end of its pipe tells which step it was at, and another takes its place.
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
    """A step, and the finished steps that it may read."""

    step: Step
    done: dict[str, Done]


class Killed(Exception):
    """The process that was at a step is no more."""


Outcome = tuple[Step, Done | Exception]


class Workers(Protocol):
    """Takes jobs, and gives back what became of them."""

    @property
    def free(self) -> int:
        """How many more jobs can begin now."""
        ...

    def begin(self, job: Job) -> None:
        """Begin a job. There must be a free worker."""
        ...

    def collect(self) -> list[Outcome]:
        """Wait until one or more jobs have ended; at least one must have begun."""
        ...


class Here:
    """Does each job in this process, when it is collected."""

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
        except Exception as problem:  # noqa: BLE001 - whoever collects raises it
            return [(job.step, problem)]


class Pool:
    """Processes that begin when there is work for them, and stay."""

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
                outcomes += self._hear(self._busy[pipe][0])  # pyright: ignore[reportArgumentType, reportCallIssue]
        return outcomes

    def _hear(self, member: "_Member") -> list[Outcome]:
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
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._audit, self._compute), daemon=True)
        resource_tracker.ensure_running()  # starting it within start() would take the mask below away
        with _deaf_to_interrupts():
            process.start()
        theirs.close()
        return _Member(process, ours)

    def stop(self) -> None:
        """End every process: those at work save nothing more, and remove what they were writing."""
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
    """Workers for the body; on leaving it their processes have ended."""
    if processes == 1:
        yield Here(audit, compute, listener)
        return
    pool = Pool(processes, audit, compute, listener)
    try:
        yield pool
    finally:
        pool.stop()


@contextlib.contextmanager
def _deaf_to_interrupts() -> Generator[None]:
    """A process that begins in the body never hears the Ctrl-C that goes to all of a terminal: its parent
    stops it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _serve(pipe: Connection, audit: Path, compute: Compute) -> None:
    """The life of a process of the pool: jobs in; events, and a Done or an exception for each job, out."""
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tell = _Throttled(pipe)
    with limit_threads(compute.threads), contextlib.suppress(EOFError, OSError):  # nobody listens any more
        while True:
            job: Job = pipe.recv()
            try:
                pipe.send(run_step(job.step, job.done, audit, compute, tell))
            except Exception as problem:  # noqa: BLE001 - whoever collects raises it
                pipe.send(_portable(problem))


def _portable(problem: Exception) -> Exception:
    """An exception that passes through a pipe, and says where it was raised. What its frames hold is let go
    of at once: when it has been told, this process may be ended, and an end that comes amid finalizers is
    printed, and is none."""
    told = problem
    if not isinstance(problem, GanguardError | OSError):  # of another package: it may not pickle
        told = RuntimeError(f"{type(problem).__name__}: {problem}")
        told.add_note(traceback.format_exc())
    problem.__traceback__ = problem.__context__ = problem.__cause__ = None
    return told


def _end(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # one is enough, and a second would come amid the cleaning up
    raise SystemExit(1)  # so that files half written are removed on the way out


def _end_with_parent() -> None:
    """A process whose parent was killed must not go on beside the next run."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _Throttled:
    """Sends every event on but "at", of which it sends ten a second and each step's last."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._sent = 0.0

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        if event.what != "at" or event.done >= event.total or now - self._sent >= PROGRESS_EVERY:
            self._sent = now
            self._pipe.send(event)
