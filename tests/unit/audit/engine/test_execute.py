"""Every step of a plan is done once, in the order of what it needs, and fails alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plan_samples import features_step, plan_of, real_step
from worker_samples import REAL, Heard, fits, opened, write_factories

from ganguard.audit.engine import execute as module
from ganguard.audit.engine.execute import Execution, execute
from ganguard.audit.engine.workers.local import Here, Job, Killed, Outcome
from ganguard.audit.plan.ground_work import NoInputs, OpenTargetSettings
from ganguard.audit.plan.step import Step
from ganguard.audit.steps.call import Digests, StepCall
from ganguard.audit.steps.kinds import KINDS
from ganguard.base.compute import Compute
from ganguard.base.errors import StepError, TargetError
from ganguard.targets.load import TargetSettings


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_factories(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "audit"


def run(audit: Path, processes: int, *steps: Step, heard: Heard | None = None) -> Execution:
    return execute(plan_of(REAL, *steps), audit, Compute(), processes=processes, listener=heard or Heard())


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


@pytest.mark.slow
def test_a_killed_process_is_replaced_and_its_step_begins_again(audit: Path) -> None:
    heard, target = Heard(), opened("target", "die_once")
    execution = run(audit, 2, target, fits(target), heard=heard)
    assert set(execution.done) == {"real", "target", "fit"}
    assert heard.of("begins").count("target") == 2


@pytest.mark.slow
def test_a_step_that_kills_its_process_twice_fails_alone(audit: Path) -> None:
    heard, bad, good = Heard(), opened("bad", "die"), opened("good", "make")
    execution = run(audit, 2, bad, fits(bad, "left out"), good, fits(good), heard=heard)
    assert set(execution.done) == {"real", "good", "fit"}
    assert set(execution.failed) == {"bad"}
    assert "killed 2 times" in execution.failed["bad"]
    assert heard.of("fails") == ["bad"]


def test_a_mistake_of_ours_says_where_it_was_made(audit: Path) -> None:
    with pytest.raises(RuntimeError, match="StopIteration") as raised:
        run(audit, 2, Step("odd", OpenTargetSettings(target=TargetSettings(), codes="provider"), NoInputs()))
    assert "in run_open_target" in raised.value.__notes__[0]


@pytest.mark.parametrize("processes", [1, 2])
def test_steps_that_come_to_the_same_are_done_once(audit: Path, processes: int) -> None:
    heard, one, two = Heard(), opened("one", "make"), opened("two", "make")
    execution = run(audit, processes, one, two, fits(two), heard=heard)
    assert set(execution.done) == {"real", "one", "two", "fit"}
    assert execution.done["one"] == execution.done["two"]
    assert [name for name in heard.of("begins") if name in ("one", "two")] == ["one"]
    assert heard.of("cached") == ["two"]


def test_a_step_whose_equal_ended_before_its_inputs_were_done_is_found(audit: Path) -> None:
    """Both read the same images, out of files that may have changed."""
    heard, other = Heard(), replace(real_step("touched"), name="other")
    one = replace(features_step(REAL), cost=1.0)  # it begins first
    two = replace(features_step(other), name="two")
    execution = run(audit, 1, one, other, two, heard=heard)
    assert set(execution.done) == {"real", "features", "other", "two"}
    assert execution.done["features"].directory == execution.done["two"].directory
    assert heard.of("begins") == ["real", "features", "other"]
    assert heard.of("cached") == ["two"]


class Fails:
    """The function of a kind of step, which fails some times before it does its work."""

    def __init__(self, kind: str, *, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self._run, self._times, self.calls = KINDS[kind].run, times, 0
        monkeypatch.setitem(KINDS, kind, replace(KINDS[kind], run=self))

    def __call__(self, call: StepCall[Any, Any]) -> Digests:
        self.calls += 1
        if self.calls <= self._times:
            raise StepError(f"not today ({self.calls}).")
        return self._run(call)


@pytest.mark.parametrize("times", [1, 2])
def test_where_one_fails_its_equal_is_tried_itself(
    audit: Path, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = Fails("open_target", times=times, monkeypatch=monkeypatch)
    heard, one, two = Heard(), opened("one", "make"), opened("two", "make")
    execution = run(audit, 1, one, fits(one, "fit one"), two, fits(two, "fit two"), heard=heard)
    assert fails.calls == 2
    assert heard.of("fails") == ["one", "two"][:times]
    assert execution.failed == {
        name: f"not today ({i + 1})." for i, name in enumerate(["one", "two"][:times])
    }
    assert set(execution.done) == {"real"} | ({"two", "fit two"} if times == 1 else set())


def test_three_equal_steps_of_which_the_first_fails_need_two_tries(
    audit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = Fails("open_target", times=1, monkeypatch=monkeypatch)
    execution = run(audit, 1, *(opened(name, "make") for name in ("one", "two", "three")))
    assert fails.calls == 2
    assert set(execution.failed) == {"one"}
    assert execution.done["two"] == execution.done["three"]


@pytest.mark.slow
@pytest.mark.parametrize(("factory", "tries"), [("die_once", 2), ("die_twice", 3)])
def test_where_the_process_of_one_is_killed_both_are_done_in_the_end(
    audit: Path, factory: str, tries: int
) -> None:
    """Each may be killed once. Who is tried first after that does not matter."""
    heard, one, two = Heard(), opened("one", factory), opened("two", factory)
    execution = run(audit, 2, one, two, heard=heard)
    assert set(execution.done) == {"real", "one", "two"}
    assert execution.failed == {}
    assert len([name for name in heard.of("begins") if name != "real"]) == tries


@pytest.mark.slow
def test_equal_steps_that_kill_their_process_each_time_fail_after_two_tries_each(audit: Path) -> None:
    heard, one, two = Heard(), opened("one", "die"), opened("two", "die")
    execution = run(audit, 2, one, two, heard=heard)
    assert set(execution.done) == {"real"}
    assert set(execution.failed) == {"one", "two"}
    assert sorted(heard.of("begins")) == ["one", "one", "real", "two", "two"]


class EndsLate:
    """A worker in this process that is told as killed, once, after it has put its result into its place."""

    def __init__(self, *at: Any) -> None:
        self._here, self._told = Here(*at), False

    @property
    def free(self) -> int:
        return self._here.free

    def begin(self, job: Job) -> None:
        self._here.begin(job)

    def collect(self) -> list[Outcome]:
        ((step, outcome),) = self._here.collect()
        if step.kind == "real" or self._told:
            return [(step, outcome)]
        self._told = True
        return [(step, Killed("exit code -9"))]


def test_a_step_that_was_killed_when_it_was_whole_is_not_done_again(
    audit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def late(processes: int, *at: Any) -> Iterator[EndsLate]:
        yield EndsLate(*at)

    monkeypatch.setattr(module, "workers", late)
    heard, target = Heard(), opened("target", "make")
    execution = run(audit, 2, target, fits(target), heard=heard)
    assert set(execution.done) == {"real", "target", "fit"}
    assert heard.of("begins") == ["real", "target", "fit"]
