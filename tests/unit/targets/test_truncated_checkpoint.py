"""A checkpoint whose codes are drawn from another distribution than it was trained with: truncation."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError
from ganguard.base.settings import parse
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.load import parse_target


def test_truncated_codes_are_those_of_the_prior_and_another_target(
    tmp_path: Path, tiny_checkpoint: Callable[..., Path], compute: Compute
) -> None:
    path = str(tiny_checkpoint(tmp_path / "gan", "biggan"))
    asked = {"kind": "truncated", "bound": 1.0, "std": 0.5}
    plain, truncated = (parse_target({"checkpoint": path, **more}) for more in ({}, {"prior": asked}))
    usual, target = plain.load(compute), truncated.load(compute)
    codes = target.draw_latents(range(200), seed=0)
    assert 0.45 < codes.abs().max() <= 0.5 < usual.draw_latents(range(200), seed=0).abs().max()
    assert torch.equal(target.sample(range(9), seed=0), target.generate(codes[:9]))
    assert target.identity.startswith(f"{usual.identity}:")
    assert truncated.fingerprint() != plain.fingerprint()
    assert parse_target(truncated.model_dump(mode="json")) == truncated


def test_the_usual_prior_is_not_said(tmp_path: Path, tiny_checkpoint: Callable[..., Path]) -> None:
    path = str(tiny_checkpoint(tmp_path / "gan"))
    for said in ({"checkpoint": path}, {"checkpoint": path, "prior": "normal"}):
        target = parse(CheckpointTarget, said, "target")
        assert target.model_dump(mode="json") == {"checkpoint": path}
    with pytest.raises(SpecError, match=r"^target\.prior[^\n]*python[^\n]*$"):
        parse(CheckpointTarget, {"checkpoint": path, "prior": "python:a:b"}, "target")
    with pytest.raises(SpecError, match=r"^target\.prior: must be one of normal, sphere, truncated"):
        parse(CheckpointTarget, {"checkpoint": path, "prior": "cut"}, "target")
