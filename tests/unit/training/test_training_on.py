"""A finished training that goes on: more steps, other threads, or the weights of another checkpoint."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ganguard.architectures.checkpoint import load_checkpoint, read_description
from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError, SpecError
from ganguard.base.seeds import normal
from ganguard.base.settings import parse
from ganguard.comparison.watch import watch_by_distance
from ganguard.training.early_stopping import JUDGED, Watch, best_step
from ganguard.training.loop import train_generator
from ganguard.training.settings import TrainingSettings
from ganguard.training.state import saved_training

IMAGES = torch.arange(20 * 256).remainder(251).to(torch.uint8).view(20, 1, 16, 16)
CPU = Compute(device="cpu", threads=1)


class Killed(Exception):
    """Raised by a test in place of a kill."""


def settings(**values: object) -> TrainingSettings:
    architecture = {"kind": "sngan", "width": 4, "latent_dim": 4}
    usual = {"architecture": architecture, "batch_size": 8, "n_dis": 1, "checkpoint_every": 2}
    return TrainingSettings.model_validate({**usual, **values})


def train(directory: Path, compute: Compute = CPU, **values: object) -> Path:
    return train_generator(IMAGES, settings(**values), directory, seed=0, compute=compute)


def digest(checkpoint: Path) -> str:
    return load_checkpoint(checkpoint).digest()


def parts(checkpoint: Path) -> list[tuple[int | None, object, int]]:
    """Return until, laid-out steps and threads of every part that a checkpoint tells."""
    said = read_description(checkpoint).provenance.get("parts", [])
    return [(part.get("until"), part["how"].get("steps"), part["how"]["threads"]) for part in said]


@pytest.mark.parametrize("first", [3, 4])
def test_more_steps_without_a_schedule_give_the_bits_of_one_go(tmp_path: Path, first: int) -> None:
    whole = train(tmp_path / "whole", steps=8, learning_rate_decay="none")
    train(tmp_path / "on", steps=first, learning_rate_decay="none")
    on = train(tmp_path / "on", steps=8, learning_rate_decay="none")
    assert digest(on) == digest(whole)
    assert parts(on) == []
    states = [load_file(path.parent / "training.safetensors") for path in (whole, on)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_what_follows_d_goes_on_where_it_was(tmp_path: Path) -> None:
    """After six updates of D, ADA has gathered half of the signs that it next moves p by."""
    ada = {"kind": "ada", "images": 320, "start": 0.5}
    how = {"learning_rate_decay": "none", "augment": ada, "lecam_weight": 0.3}
    whole = train(tmp_path / "whole", steps=9, **how)
    train(tmp_path / "on", steps=6, **how)
    halfway = load_file(tmp_path / "on" / "training.safetensors")
    assert abs(halfway["augmentation/p"].item() - 0.5) == pytest.approx(0.1)
    assert halfway["lecam/updates"].item() == 6 and halfway["lecam/anchors"].abs().min() > 0
    assert digest(train(tmp_path / "on", steps=9, **how)) == digest(whole)
    states = [load_file(tmp_path / place / "training.safetensors") for place in ("whole", "on")]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_more_steps_follow_the_new_schedule_and_the_checkpoint_says_so(tmp_path: Path) -> None:
    """The learning rate of step 4 of 8 is half of the first, whereas a training of 4 ended near 0."""
    short = train(tmp_path, steps=4, ema_decay=0)
    before = load_checkpoint(short).networks.generator.state_dict()
    on = train(tmp_path, steps=8, ema_decay=0)
    assert parts(on) == [(4, 4, 1), (None, 8, 1)]
    after = load_checkpoint(on).networks.generator.state_dict()
    assert any(not torch.equal(before[key], after[key]) for key in before)
    assert load_file(tmp_path / "training.safetensors")["G/0/step"].item() == 8
    again = train(tmp_path, steps=10, ema_decay=0)
    assert parts(again) == [(4, 4, 1), (8, 8, 1), (None, 10, 1)]


def test_a_kill_after_steps_were_raised_changes_nothing(tmp_path: Path) -> None:
    def kill(done: int, total: int, note: str = "") -> None:
        if done >= 50:
            raise Killed

    long = settings(steps=51, checkpoint_every=12)
    for name in ("whole", "cut"):
        train(tmp_path / name, steps=6)
    whole = train_generator(IMAGES, long, tmp_path / "whole", seed=0, compute=CPU)
    with pytest.raises(Killed):
        train_generator(IMAGES, long, tmp_path / "cut", seed=0, compute=CPU, progress=kill)
    saved = saved_training(tmp_path / "cut" / "training.safetensors")
    assert saved
    assert [(part.until, part.how["steps"]) for part in saved.parts] == [(6, 6), (48, 51)]
    cut = train_generator(IMAGES, long, tmp_path / "cut", seed=0, compute=CPU)
    assert digest(cut) == digest(whole)
    assert parts(cut) == parts(whole) == [(6, 6, 1), (None, 51, 1)]


def test_a_gan_that_grew_stays_whole(tmp_path: Path) -> None:
    """A training of 30 steps has 4x4 pixels alone in its first six."""
    architecture = {"kind": "pggan", "width": 4, "latent_dim": 4}
    train(tmp_path, steps=6, architecture=architecture)
    on = train(tmp_path, steps=30, architecture=architecture)
    G = load_checkpoint(on).networks.generator
    images = G(normal(0, "z", range(2), 4))
    assert not torch.equal(images[:, :, ::2, ::2], images[:, :, 1::2, 1::2])
    state = load_file(tmp_path / "training.safetensors")
    names = [name for name, _ in G.named_parameters()]
    updates = int(state[f"G/{names.index('blocks.1.conv.weight')}/step"])
    assert updates >= 24  # of the newest level: all of the later ones, and those that the first part gave it


def test_fewer_steps_than_were_done_are_refused(tmp_path: Path) -> None:
    train(tmp_path, steps=4)
    with pytest.raises(CheckpointError, match=r"has come to step 4, and steps is 3. Raise steps, or choose"):
        train(tmp_path, steps=3)


def test_other_threads_are_no_other_data(tmp_path: Path) -> None:
    for steps, threads in ((2, 1), (4, 2)):
        on = train(tmp_path, Compute(device="cpu", threads=threads), steps=steps, learning_rate_decay="none")
    assert parts(on) == [(2, None, 1), (None, None, 2)]  # pyright: ignore[reportPossiblyUnboundVariable]


@pytest.mark.parametrize("how", [{"channels_last": False}, {"device": "auto"}])
def test_another_way_to_compute_is_no_other_data(tmp_path: Path, how: dict[str, object]) -> None:
    train(tmp_path, steps=2)
    compute = Compute.model_validate({"device": how.pop("device", "cpu"), "threads": 1})
    train(tmp_path, compute, steps=4, **how)
    saved = saved_training(tmp_path / "training.safetensors")
    assert saved
    assert saved.step == 4


def test_a_finished_training_is_published_as_it_was_computed(tmp_path: Path) -> None:
    before = train(tmp_path, steps=2)
    said = read_description(before)
    assert read_description(train(tmp_path, Compute(device="cpu", threads=2), steps=2)) == said


def test_a_judge_that_measures_with_other_threads_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads change the last bits of features, and with them the scale that is fitted to them."""
    said = set[str]()
    for threads, bits in ((1, 0.0), (2, 1e-6)):
        monkeypatch.setattr(
            "ganguard.comparison.watch.extract_stream",
            lambda network, parts, compute, bits=bits: (
                torch.randn(20, 8, generator=torch.manual_seed(0)) + bits
            ),
        )
        compute = Compute(device="cpu", threads=threads)
        said.add(watch_by_distance(IMAGES, "random_network", compute, every=2).judged_by)
    assert len(said) == 1


def test_a_judge_goes_on_looking(tmp_path: Path) -> None:
    """The look after step 3, the last one then, stays."""
    scores = iter([5.0, 4.0, 3.0, 6.0, 7.0])
    watch = Watch(lambda images: next(scores), every=2, count=3)
    for steps in (3, 6):
        train_generator(IMAGES, settings(steps=steps), tmp_path, seed=0, compute=CPU, watch=watch)
    assert json.loads((tmp_path / JUDGED).read_text()) == [[0, 5], [2, 4], [3, 3], [4, 6], [6, 7]]
    assert best_step(tmp_path) == 3


@pytest.mark.parametrize("kind", ["sngan", "pggan"])
def test_a_training_begins_with_the_weights_of_a_checkpoint(tmp_path: Path, kind: str) -> None:
    architecture = {"kind": kind, "width": 4, "latent_dim": 4}
    begun = train(tmp_path / "begun", steps=2, architecture=architecture)
    on = train(
        tmp_path / "on", steps=1, learning_rate=1e-12, architecture=None, beginning={"checkpoint": str(begun)}
    )
    found, wanted = (load_checkpoint(path) for path in (on, begun))
    assert found.description.architecture == wanted.description.architecture
    for network in ("generator", "discriminator"):
        now, before = (dict(getattr(each.networks, network).named_parameters()) for each in (found, wanted))
        assert all(torch.allclose(now[key], before[key], atol=1e-6) for key in before)
    assert found.description.provenance["beginning"]


def test_the_kind_alone_stands_for_the_checkpoints_architecture(tmp_path: Path) -> None:
    begun = {"checkpoint": str(train(tmp_path, steps=1))}
    assert settings(architecture="sngan", beginning=begun) == settings(beginning=begun)
    wide = settings(architecture={"kind": "sngan"}, beginning=begun)
    with pytest.raises(SpecError, match="another architecture than the network to train"):
        train_generator(IMAGES, wide, tmp_path / "on", seed=0, compute=CPU)


def test_a_checkpoint_that_moved_is_the_same_beginning(tmp_path: Path) -> None:
    begun = train(tmp_path / "begun", steps=2)
    on = train(tmp_path / "on", steps=2, beginning={"checkpoint": str(begun)})
    moved = begun.rename(tmp_path / "moved")
    assert digest(train(tmp_path / "on", steps=2, beginning={"checkpoint": str(moved)})) == digest(on)


def test_another_beginning_is_another_training(tmp_path: Path) -> None:
    begun = train(tmp_path / "begun", steps=2)
    train(tmp_path / "on", steps=2)
    with pytest.raises(CheckpointError, match=r"other settings, data or seed \(beginning\)"):
        train(tmp_path / "on", steps=2, beginning={"checkpoint": str(begun)})


def test_a_beginning_of_another_architecture_or_size_is_refused(tmp_path: Path) -> None:
    begun = {"checkpoint": str(train(tmp_path / "begun", steps=1))}
    with pytest.raises(
        SpecError, match=r"another architecture than the network to train: sngan .*, not dcgan"
    ):
        train(tmp_path / "on", beginning=begun, architecture="dcgan")
    small = IMAGES[:, :, :8, :8].contiguous()
    with pytest.raises(SpecError, match=r"for images \(1, 16, 16\) .*, not sngan .* for images \(1, 8, 8\)"):
        train_generator(small, settings(beginning=begun), tmp_path / "small", seed=0, compute=CPU)


@pytest.mark.parametrize("said", ["runs/mine", {"checkpont": "x"}, {"checkpoint": 3}, {}, []])
@pytest.mark.parametrize("architecture", ["sngan", None])
def test_a_beginning_is_a_mapping_with_a_checkpoint(said: object, architecture: str | None) -> None:
    with pytest.raises(SpecError, match=r"beginning: must be \{checkpoint: …\}, a directory"):
        parse(TrainingSettings, {"beginning": said, "architecture": architecture}, "train")


def test_a_beginning_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no checkpoint\.json"):
        settings(architecture=None, beginning={"checkpoint": str(tmp_path)})
