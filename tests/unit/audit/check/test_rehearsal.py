"""A target that is still to be trained is stood in for by one with random weights, with its classes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from spec_samples import SMALL

from ganguard.audit.check.opening import Opened
from ganguard.audit.check.rehearsal import rehearse
from ganguard.audit.plan.plan import make_plan
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.real import Real
from ganguard.base.compute import Compute
from ganguard.base.settings import parse


@pytest.mark.parametrize("classes", [0, 3])
def test_an_untrained_target_stands_in_whether_or_not_it_learns_classes(
    classes: int, compute: Compute, tmp_path: Path
) -> None:
    architecture: dict[str, Any] = {"kind": "sngan", "width": 4} | ({"classes": classes} if classes else {})
    target = {"train": {"dataset": "digits", "architecture": architecture, "steps": 10}}
    plan = make_plan(parse(Spec, {**SMALL, "target": target}, "spec"))
    rows = torch.arange(6)
    images = torch.zeros(6, 1, 8, 8, dtype=torch.uint8)
    real = Real(images, rows % 3, rows[:4], rows[4:], None, ("cat", "dog", "owl"))
    rehearse(plan, opened := Opened({}), real, compute)
    assert opened.problems == []
