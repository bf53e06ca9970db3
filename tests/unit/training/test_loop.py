import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.base.cache import file_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError, StepError
from ganguard.base.image_rows import ImageRows
from ganguard.base.images import to_uint8
from ganguard.base.seeds import normal
from ganguard.training.loop import train_generator
from ganguard.training.settings import TrainingSettings
from ganguard.training.state import saved_step
from ganguard.training.update import GANTraining

KINDS = ("dcgan", "sngan")
Train = Callable[..., Path]


class Killed(Exception):
    """Raised by a test in place of a kill."""


def _settings(kind: str = "dcgan", **values: object) -> TrainingSettings:
    architecture = {"kind": kind, "width": 4, "latent_dim": 4}
    return TrainingSettings.model_validate(
        {"architecture": architecture, "batch_size": 8, "steps": 8, **values}
    )


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (20, 1, 8, 8), dtype=np.uint8))


@pytest.fixture
def train(images: Tensor, compute: Compute) -> Train:
    def run(
        directory: Path, settings: TrainingSettings, *, of: Tensor = images, seed: int = 0, **options: object
    ) -> Path:
        return train_generator(of, settings, directory, seed=seed, compute=compute, **options)

    return run


def _kill_at(step: int) -> Callable[..., None]:
    def progress(done: int, total: int, note: str = "") -> None:
        if done >= step:
            raise Killed

    return progress


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_training_goes_on_to_the_same_bits(tmp_path: Path, train: Train, kind: str) -> None:
    """Killed at step 50, between the states of 48 and 60: two steps are done again, and nothing shows it."""
    settings = _settings(kind, steps=52, checkpoint_every=12, n_dis=1)
    whole = train(tmp_path / "whole", settings)
    with pytest.raises(Killed):
        train(tmp_path / "cut", settings, progress=_kill_at(50))
    assert not (tmp_path / "cut" / "checkpoint").exists()
    begun: list[int] = []
    resumed = train(tmp_path / "cut", settings, progress=lambda done, total, note="": begun.append(done))
    assert begun[0] == 48
    for name in ("generator", "discriminator"):
        assert file_digest(whole / f"{name}.safetensors") == file_digest(resumed / f"{name}.safetensors")
    before, after = (load_file(path / "training.safetensors") for path in (whole.parent, resumed.parent))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert {key.split("/")[0] for key in before} == {"random", "generator", "discriminator", "ema", "G", "D"}


def test_a_finished_training_is_not_done_again(tmp_path: Path, train: Train) -> None:
    first = file_digest(train(tmp_path, _settings()) / "generator.safetensors")
    steps: list[int] = []
    again = train(tmp_path, _settings(), progress=lambda done, total, note="": steps.append(done))
    assert steps == [8]
    assert file_digest(again / "generator.safetensors") == first


def test_saving_more_often_changes_nothing(tmp_path: Path, train: Train) -> None:
    seldom, often = (train(tmp_path / str(n), _settings(checkpoint_every=n)) for n in (500, 1))
    assert file_digest(seldom / "generator.safetensors") == file_digest(often / "generator.safetensors")


def test_rows_of_a_map_train_to_the_same_bits_as_a_copy_of_them(
    tmp_path: Path, train: Train, images: Tensor
) -> None:
    """A training that began with the copy goes on with the rows, too."""
    rows = torch.tensor([17, 2, 3, 5, 7, 11, 13])
    mapped = ImageRows(images, rows)
    copied = file_digest(train(tmp_path / "copied", _settings(), of=images[rows]) / "generator.safetensors")
    assert copied == file_digest(train(tmp_path / "mapped", _settings(), of=mapped) / "generator.safetensors")
    steps: list[int] = []
    train(
        tmp_path / "copied", _settings(), of=mapped, progress=lambda done, total, note="": steps.append(done)
    )
    assert steps == [8]


@pytest.mark.parametrize("change", ["settings.batch_size", "seed", "images"])
def test_the_state_of_another_training_is_refused_and_what_differs_is_named(
    tmp_path: Path, train: Train, images: Tensor, change: str
) -> None:
    train(tmp_path, _settings())
    settings = _settings(batch_size=9) if change == "settings.batch_size" else _settings()
    with pytest.raises(
        CheckpointError,
        match=rf"training\.safetensors: belongs to a training with other settings, data or seed \({change}\)",
    ):
        train(tmp_path, settings, seed=int(change == "seed"), of=images[1:] if change == "images" else images)


def test_a_damaged_state_is_refused(tmp_path: Path, train: Train) -> None:
    train(tmp_path, _settings())
    state = tmp_path / "training.safetensors"
    state.write_bytes(state.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match=r"training\.safetensors: not a whole training state"):
        train(tmp_path, _settings())


def test_seed_and_images_decide_the_weights(tmp_path: Path, train: Train, images: Tensor) -> None:
    runs = [("a", 0, images), ("b", 0, images), ("c", 1, images), ("d", 0, 255 - images)]
    digests = [
        file_digest(train(tmp_path / d, _settings(), seed=s, of=x) / "generator.safetensors")
        for d, s, x in runs
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_the_published_generator_is_the_average(tmp_path: Path, train: Train) -> None:
    path = train(tmp_path, _settings(ema_decay=0.9))
    state, published = load_file(tmp_path / "training.safetensors"), load_file(path / "generator.safetensors")
    assert all(torch.equal(value, state[f"ema/{key}"]) for key, value in published.items())
    assert not torch.equal(published["to_image.weight"], state["generator/to_image.weight"])


def test_without_decay_the_last_weights_are_published(tmp_path: Path, train: Train) -> None:
    path = train(tmp_path, _settings(ema_decay=0))
    state, published = load_file(tmp_path / "training.safetensors"), load_file(path / "generator.safetensors")
    assert all(torch.equal(value, state[f"generator/{key}"]) for key, value in published.items())


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("pggan", {"augment": "diffaugment"}),
        ("pggan", {"grow": False, "penalty_every": 3}),
        ("stylegan2", {"penalty_every": 4, "path_length_every": 3}),
        ("dcgan", {"penalty": "r1", "drift": 0.1}),
        ("sngan", {"loss": "wasserstein", "penalty": "gradient", "n_dis": 2}),
        (
            "dcgan",
            {"augment": {"kind": "ada", "images": 900, "start": 0.3, "changes": ["rotation", "noise"]}},
        ),
        ("dcgan", {"lecam_weight": 0.3}),
    ],
)
def test_penalties_growth_and_changes_go_on_to_the_same_bits(
    tmp_path: Path, train: Train, kind: str, values: dict[str, object]
) -> None:
    """Killed at step 50, amid the growth of what grows."""
    settings = _settings(kind, steps=60, checkpoint_every=12, **{"n_dis": 1, **values})
    images = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (20, 1, 16, 16), dtype=np.uint8))
    whole = train(tmp_path / "whole", settings, of=images)
    with pytest.raises(Killed):
        train(tmp_path / "killed", settings, of=images, progress=_kill_at(50))
    assert saved_step(tmp_path / "killed" / "training.safetensors") == 48
    again = train(tmp_path / "killed", settings, of=images)
    for network in ("generator", "discriminator"):
        assert file_digest(whole / f"{network}.safetensors") == file_digest(again / f"{network}.safetensors")


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("dcgan", {}, {"penalty": "r1"}),
        ("dcgan", {}, {"drift": 1.0}),
        ("dcgan", {}, {"augment": "diffaugment"}),
        ("dcgan", {}, {"augment": {"kind": "ada", "start": 0.5}}),
        ("dcgan", {}, {"lecam_weight": 0.1}),
        ("pggan", {}, {"grow": False}),
        ("pggan", {}, {"penalty_weight": 1.0}),
        ("pggan", {}, {"penalty_every": 2}),
        ("stylegan2", {}, {"path_length_weight": 0.0}),
        ("stylegan2", {}, {"path_length_every": 1}),
        ("biggan", {}, {"orthogonal_weight": 0.0}),
        ("biggan", {}, {"generator_pace": 1.0}),
        ("dcgan", {}, {"generator_pace": 0.5}),
    ],
)
def test_every_setting_makes_a_difference(
    tmp_path: Path, train: Train, kind: str, one: dict[str, object], other: dict[str, object]
) -> None:
    paths = [
        train(tmp_path / name, _settings(kind, **values)) for name, values in (("one", one), ("other", other))
    ]
    assert file_digest(paths[0] / "generator.safetensors") != file_digest(paths[1] / "generator.safetensors")


def test_a_gan_that_grew_is_whole_in_the_end(tmp_path: Path, train: Train) -> None:
    images = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (20, 1, 16, 16), dtype=np.uint8))
    G = load_checkpoint(train(tmp_path, _settings("pggan", steps=10), of=images)).networks.generator
    found = G(torch.randn(2, 4))
    assert not torch.equal(found[:, :, ::2, ::2], found[:, :, 1::2, 1::2])


@pytest.mark.parametrize("n_dis", [1, 3])
def test_each_network_is_updated_as_often_as_said(tmp_path: Path, train: Train, n_dis: int) -> None:
    train(tmp_path, _settings(n_dis=n_dis))
    state = load_file(tmp_path / "training.safetensors")
    assert (state["G/0/step"].item(), state["D/0/step"].item()) == (8, 8 * n_dis)


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_that_diverges_says_so(tmp_path: Path, train: Train, kind: str) -> None:
    with pytest.raises(
        StepError, match=r"the loss is (nan|inf|-inf) at step 30. No state had been saved before. Lower"
    ):
        train(tmp_path, _settings(kind, steps=30, learning_rate=1e30, n_dis=1))
    assert not (tmp_path / "checkpoint").exists()


def test_a_training_that_diverges_names_its_last_good_state(
    tmp_path: Path, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = GANTraining.step

    def wild_from_25(training: GANTraining, number: int) -> torch.Tensor:
        return step(training, number) * (math.nan if number >= 25 else 1)

    monkeypatch.setattr(GANTraining, "step", wild_from_25)
    with pytest.raises(
        StepError, match=r"nan at step 30. The last good state is that of step 20, in .*training.safetensors"
    ):
        train(tmp_path, _settings(steps=40, checkpoint_every=10))
    assert saved_step(tmp_path / "training.safetensors") == 20


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", [40, 215])
def test_the_level_of_constant_images_is_learnt(tmp_path: Path, train: Train, kind: str, level: int) -> None:
    flat = torch.full((16, 1, 8, 8), level, dtype=torch.uint8)
    path = train(tmp_path, _settings(kind, steps=100, learning_rate=2e-3, ema_decay=0.9), of=flat)
    with torch.inference_mode():
        images = load_checkpoint(path).networks.generator(normal(1, "latents", range(64), 4))
    assert abs(to_uint8(images).float().mean().item() - level) < 45  # 88 away before training


def test_global_random_states_are_left_alone(tmp_path: Path, train: Train) -> None:
    torch.manual_seed(3)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 - the state is the point
    first = train(tmp_path / "a", _settings())
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    torch.manual_seed(4)
    assert file_digest(first / "generator.safetensors") == file_digest(
        train(tmp_path / "b", _settings()) / "generator.safetensors"
    )


def test_progress_ends_at_the_last_step(tmp_path: Path, train: Train) -> None:
    calls: list[tuple[int, int]] = []
    train(tmp_path, _settings(steps=60), progress=lambda done, total, note="": calls.append((done, total)))
    assert calls == [(0, 60), (50, 60), (60, 60)]


def test_provenance_repeats_the_training(tmp_path: Path, train: Train) -> None:
    provenance = load_checkpoint(train(tmp_path, _settings(), seed=7)).description.provenance
    assert (provenance["seed"], provenance["images"], provenance["training"]["steps"]) == (7, 20, 8)


def test_fewer_images_than_a_batch_are_enough(tmp_path: Path, train: Train, images: Tensor) -> None:
    assert load_checkpoint(train(tmp_path, _settings(), of=images[:1])).networks.generator.latent_dim == 4
