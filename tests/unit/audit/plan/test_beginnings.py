"""A target or a copy that begins with a checkpoint: its steps depend on that checkpoint's content."""

from collections.abc import Callable
from pathlib import Path

import pytest
from spec_samples import SMALL

from ganguard.audit.plan.adversary_work import SubstituteSettings
from ganguard.audit.plan.ground_work import TrainTargetSettings
from ganguard.audit.plan.plan import make_plan
from ganguard.audit.spec.spec import Spec
from ganguard.base.errors import CheckpointError
from ganguard.base.settings import parse


def spec_of(begun: Path) -> Spec:
    beginning = {"beginning": {"checkpoint": str(begun)}}
    train = {"dataset": "digits", "steps": 10, **beginning}
    attack = {"kind": "fidelity", "query_budget": 20, **beginning}
    return parse(Spec, {**SMALL, "target": {"train": train}, "attacks": [attack]}, "spec")


def test_steps_depend_on_the_content_of_the_checkpoint(
    tmp_path: Path, tiny_checkpoint: Callable[..., Path]
) -> None:
    found = list[tuple[str | None, str | None]]()
    for seed in (0, 1):
        plan = make_plan(spec_of(tiny_checkpoint(tmp_path / "begun", seed=seed)))
        target = plan.ground.target.settings
        copy = next(step.settings for step in plan.steps if isinstance(step.settings, SubstituteSettings))
        assert isinstance(target, TrainTargetSettings)
        assert target.training.architecture.kind == copy.attack.architecture.kind == "sngan"
        found.append((target.fingerprint, copy.fingerprint))
    assert None not in found[0]
    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1]


def test_a_spec_is_read_again_as_it_was_written(tmp_path: Path, tiny_checkpoint: Callable[..., Path]) -> None:
    spec = spec_of(tiny_checkpoint(tmp_path / "begun"))
    assert parse(Spec, spec.model_dump(mode="json"), "spec") == spec
    assert make_plan(spec).honest == ()  # what begins with given weights has no honest model


def test_a_checkpoint_that_is_not_there_is_refused_with_the_plan(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no checkpoint\.json"):
        spec_of(tmp_path)
