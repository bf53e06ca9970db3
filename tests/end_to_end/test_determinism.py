"""The same spec gives the same results: elsewhere, again, in another order, with one process or two."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from comparing import SPEC, comparable

from ganguard.audit import run as run_module
from ganguard.audit.plan.plan import Plan, make_plan
from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.base.settings import parse, read_yaml

pytestmark = pytest.mark.slow


def results_of(directory: Path, processes: int) -> dict[str, Any]:
    values = read_yaml(SPEC.replace("120", "30"), "spec")
    assert isinstance(values, dict)
    audit("short", parse(Spec, values, "spec"), directory, processes=processes, listener=lambda event: None)
    return comparable(directory)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return results_of(tmp_path_factory.mktemp("once"), processes=2)


@pytest.mark.slow  # the next one runs elsewhere too
def test_the_same_spec_elsewhere_gives_the_same_results(once: dict[str, Any], tmp_path: Path) -> None:
    assert results_of(tmp_path, processes=2) == once


def test_one_process_gives_what_two_give(once: dict[str, Any], tmp_path: Path) -> None:
    assert results_of(tmp_path, processes=1) == once


def test_another_order_of_steps_gives_the_same_results(
    once: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def turned_round(spec: Spec) -> Plan:
        """Of what is ready, the step that would begin last begins first."""
        plan = make_plan(spec)
        steps = tuple(replace(step, cost=i - 1e9 * step.cost) for i, step in enumerate(plan.steps))
        begun.extend(step.name for step in sorted(steps, key=lambda step: -step.cost))
        return replace(plan, steps=steps)

    monkeypatch.setattr(run_module, "make_plan", turned_round)
    assert results_of(tmp_path, processes=1) == once
    assert begun
