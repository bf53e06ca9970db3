"""Runs a plan on this machine: each step in a process of a pool, as soon as what it needs is done; with one process, here.

Small networks thread badly: two processes of one thread each train more than one process of two. A finished step is never
done again; a failure stops what runs and keeps what is done.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, Literal

from ganguard.audit.plan import Plan, Step
from ganguard.audit.step_cache import Done, find, finish, step_directory, step_key
from ganguard.base.compute import Compute, cores, use_threads
from ganguard.base.errors import StepError


@dataclass(frozen=True)
class Event:
    """What happens to a step: it is found "cached", or it "begins", is "at" done of total, and "ends"."""

    what: Literal["cached", "begins", "at", "ends"]
    step: str
    done: int = 0
    total: int = 0
    note: str = ""


PROGRESS_EVERY = 0.1  # seconds between the "at" events of one process
Listener = Callable[[Event], None]
Events = Queue  # of Event


def default_processes(compute: Compute) -> int:
    """As many processes as the cores that this one may use give threads for; one where a GPU computes."""
    if compute.torch_device().type != "cpu":
        return 1
    return max(1, cores() // compute.threads)


def execute(plan: Plan, audit: Path, compute: Compute, *, processes: int, listener: Listener) -> dict[str, Done]:
    """Do every step of `plan` that is not done yet, in `audit`, and return all of them by name.

    Raises what a step raises, after stopping the others; StepError where a process was killed.
    """
    run = _Run(plan, audit, compute, listener)
    run.look_up()
    if run.waiting:
        pool = _pool(processes, compute, listener) if processes > 1 else _here(compute, listener)
        with pool as executor:
            run.go(executor, processes)
    return run.done


@dataclass
class _Run:
    """The state of one execution: what is done, what waits, what runs."""

    plan: Plan
    audit: Path
    compute: Compute
    listener: Listener
    done: dict[str, Done] = field(default_factory=dict[str, Done])
    waiting: list[Step] = field(default_factory=list[Step])
    running: dict["Future[Done]", Step] = field(default_factory=dict["Future[Done]", Step])

    def look_up(self) -> None:
        """Take finished steps out of the cache, as far as their inputs are known."""
        taken = {step.name for step in self.running.values()}
        self.waiting = []
        for step in self.plan.steps:
            if step.name in self.done or step.name in taken:
                continue
            found = None
            if not step.volatile and self._inputs_done(step):
                found = find(self.audit, step, step_key(step, self.done, self.compute))
            if found:
                self.done[step.name] = found
                self.listener(Event("cached", step.name))
            else:
                self.waiting.append(step)

    def go(self, pool: Executor, processes: int) -> None:
        """Submit what is ready, long steps first, until all is done."""
        while self.waiting or self.running:
            ready = [s for s in self.waiting if self._inputs_done(s) and all(name in self.done for name in s.after)]
            ready.sort(key=lambda step: -step.cost)
            for step in ready[: processes - len(self.running)]:
                self.waiting.remove(step)
                self.running[pool.submit(perform, step, dict(self.done), self.audit, self.compute)] = step
            self._collect()

    def _collect(self) -> None:
        finished, _ = wait(self.running, return_when=FIRST_COMPLETED)
        for future in finished:
            step = self.running.pop(future)
            try:
                self.done[step.name] = future.result()
            except BrokenProcessPool:
                raise StepError(
                    "a process of the audit was killed (out of memory?). Run the same command again: it goes on from here."
                ) from None
        self.look_up()

    def _inputs_done(self, step: Step) -> bool:
        return all(i.step in self.done for i in step.inputs)


def perform(step: Step, done: dict[str, Done], audit: Path, compute: Compute) -> Done:
    """Do one step here and now, and put its result into its place."""
    from ganguard.audit.runners import RUNNERS
    from ganguard.audit.steps import StepCall

    key = step_key(step, done, compute)
    work = step_directory(audit, step, key, "work")
    work.mkdir(parents=True, exist_ok=True)
    inputs = {i.role: done[i.step].directory for i in step.inputs}
    _tell(Event("begins", step.name))
    begun = time.monotonic()

    def progress(done: int, total: int, note: str = "") -> None:
        _tell(Event("at", step.name, done, total, note))

    digests = RUNNERS[step.kind](StepCall(step.settings, inputs, work, audit, compute, progress))
    finished = finish(audit, step, key, digests, time.monotonic() - begun)
    _tell(Event("ends", step.name))
    return finished


_LISTENERS: list[Listener] = []  # in a process that does steps: where its events go


def _tell(event: Event) -> None:
    for listener in _LISTENERS:
        listener(event)


def _begin_process(events: Events, threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops its processes itself
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _LISTENERS.append(_Throttled(events.put))
    import torch

    torch.set_num_threads(threads)


def _end_with_parent() -> None:
    """A process whose parent was killed must not go on beside the next run."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _Throttled:
    """Passes every event on but "at", of which it passes ten a second and each step's last."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._passed = 0.0

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        if event.what != "at" or event.done >= event.total or now - self._passed >= PROGRESS_EVERY:
            self._passed = now
            self._listener(event)


class _Here(Executor):
    """Does what is submitted at once, in this process."""

    def submit(self, fn: Callable[..., Done], /, *args: Any, **kwargs: Any) -> "Future[Done]":  # type: ignore[override]
        future: Future[Done] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@contextlib.contextmanager
def _here(compute: Compute, listener: Listener) -> Generator[Executor]:
    """An executor whose steps run in this process and tell `listener` themselves."""
    _LISTENERS.append(listener)
    try:
        with use_threads(compute.threads):
            yield _Here()
    finally:
        _LISTENERS.remove(listener)


@contextlib.contextmanager
def _pool(processes: int, compute: Compute, listener: Listener) -> Generator[Executor]:
    """A pool whose processes' events reach `listener`; on an error its processes are stopped at once."""
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    events: Events = context.Queue()
    relay = threading.Thread(target=_relay, args=(events, listener), daemon=True)
    relay.start()
    pool = ProcessPoolExecutor(processes, context, _begin_process, (events, compute.threads))
    try:
        yield pool
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        events.cancel_join_thread()  # a process that ended while it wrote may have left the queue locked for good
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        events.put(None)
        relay.join(timeout=1.0)


def _relay(events: Events, listener: Listener) -> None:
    while (event := events.get()) is not None:
        listener(event)
