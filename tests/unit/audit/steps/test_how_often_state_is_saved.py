"""`checkpoint_every` reaches the trainings of an audit, and changes nothing that is found again by its
content."""

from pathlib import Path
from typing import Any

import pytest
import torch

from ganguard.audit.engine.cache import Done, step_key
from ganguard.audit.plan.adversary_work import SubstituteSettings
from ganguard.audit.plan.ground_work import TrainTargetInputs, TrainTargetSettings
from ganguard.audit.plan.parts import Plan
from ganguard.audit.plan.plan import make_plan
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps import target as steps
from ganguard.audit.steps.call import StepCall
from ganguard.audit.steps.real import Real
from ganguard.base.compute import Compute
from ganguard.base.progress import silent


def _plan(every: int) -> Plan:
    training = {"architecture": "sngan", "steps": 9, "checkpoint_every": every}
    values: dict[str, Any] = {
        "target": {"train": {"dataset": "digits", **training}},
        "real": "digits",
        "features": "classifier",
        "attacks": [{"kind": "fidelity", "query_budget": 7, **training}],
    }
    return make_plan(Spec.model_validate(values))


def test_the_steps_know_it_and_their_keys_do_not() -> None:
    often, seldom = ({step.name: step for step in _plan(every).steps} for every in (5, 50))
    for step, other in zip(often.values(), seldom.values(), strict=True):
        read = [*step.inputs.by_role().values(), *other.inputs.by_role().values()]
        done = {i.step.name: Done(Path("x"), {i.part: "0"}, 0.0) for i in read}
        assert step_key(step, done, Compute()) == step_key(other, done, Compute())
    settings = [step.settings for step in often.values()]
    trained = [s.training for s in settings if isinstance(s, TrainTargetSettings)]
    trained += [s.attack for s in settings if isinstance(s, SubstituteSettings)]
    assert [training.checkpoint_every for training in trained] == [5, 5]


def test_the_target_is_trained_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Real(torch.zeros(9, 1, 8, 8, dtype=torch.uint8), None, torch.arange(6), torch.arange(6, 9))
    seen: list[int] = []

    class Trained(Exception):
        pass

    def train(images: torch.Tensor, settings: Any, directory: Path, **how: Any) -> None:
        seen.append(settings.checkpoint_every)
        raise Trained

    monkeypatch.setattr(steps, "load_real", lambda directory: real)
    monkeypatch.setattr(steps, "train_generator", train)
    step = next(step for step in _plan(5).steps if step.kind == "train_target")
    with pytest.raises(Trained):
        steps.run_train_target(
            StepCall(step.settings, TrainTargetInputs(tmp_path), tmp_path, tmp_path, Compute(), silent)
        )
    assert seen == [5]
