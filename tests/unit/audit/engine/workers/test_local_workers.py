"""Steps in this process and in processes of their own: what comes back, and what a killed one costs."""

import gc
import weakref
from pathlib import Path

import pytest
from worker_samples import REAL, Heard

from ganguard.audit.engine.workers.local import Here, Job, Killed, _portable, workers
from ganguard.base.compute import Compute
from ganguard.base.errors import GanguardError, TargetError


@pytest.mark.parametrize("error", [TargetError, KeyError])
def test_what_a_failed_step_held_is_let_go_of_before_it_is_told(error: type[Exception]) -> None:
    """A process that is ended amid the finalizer of a ledger's connections prints a traceback."""

    class Held:
        pass

    def fail() -> None:
        held = Held()
        finalizers.append(weakref.ref(held))
        try:
            raise ValueError("first")
        except ValueError:
            raise error("second") from None

    finalizers: list[weakref.ref[Held]] = []
    gc.disable()
    try:
        fail()
    except error as problem:
        told = _portable(problem)
        assert finalizers[0]() is None
        assert isinstance(told, GanguardError) or "second" in told.__notes__[0]
    finally:
        gc.enable()


@pytest.mark.slow
def test_no_process_is_left(tmp_path: Path) -> None:
    import multiprocessing

    with workers(2, tmp_path, Compute(), Heard()) as pool:
        pool.begin(Job(REAL, {}))
        assert pool.free == 1
        ((step, outcome),) = pool.collect()
        assert step == REAL
        assert not isinstance(outcome, Exception)
        assert len(multiprocessing.active_children()) == 1
    assert multiprocessing.active_children() == []


def test_a_process_never_hears_an_interrupt_of_the_terminal(tmp_path: Path) -> None:
    import multiprocessing
    import signal
    from multiprocessing import resource_tracker

    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined] - as if this were the first process that is started
    with workers(2, tmp_path, Compute(), Heard()) as pool:
        pool.begin(Job(REAL, {}))
        pool.collect()
        (child,) = multiprocessing.active_children()
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{child.pid}/status").read_text().splitlines()
        )
    assert int(status["SigBlk"], 16) >> (signal.SIGINT - 1) & 1
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


@pytest.mark.slow
def test_an_idle_process_that_dies_costs_one_try(tmp_path: Path) -> None:
    import multiprocessing

    with workers(2, tmp_path, Compute(), Heard()) as pool:
        pool.begin(Job(REAL, {}))
        pool.collect()
        (child,) = multiprocessing.active_children()
        child.kill()
        child.join()
        pool.begin(Job(REAL, {}))
        ((_, outcome),) = pool.collect()
        assert isinstance(outcome, Killed)
        pool.begin(Job(REAL, {}))
        ((_, outcome),) = pool.collect()
        assert not isinstance(outcome, Exception)


def test_here_does_one_job_at_a_time(tmp_path: Path) -> None:
    here = Here(tmp_path, Compute(), Heard())
    assert here.free == 1
    here.begin(Job(REAL, {}))
    assert here.free == 0
    here.collect()
    assert here.free == 1
