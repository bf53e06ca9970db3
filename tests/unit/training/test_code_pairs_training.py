"""Training on pairs of codes and images: what G learns of single codes, and that kills change nothing."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ganguard.architectures.checkpoint import load_checkpoint, read_description
from ganguard.base.cache import file_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError, SpecError
from ganguard.base.images import to_float
from ganguard.base.labels import Labels
from ganguard.base.seeds import normal
from ganguard.training.guess import Guess
from ganguard.training.loop import train_generator
from ganguard.training.pairs import CodedImages
from ganguard.training.settings import TrainingSettings
from ganguard.training.update import GANTraining

CPU = Compute(device="cpu", threads=1)
CODES = normal(5, "codes", range(24), 4)


def _images() -> Tensor:
    """Images whose left half is as bright as the code's first entry, and the right half as its second."""
    levels = (40 * CODES[:, :2] + 128).clamp(0, 255).to(torch.uint8)
    return levels.repeat_interleave(4, 1)[:, None, None].expand(-1, 1, 8, -1).contiguous()


IMAGES = _images()


class Killed(Exception):
    """Raised by a test in place of a kill."""


def settings(kind: str = "sngan", **values: object) -> TrainingSettings:
    architecture = {"kind": kind, "width": 4} | ({} if kind == "flow" else {"latent_dim": 4})
    usual = {"architecture": architecture, "batch_size": 8, "steps": 6}
    return TrainingSettings.model_validate({**usual, **({} if kind == "flow" else {"n_dis": 1}), **values})


def train(directory: Path, how: TrainingSettings, weight: float = 5.0, **options: Any) -> Path:
    given = {"pairs": CodedImages(CODES, weight, "l1"), **options}
    return train_generator(IMAGES, how, directory, seed=0, compute=CPU, **given)


def distance(checkpoint: Path) -> float:
    G = load_checkpoint(checkpoint).networks.generator.eval()
    with torch.no_grad():
        return (G(CODES) - to_float(IMAGES)).abs().mean().item()


@pytest.mark.parametrize(("norm", "wanted"), [("l1", 3 * 0.75), ("l2", 3 * 1.25)])
def test_the_distance_is_a_mean_over_numbers(norm: str, wanted: float) -> None:
    made, given = torch.tensor([[0.0, 1.0], [1.0, 1.0]]), torch.tensor([[0.0, 0.0], [-1.0, 1.0]])
    assert CodedImages(CODES, 3.0, norm).loss(made, given).item() == pytest.approx(wanted)  # pyright: ignore[reportArgumentType]


def test_pairs_teach_which_image_belongs_to_which_code(tmp_path: Path) -> None:
    how = settings(steps=60, ema_decay=0.9, learning_rate=4e-3)
    with_pairs = distance(train(tmp_path / "pairs", how, 20.0))
    wrong = distance(train(tmp_path / "wrong", how, pairs=CodedImages(CODES.roll(1, 0), 20.0, "l1")))
    assert with_pairs < 0.85 * wrong


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    def kill(done: int, total: int, note: str = "") -> None:
        if done >= 50:
            raise Killed

    how = settings(steps=52, checkpoint_every=12)
    whole = train(tmp_path / "whole", how)
    with pytest.raises(Killed):
        train(tmp_path / "cut", how, progress=kill)
    cut = train(tmp_path / "cut", how)
    assert file_digest(whole / "generator.safetensors") == file_digest(cut / "generator.safetensors")
    before, after = (load_file(path.parent / "training.safetensors") for path in (whole, cut))
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_pairs_are_part_of_what_a_training_is(tmp_path: Path) -> None:
    checkpoint = train(tmp_path, settings())
    assert read_description(checkpoint).provenance["pairs"] == {"weight": 5.0, "norm": "l1"}
    other = {
        "pairs.weight": CodedImages(CODES, 6.0, "l1"),
        "pairs.codes": CodedImages(-CODES, 5.0, "l1"),
        "pairs": None,
    }
    for differs, pairs in other.items():
        with pytest.raises(CheckpointError, match=rf"\({differs}[^)]*\)"):
            train(tmp_path, settings(), pairs=pairs)


def test_the_pairs_of_a_conditional_network_are_of_their_own_classes(tmp_path: Path) -> None:
    """Each pair's loss is that of its code and its class, in bfloat16 too."""
    seen: list[Tensor] = []
    labels = Labels(torch.arange(24) % 3, ("a", "b", "c"))
    architecture = {"kind": "sngan", "width": 4, "latent_dim": 4, "classes": 3}
    returned = GANTraining._returned

    def spied(training: GANTraining, z: Tensor, y: Tensor | None) -> Any:
        assert y is not None
        rows = (z[:, None] == CODES).all(2).nonzero()
        seen.extend(labels.numbers[rows[:, 1]] == y[rows[:, 0]])
        return returned(training, z, y)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GANTraining, "_returned", spied)
        how = settings(architecture=architecture, precision="bf16-mixed", steps=2)
        train(tmp_path, how, labels=labels)
    assert len(seen) == 16
    assert all(seen)


def test_no_style_is_mixed_with_that_of_another_code(tmp_path: Path) -> None:
    drawn: list[bool] = []
    returned = GANTraining._returned

    def spied(training: GANTraining, z: Tensor, y: Tensor | None) -> Any:
        drawn.append(training.networks.generator.random is not None)  # pyright: ignore[reportAttributeAccessIssue]
        return returned(training, z, y)

    how = settings("stylegan2", steps=2, path_length_weight=0, n_dis=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GANTraining, "_returned", spied)
        train(tmp_path, how)
    assert drawn == [True, False, True, False]


def test_pairs_pass_through_the_guess(tmp_path: Path) -> None:
    """An adversary that believes in a change which hides everything learns nothing from the pairs."""
    hidden = Guess("hidden", images=lambda images, _: 0 * images)
    how = settings(steps=3)
    many, few = (train(tmp_path / str(w), how, w, guess=hidden) for w in (1e3, 1.0))
    assert file_digest(many / "generator.safetensors") == file_digest(few / "generator.safetensors")


@pytest.mark.parametrize(
    ("kind", "codes", "said"),
    [
        ("sngan", CODES[:, :3], r"codes of 24 images must be \(24, 4\) for this sngan; got \(24, 3\)"),
        ("sngan", CODES[:5], r"must be \(24, 4\) for this sngan; got \(5, 4\)"),
        ("flow", CODES, "flow has no D, and pairs"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(tmp_path: Path, kind: str, codes: Tensor, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        train(tmp_path, settings(kind), pairs=CodedImages(codes, 1.0, "l1"))
