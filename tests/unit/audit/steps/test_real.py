"""What an audit's record says of a mixed set with stray files."""

from pathlib import Path

import numpy as np
from PIL import Image

from ganguard.audit.plan.ground_work import NoInputs, RealSettings
from ganguard.audit.steps.call import StepCall
from ganguard.audit.steps.real import load_real, run_real
from ganguard.base.compute import Compute
from ganguard.base.progress import silent
from ganguard.data.image_folder import ImageFolder
from ganguard.results.skipped import SkippedRecord, decided, read_skipped


def test_left_out_and_changed_images_reach_the_results(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    (folder / ".ipynb_checkpoints").mkdir(parents=True)
    (folder / ".ipynb_checkpoints" / "0-checkpoint.png").write_bytes(b"")
    for number in range(6):
        shape = (8, 8, 3) if number == 5 else (8, 8)
        Image.fromarray(np.full(shape, number, np.uint8)).save(folder / f"{number}.png")
    (tmp_path / "step").mkdir()
    settings = RealSettings(dataset=ImageFolder(path=str(folder)), fingerprint="x")
    run_real(StepCall(settings, NoInputs(), tmp_path / "step", tmp_path, Compute(), silent))
    assert load_real(tmp_path / "step").images.shape == (6, 3, 8, 8)
    (found,) = read_skipped([("real", tmp_path / "step")])
    assert found == SkippedRecord(step="real", count=0, listed=(), stray=1, made_rgb=5)


def test_what_was_decided_about_folders_reaches_the_results(tmp_path: Path) -> None:
    for number in range(8):
        file = tmp_path / "set" / ("train", "val")[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(file)
    (tmp_path / "step").mkdir()
    settings = RealSettings(dataset=ImageFolder(path=str(tmp_path / "set")), fingerprint="x")
    run_real(StepCall(settings, NoInputs(), tmp_path / "step", tmp_path, Compute(), silent))
    assert load_real(tmp_path / "step").labels is None
    (found,) = read_skipped([("real", tmp_path / "step")])
    said = "real: the folders train, val are splits, and no classes. `class_folders: first` of "
    assert decided(found).startswith(said)
