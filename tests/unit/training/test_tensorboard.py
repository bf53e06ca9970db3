"""What TensorBoard is told, read back with its own reader."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError
from ganguard.training.early_stopping import Watch
from ganguard.training.loop import train_generator
from ganguard.training.settings import TrainingSettings
from ganguard.training.tensorboard import TensorBoard
from ganguard.training.update import GANTraining

Cli = Callable[..., tuple[int, str, str]]
IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (20, 1, 8, 8), dtype=np.uint8))
SCALARS = {"loss/D", "loss/G", "pace/images per second", "FD to held-out images"}
theirs = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what TensorBoard imports


class Killed(Exception):
    """Raised by a test in place of a kill."""


def settings() -> TrainingSettings:
    architecture = {"kind": "dcgan", "width": 4, "latent_dim": 4}
    return TrainingSettings.model_validate(
        {"architecture": architecture, "batch_size": 4, "steps": 60, "checkpoint_every": 20}
    )


def train(place: Path, compute: Compute, journal: TensorBoard | None) -> Path:
    watch = Watch(lambda images: abs(images.double().mean().item() - 131), every=30, count=5)
    return train_generator(IMAGES, settings(), place, seed=1, compute=compute, watch=watch, journal=journal)


@theirs
def test_losses_scores_pace_and_samples_are_noted(
    tmp_path: Path, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at step 55: what was noted after the state of 40 is noted again, once."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    step = GANTraining.step

    def killed(training: GANTraining, number: int) -> torch.Tensor:
        if number == 55:
            raise Killed
        return step(training, number)

    plain = train(tmp_path / "plain", compute, None)
    for patch in (True, False):
        journal = TensorBoard(tmp_path / "board")
        with monkeypatch.context() as kill:
            if patch:
                kill.setattr(GANTraining, "step", killed)
                with pytest.raises(Killed):
                    train(tmp_path / "noted", compute, journal)
            else:
                noted = train(tmp_path / "noted", compute, journal)
        journal.close()
    assert (
        load_checkpoint(noted).digest() == load_checkpoint(plain).digest()
    )  # nothing depends on who listens
    seen = reader.EventAccumulator(str(tmp_path / "board")).Reload()
    assert set(seen.Tags()["scalars"]) == SCALARS
    assert [event.step for event in seen.Scalars("loss/D")] == [50, 60]
    assert [event.step for event in seen.Scalars("FD to held-out images")] == [0, 30, 60]
    assert [event.step for event in seen.Images("samples")] == [0, 20, 40, 60]
    assert all(event.value > 0 for event in seen.Scalars("pace/images per second"))
    assert (seen.Images("samples")[0].width, seen.Images("samples")[0].height) == (64, 64)  # 64 images of 8x8


@theirs
def test_a_score_has_the_name_that_it_was_given(tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    journal = TensorBoard(tmp_path, judged="loss on held-out images")
    journal.judged(3, 0.5)
    journal.close()
    seen = reader.EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in seen.Scalars("loss on held-out images")] == [(3, 0.5)]


def test_without_tensorboard_one_line_says_what_to_install(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    with pytest.raises(SpecError, match="--tensorboard needs TensorBoard"):
        TensorBoard(tmp_path)
    code, _, err = cli("train", "digits", "--out", "mine", "--tensorboard", "board", "--steps", "2")
    assert (code, err) == (
        2,
        "error: --tensorboard needs TensorBoard. Install it: pip install 'ganguard[tensorboard]'.\n",
    )
    assert not (tmp_path / "mine").exists()
