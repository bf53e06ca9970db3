"""Records of refinements are read from the files of finished steps."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from plan_samples import plan_of
from refinement_samples import RATIO, refinement, tried
from spec_samples import SMALL

from ganguard.attacks.subsampling.refinement_files import KEPT, REFINEMENT
from ganguard.audit.engine.cache import Done
from ganguard.audit.outcome.refinements import refinement_records
from ganguard.audit.plan.parts import SubstitutePlan
from ganguard.audit.plan.plan import make_plan
from ganguard.audit.spec.spec import Spec
from ganguard.base.cache import write_json, write_tensors
from ganguard.base.errors import CheckpointError, DataError, InputError
from ganguard.base.settings import parse
from ganguard.results.refinements import RefinementRecord


@cache
def planned() -> SubstitutePlan:
    """Return the plan of a copy under seed 3 whose budget is 6; 7 images were bought for others too."""
    spec = {
        **SMALL,
        "attacks": [{"kind": "fidelity", "architecture": "dcgan", "query_budget": [6, 7]}],
        "seeds": [3],
    }
    found = make_plan(parse(Spec, spec, "spec")).substitutes[0]
    return replace(found, copy=replace(found.copy, label="white"))


def written(directory: Path, plain: dict[str, Any]) -> None:
    """What a substitute's step writes: of 6 images, 1 and 2 were kept."""
    said = refinement().model_dump(mode="json", include={"ratio", "tried", "stuck", "chosen", "log_ratios"})
    write_json(directory / REFINEMENT, {**said, "plain": {**RATIO, **plain}})
    kept = {"kept": torch.tensor([2, 1, 2])} | (
        {} if "stuck" in plain else {"plain": torch.tensor([5, 5, 5])}
    )
    write_tensors(directory / KEPT, kept)


def read(directory: Path) -> RefinementRecord:
    substitute = planned()
    assert substitute.bought is not None
    done = {step.name: Done(directory, {}, 0.0) for step in (substitute.train, substitute.bought.replay)}
    (record,) = refinement_records(replace(plan_of(), substitutes=(substitute,)), done)
    return record


def with_classes(directory: Path) -> None:
    """7 images were bought by a larger budget, of classes 0 to 3."""
    rows = {
        "features": torch.zeros(7, 1),
        "classes": torch.tensor([0, 0, 1, 1, 1, 2, 3]),
        "class_count": torch.tensor([4]),
    }
    write_tensors(directory / "bought.safetensors", rows)


def test_classes_are_counted_with_repeats_among_the_images_of_the_budget(tmp_path: Path) -> None:
    written(tmp_path, tried(1.0, 0.2))
    with_classes(tmp_path)
    record = read(tmp_path)
    assert (record.attack, record.query_budget, record.seed) == ("white", 6, 3)
    assert record.classes is not None
    assert (record.classes.before, record.classes.after, record.classes.plain) == (
        (2, 3, 1, 0),
        (1, 2, 0, 0),
        (0, 0, 3, 0),
    )
    assert (record.best.score, record.plain.tried and record.plain.tried.score) == (0.1, 0.2)


def test_without_classes_and_with_algorithm_1_stuck(tmp_path: Path) -> None:
    written(tmp_path, {"stuck": True})
    write_tensors(tmp_path / "bought.safetensors", {"features": torch.zeros(7, 1)})
    record = read(tmp_path)
    assert (record.classes, record.plain.tried) == (None, None)
    with_classes(tmp_path)
    assert (counts := read(tmp_path).classes) is not None and counts.plain == ()


@pytest.mark.parametrize(
    ("file", "content", "error", "words"),
    [
        (REFINEMENT, b"{", DataError, "not JSON"),
        (REFINEMENT, b"[]", DataError, "refinement.json"),
        (REFINEMENT, b'{"plain": 3}', DataError, "ratio"),
        (KEPT, b"", CheckpointError, "not a refined set"),
    ],
)
def test_damaged_files_are_named(
    file: str, content: bytes, error: type[InputError], words: str, tmp_path: Path
) -> None:
    written(tmp_path, tried(1.0, 0.2))
    with_classes(tmp_path)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(error, match=words) as problem:
        read(tmp_path)
    assert str(tmp_path / file) in str(problem.value)
