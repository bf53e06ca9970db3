"""Compiled networks: the same training but for rounding, saved as any other."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ganguard.base.cache import file_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError
from ganguard.base.labels import Labels
from ganguard.base.settings import parse
from ganguard.training.differential_privacy import PrivateTraining
from ganguard.training.loop import train_generator
from ganguard.training.settings import TrainingSettings
from ganguard.training.update import GANTraining

IMAGES = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (20, 1, 8, 8), dtype=np.uint8))
compiles = [  # importing the compiler makes torch warn about itself
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Killed(Exception):
    """Raised by a test in place of a kill."""


def settings(kind: str = "dcgan", *, classes: int = 0, **values: object) -> TrainingSettings:
    of_gans = {"latent_dim": 4}, {"n_dis": 1}
    codes, how = ({}, {}) if kind == "flow" else of_gans
    architecture = {"kind": kind, "width": 4, **codes, **({"classes": classes} if classes else {})}
    said = {
        "architecture": architecture,
        "batch_size": 4,
        "steps": 4,
        "checkpoint_every": 2,
        **how,
        **values,
    }
    return TrainingSettings.model_validate(said)


def same_with_labels(kind: str, directory: Path, compute: Compute) -> None:
    """Compare a compiled training with labels to an uncompiled one: equal up to rounding, which Adam's first
    steps may turn into steps of the learning rate."""
    labels, found = Labels(torch.arange(20) % 2, ("a", "b")), list[dict[str, Tensor]]()
    for compiled in (True, False):
        how = settings(kind, classes=2, compile=compiled, steps=2)
        path = train_generator(IMAGES, how, directory / str(compiled), seed=0, compute=compute, labels=labels)
        found.append(load_file(path / "generator.safetensors"))
    assert found[0].keys() == found[1].keys()
    for key, value in found[0].items():
        assert torch.allclose(value.float(), found[1][key].float(), atol=2e-3), key


class TestCompiledAtLength:
    pytestmark: ClassVar = [pytest.mark.proof, *compiles[1:]]

    @pytest.mark.parametrize("kind", ["biggan", "flow", "sngan"])
    def test_a_training_with_labels_is_that_without_compiling(
        self, tmp_path: Path, compute: Compute, kind: str
    ) -> None:
        same_with_labels(kind, tmp_path, compute)


class TestCompiled:
    pytestmark = compiles

    def test_a_killed_training_goes_on_to_the_same_bits(
        self, tmp_path: Path, compute: Compute, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Killed at step 3, after the state of 2. Compiled or not, weights have the same names."""
        step = GANTraining.step

        def killed(training: GANTraining, number: int) -> Tensor:
            if number == 3:
                raise Killed
            return step(training, number)

        whole = train_generator(IMAGES, settings(compile=True), tmp_path / "whole", seed=0, compute=compute)
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(GANTraining, "step", killed)
            train_generator(IMAGES, settings(compile=True), tmp_path / "cut", seed=0, compute=compute)
        resumed = train_generator(IMAGES, settings(compile=True), tmp_path / "cut", seed=0, compute=compute)
        plain = train_generator(IMAGES, settings(), tmp_path / "plain", seed=0, compute=compute)
        for file in ("generator.safetensors", "discriminator.safetensors"):
            assert file_digest(whole / file) == file_digest(resumed / file)
            assert load_file(whole / file).keys() == load_file(plain / file).keys()
            for key, value in load_file(plain / file).items():
                assert torch.allclose(value.float(), load_file(whole / file)[key].float(), atol=1e-3), key
        states = [load_file(tmp_path / name / "training.safetensors").keys() for name in ("whole", "plain")]
        assert states[0] == states[1]

    def test_a_training_with_labels_is_that_without_compiling(self, tmp_path: Path, compute: Compute) -> None:
        same_with_labels("acgan", tmp_path, compute)

    def test_without_a_compiler_it_is_refused(self, tmp_path: Path, compute: Compute) -> None:
        from torch._inductor import config

        torch._dynamo.reset()  # what this process compiled before needs no compiler  # pyright: ignore[reportPrivateUsage]
        with (
            config.patch({"cpp.cxx": ("no-such-compiler",)}),
            pytest.raises(SpecError, match=r"compile: torch needs a C\+\+"),
        ):
            train_generator(IMAGES, settings(compile=True), tmp_path, seed=0, compute=compute)


def test_what_cannot_be_compiled_is_refused() -> None:
    with pytest.raises(SpecError, match="compile: a GAN that grows changes with every step"):
        parse(TrainingSettings, {"architecture": "pggan", "compile": True}, "train")
    with pytest.raises(SpecError, match="it is not known yet whether stylegan2 trains as well when compiled"):
        parse(TrainingSettings, {"architecture": "stylegan2", "compile": True}, "train")
    assert settings("pggan", compile=True, grow=False).compile
    private = {
        "architecture": {"kind": "dcgan", "discriminator_norm": "group"},
        "differential_privacy": {"epsilon": 10.0},
    }
    with pytest.raises(SpecError, match="Leave precision and compile out"):
        parse(PrivateTraining, {**private, "compile": True}, "train")


def test_the_layout_of_weights_changes_rounding_alone(tmp_path: Path, compute: Compute) -> None:
    paths = [
        train_generator(IMAGES, settings(channels_last=last), tmp_path / str(last), seed=0, compute=compute)
        for last in (True, False)
    ]
    one, other = (load_file(path / "discriminator.safetensors") for path in paths)
    assert all(torch.allclose(one[key].float(), other[key].float(), atol=1e-3) for key in one)
    assert "channels_last" not in settings().recipe()
    assert settings(channels_last=False).recipe()["channels_last"] is False
