"""Where grids and checkpoints are copied to: labels may read alike, but no file replaces another."""

from pathlib import Path

import pytest

from ganguard.attacks.fidelity import FidelitySettings
from ganguard.audit.engine.cache import Done
from ganguard.audit.outcome.copies import copy_checkpoints, pictures
from ganguard.audit.plan.parts import Plan
from ganguard.audit.plan.plan import make_plan
from ganguard.audit.spec.spec import Spec
from ganguard.base.grids import GRID_FILE
from ganguard.base.settings import parse
from ganguard.results.target_record import TargetRecord

TARGET = TargetRecord(description="a GAN", identity="g", image_shape=(1, 8, 8), codes="provider")


class _Spaced(FidelitySettings):
    def label(self) -> str:
        return "one two"


class _Hyphened(FidelitySettings):
    def label(self) -> str:
        return "One-two"


@pytest.fixture
def plan() -> Plan:
    values = {"architecture": "sngan", "query_budget": 9}
    attacks = [_Spaced.model_validate(values), _Hyphened.model_validate({**values, "steps": 7})]
    spec = {"target": {"train": {"dataset": "digits", "architecture": "sngan"}}, "real": "digits"}
    return make_plan(parse(Spec, {**spec, "features": "random_network", "attacks": attacks}, "spec"))


@pytest.fixture
def done(plan: Plan, tmp_path: Path) -> dict[str, Done]:
    """Every step, with a grid and a checkpoint that hold its name."""
    found: dict[str, Done] = {}
    for number, step in enumerate(plan.steps):
        directory = tmp_path / "steps" / str(number)
        (directory / "checkpoint").mkdir(parents=True)
        (directory / GRID_FILE).write_text(step.name)
        (directory / "checkpoint" / "generator").write_text(step.name)
        found[step.name] = Done(directory, {}, 0.0)
    return found


def test_grids_of_labels_that_read_alike_have_files_of_their_own(
    plan: Plan, done: dict[str, Done], tmp_path: Path
) -> None:
    records = [record for record in pictures(plan, done, tmp_path, TARGET) if record.attack]
    assert [record.file for record in records] == ["grids/one-two-9.png", "grids/one-two-9-2.png"]
    measured = [substitute.measure.name for substitute in plan.substitutes]
    assert [(tmp_path / record.file).read_text() for record in records] == measured


def test_checkpoints_of_labels_that_read_alike_have_directories_of_their_own(
    plan: Plan, done: dict[str, Done], tmp_path: Path
) -> None:
    copy_checkpoints(plan, done, tmp_path)
    places = ("one-two-9-seed0", "one-two-9-seed0-2")
    trained = [substitute.train.name for substitute in plan.substitutes]
    held = [(tmp_path / "checkpoints" / place / "generator").read_text() for place in places]
    assert held == trained
