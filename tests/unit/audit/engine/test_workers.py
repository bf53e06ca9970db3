"""Steps in this process and in processes of their own: what comes back, what a killed one costs, and what
fails alone."""

import gc
import weakref
from pathlib import Path

import pytest

from ganguard.audit.engine.execute import Execution, execute
from ganguard.audit.engine.run_step import Event
from ganguard.audit.engine.workers.local import Here, Job, Killed, _portable, workers
from ganguard.audit.plan.plan import Plan
from ganguard.audit.plan.step import Input, Step
from ganguard.base.compute import Compute
from ganguard.base.errors import GanguardError, TargetError

REAL = Step("real", "real", {"kind": "digits", "fingerprint": "x"})
FACTORY = """
import os, pathlib, signal, torch
from torch import nn

class G(nn.Module):
    latent_dim = 4
    def __init__(self):
        super().__init__()
        self.f = nn.Linear(4, 64)
        nn.init.constant_(self.f.weight, 0.1)
        nn.init.constant_(self.f.bias, 0.0)
    def forward(self, z):
        return self.f(z).tanh().view(-1, 1, 8, 8)

def make():
    return G()

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def die_once():
    marker = pathlib.Path("died")
    if not marker.exists():
        marker.touch()
        die()
    return G()

def refuse():
    raise ValueError("not today")
"""


class Heard:
    """Remembers the events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, what: str) -> list[str]:
        return [event.step for event in self.events if event.what == what]


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "worker_factory.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "audit"


def opened(name: str, factory: str) -> Step:
    target = {"python": f"worker_factory:{factory}"}
    return Step(name, "open_target", {"target": target, "codes": "provider", "fingerprint": factory})


def fits(target: Step, name: str = "fit") -> Step:
    settings = {"samples": 10, "architectures": []}
    return Step(name, "fit", settings, (Input("real", "real"), Input("target", target.name)))


def run(audit: Path, processes: int, *steps: Step, heard: Heard | None = None) -> Execution:
    return execute(Plan((REAL, *steps), ()), audit, Compute(), processes=processes, listener=heard or Heard())


@pytest.mark.parametrize("processes", [1, 2])
def test_steps_are_done_in_the_order_of_what_they_need(audit: Path, processes: int) -> None:
    heard, target = Heard(), opened("target", "make")
    execution = run(audit, processes, target, fits(target), heard=heard)
    assert set(execution.done) == {"real", "target", "fit"}
    assert execution.failed == {}
    assert heard.of("ends")[-1] == "fit"
    again = Heard()
    assert run(audit, processes, target, fits(target), heard=again).done == execution.done
    assert again.of("begins") == []


@pytest.mark.parametrize("processes", [1, 2])
def test_what_a_user_must_mend_is_raised(audit: Path, processes: int) -> None:
    with pytest.raises(TargetError, match="not today"):
        run(audit, processes, opened("target", "refuse"))
    assert list((audit / "steps").glob("target-*")) == []


def test_a_killed_process_is_replaced_and_its_step_begins_again(audit: Path) -> None:
    heard, target = Heard(), opened("target", "die_once")
    execution = run(audit, 2, target, fits(target), heard=heard)
    assert set(execution.done) == {"real", "target", "fit"}
    assert heard.of("begins").count("target") == 2


def test_a_step_that_kills_its_process_twice_fails_alone(audit: Path) -> None:
    heard, bad, good = Heard(), opened("bad", "die"), opened("good", "make")
    execution = run(audit, 2, bad, fits(bad, "left out"), good, fits(good), heard=heard)
    assert set(execution.done) == {"real", "good", "fit"}
    assert set(execution.failed) == {"bad"}
    assert "killed 2 times" in execution.failed["bad"]
    assert heard.of("fails") == ["bad"]


def test_a_mistake_of_ours_says_where_it_was_made(audit: Path) -> None:
    with pytest.raises(RuntimeError, match="StopIteration") as raised:
        run(audit, 2, Step("odd", "open_target", {"target": {"no such kind": 1}, "codes": "provider"}))
    assert "in run_open_target" in raised.value.__notes__[0]


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


def test_no_process_is_left(audit: Path) -> None:
    import multiprocessing

    with workers(2, audit, Compute(), Heard()) as pool:
        pool.begin(Job(REAL, {}))
        assert pool.free == 1
        ((step, outcome),) = pool.collect()
        assert step == REAL
        assert not isinstance(outcome, Exception)
        assert len(multiprocessing.active_children()) == 1
    assert multiprocessing.active_children() == []


def test_a_process_never_hears_an_interrupt_of_the_terminal(audit: Path) -> None:
    import multiprocessing
    import signal
    from multiprocessing import resource_tracker

    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined] - as if this were the first process that is started
    with workers(2, audit, Compute(), Heard()) as pool:
        pool.begin(Job(REAL, {}))
        pool.collect()
        (child,) = multiprocessing.active_children()
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{child.pid}/status").read_text().splitlines()
        )
    assert int(status["SigBlk"], 16) >> (signal.SIGINT - 1) & 1
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


def test_an_idle_process_that_dies_costs_one_try(audit: Path) -> None:
    import multiprocessing

    with workers(2, audit, Compute(), Heard()) as pool:
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


def test_here_does_one_job_at_a_time(audit: Path) -> None:
    here = Here(audit, Compute(), Heard())
    assert here.free == 1
    here.begin(Job(REAL, {}))
    assert here.free == 0
    here.collect()
    assert here.free == 1
