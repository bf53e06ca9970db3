"""Measuring a copy by the target's codes: which copies can be asked for them, and what they are asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganguard.architectures.checkpoint import save_checkpoint
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.audit.plan.code_work import MeasureCodesInputs, MeasureCodesSettings
from ganguard.audit.steps import codes as step
from ganguard.audit.steps.call import StepCall
from ganguard.audit.steps.codes import Codes, run_measure_codes
from ganguard.audit.steps.measurements import read_measurements
from ganguard.base.compute import Compute
from ganguard.base.labels import Labels
from ganguard.base.progress import silent
from ganguard.base.seeds import normal, seeded_weights
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.conditions import generate

CPU = Compute(device="cpu", threads=1)
CODES = normal(0, "codes", range(12), 5)
NAMES = ("a", "b", "c")


@pytest.fixture(autouse=True)
def pixels_for_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "load_embedding", lambda *_: lambda images: images.flatten(1).float())  # pyright: ignore[reportUnknownLambdaType, reportUnknownMemberType]


def conditional(directory: Path, seed: int = 0, names: tuple[str, ...] = NAMES) -> Path:
    architecture = parse_architecture({"kind": "sngan", "width": 4, "latent_dim": 5, "classes": 3})
    with seeded_weights(seed):
        networks = build_networks(architecture, (1, 8, 8))
    save_checkpoint(directory, networks, architecture, (1, 8, 8), {"steps": 0}, class_names=names)
    return directory


def made(checkpoint: Path, y: Tensor | None = None) -> Tensor:
    return generate(CheckpointTarget(checkpoint=str(checkpoint)).load(CPU), CODES, y)


def measured(copy: Path, kept: Path, place: Path) -> dict[str, float]:
    """Measure the copy in `copy`/checkpoint."""
    place.mkdir()
    inputs = MeasureCodesInputs(copy, Path(), kept)
    run_measure_codes(StepCall(MeasureCodesSettings(), inputs, place, place, CPU, silent))
    return {m.metric: m.value for m in read_measurements(place) if m.against == "code"}


def keep(directory: Path, images: Tensor, labels: Labels | None = None) -> Path:
    directory.mkdir()
    Codes(CODES, images, images.flatten(1).float(), labels).write(directory)
    return directory


def test_equal_networks_are_equal_functions_and_others_are_not(
    tmp_path: Path, tiny_checkpoint: Callable[..., Path]
) -> None:
    for seed in (0, 1):
        tiny_checkpoint(tmp_path / str(seed) / "checkpoint", seed=seed)
    mine, other = (made(tmp_path / str(seed) / "checkpoint") for seed in (0, 1))
    kept = keep(tmp_path / "kept", mine)
    same = measured(tmp_path / "0", kept, tmp_path / "same")
    assert same == pytest.approx({"code_l1": 0, "code_ssim": 1, "code_feature_distance": 0})
    differing = measured(tmp_path / "1", kept, tmp_path / "differing")
    by_hand = (mine.double() - other.double()).abs().mean().item() * 2 / 255
    assert differing["code_l1"] == pytest.approx(by_hand) and by_hand > 0.1
    rms = (mine.double() - other.double()).flatten(1).square().mean(1).sqrt().mean().item()
    assert differing["code_feature_distance"] == pytest.approx(rms)


def test_a_conditional_copy_is_asked_for_the_same_classes_by_name(tmp_path: Path) -> None:
    asked = torch.arange(12) % 3
    target = conditional(tmp_path / "copy" / "checkpoint")
    kept = keep(tmp_path / "kept", made(target, asked), Labels(asked, NAMES))
    assert measured(tmp_path / "copy", kept, tmp_path / "by_name")["code_l1"] == 0
    # A copy that numbers its classes otherwise is asked by their names, and so gives other images.
    conditional(tmp_path / "turned" / "checkpoint", names=("c", "b", "a"))
    wanted = (made(target, asked).double() - made(target, 2 - asked).double()).abs().mean().item() * 2 / 255
    assert measured(tmp_path / "turned", kept, tmp_path / "turn")["code_l1"] == pytest.approx(wanted)


@pytest.mark.parametrize("kind", ["other length", "no classes", "other classes"])
def test_nothing_is_measured_of_a_copy_without_the_targets_codes(
    tmp_path: Path, kind: str, tiny_checkpoint: Callable[..., Path]
) -> None:
    asked = Labels(torch.arange(12) % 3, NAMES)
    if kind == "other classes":
        conditional(tmp_path / "copy" / "checkpoint", names=("a", "b", "d"))
    else:
        tiny_checkpoint(tmp_path / "copy" / "checkpoint", kind="flow" if kind == "other length" else "sngan")
    images = torch.zeros(12, 1, 8, 8, dtype=torch.uint8)
    kept = keep(tmp_path / "kept", images, None if kind == "other length" else asked)
    assert measured(tmp_path / "copy", kept, tmp_path / "none") == {}


def test_what_is_kept_is_read_back(tmp_path: Path) -> None:
    images, labels = torch.ones(12, 1, 8, 8, dtype=torch.uint8), Labels(torch.arange(12) % 3, NAMES)
    read: Any = Codes.read(keep(tmp_path / "kept", images, labels))
    assert torch.equal(read.latents, CODES) and torch.equal(read.images, images)
    assert read.labels.said() == labels.said()
    assert Codes.read(tmp_path) is None
