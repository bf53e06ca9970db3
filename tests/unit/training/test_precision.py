"""bfloat16 where it is safe, float32 where it is needed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ganguard.base.cache import file_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError
from ganguard.base.settings import parse
from ganguard.training import update
from ganguard.training.differential_privacy import PrivateTraining
from ganguard.training.loop import train_generator
from ganguard.training.settings import TrainingSettings
from ganguard.training.state import saved_step

IMAGES = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (20, 1, 8, 8), dtype=np.uint8))


class Killed(Exception):
    """Raised by a test in place of a kill."""


def settings(kind: str, **values: object) -> TrainingSettings:
    architecture = {"kind": kind, "width": 4, "latent_dim": 4}
    said = {
        "architecture": architecture,
        "batch_size": 4,
        "steps": 4,
        "n_dis": 1,
        "precision": "bf16-mixed",
        **values,
    }
    return TrainingSettings.model_validate(said)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("sngan", {"penalty": "gradient"}),
        ("pggan", {"augment": "diffaugment"}),
        ("stylegan2", {"penalty_every": 4, "path_length_every": 3}),
    ],
)
def test_a_killed_training_in_bfloat16_goes_on_to_the_same_bits(
    tmp_path: Path, compute: Compute, monkeypatch: pytest.MonkeyPatch, kind: str, values: dict[str, object]
) -> None:
    """Killed at step 5, after the state of 4: a step is done again."""
    how, step = settings(kind, steps=8, checkpoint_every=4, **values), update.GANTraining.step

    def killed(training: update.GANTraining, number: int) -> Tensor:
        if number == 5:
            raise Killed
        return step(training, number)

    whole = train_generator(IMAGES, how, tmp_path / "whole", seed=0, compute=compute)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(update.GANTraining, "step", killed)
        train_generator(IMAGES, how, tmp_path / "cut", seed=0, compute=compute)
    assert saved_step(tmp_path / "cut" / "training.safetensors") == 4
    resumed = train_generator(IMAGES, how, tmp_path / "cut", seed=0, compute=compute)
    for network in ("generator", "discriminator"):
        assert file_digest(whole / f"{network}.safetensors") == file_digest(
            resumed / f"{network}.safetensors"
        )


def test_networks_compute_in_bfloat16_and_everything_kept_is_float32(
    tmp_path: Path, compute: Compute
) -> None:
    paths = [
        train_generator(
            IMAGES, settings("dcgan", precision=precision), tmp_path / precision, seed=0, compute=compute
        )
        for precision in ("32-true", "bf16-mixed")
    ]
    exact, rounded = (load_file(path / "generator.safetensors") for path in paths)
    key = "to_image.weight"
    assert not torch.equal(exact[key], rounded[key])
    assert torch.allclose(exact[key], rounded[key], atol=1e-2)  # Adam's first steps are 2e-4 long
    assert not torch.equal(rounded[key], rounded[key].bfloat16().float())
    state = load_file(tmp_path / "bf16-mixed" / "training.safetensors")
    assert {value.dtype for name, value in state.items() if name != "random"} <= {torch.float32, torch.int64}


@pytest.mark.parametrize(("kind", "name"), [("dcgan", "r1"), ("sngan", "gradient_penalty")])
def test_penalties_are_taken_in_float32(
    tmp_path: Path, compute: Compute, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    penalty: Callable[..., Tensor] = getattr(update, name)
    seen: list[tuple[bool, torch.dtype, torch.dtype]] = []

    def watched(D: Callable[[Tensor], Tensor], *images: Tensor) -> Tensor:
        seen.append((torch.is_autocast_enabled("cpu"), images[0].dtype, D(images[0]).dtype))
        return penalty(D, *images)

    monkeypatch.setattr(update, name, watched)
    how = settings(kind, penalty="r1" if name == "r1" else "gradient", steps=2)
    train_generator(IMAGES, how, tmp_path, seed=0, compute=compute)
    assert seen == [(False, torch.float32, torch.float32)] * 2


@pytest.mark.parametrize(
    ("precision", "why"),
    [
        ("16-mixed", "float16 needs scaled losses"),
        ("bf16-true", "vanish in weights of eight bits"),
        ("64-true", "no training here gained"),
        ("half", "must be one of 32-true, bf16-mixed; got 'half'."),
    ],
)
def test_other_precisions_are_refused_with_the_reason(precision: str, why: str) -> None:
    with pytest.raises(SpecError, match=rf"^train\.precision: .*{why}"):
        parse(TrainingSettings, {"architecture": "sngan", "precision": precision}, "train")


def test_private_training_stays_in_float32() -> None:
    architecture = {"kind": "dcgan", "discriminator_norm": "group"}
    said = {
        "architecture": architecture,
        "precision": "bf16-mixed",
        "differential_privacy": {"epsilon": 10.0},
    }
    with pytest.raises(SpecError, match="made noisy in float32, image by image"):
        parse(PrivateTraining, said, "train")


def test_the_usual_precision_is_not_said() -> None:
    """Neither keys nor records depend on how a training is usually computed."""
    usual = TrainingSettings(architecture="sngan")
    assert "precision" not in usual.recipe()
    assert "precision" not in usual.model_dump()
    other = TrainingSettings(architecture="sngan", precision="bf16-mixed")
    assert other.recipe()["precision"] == other.model_dump()["precision"] == "bf16-mixed"
    assert TrainingSettings.model_validate_json(other.model_dump_json()) == other
