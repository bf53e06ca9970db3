"""Trainings with labels: whatever a training can do, it does with classes, and learns each as such."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from ganguard.architectures.checkpoint import load_checkpoint, read_description
from ganguard.architectures.networks import Classifying, DiscriminatorNetwork, Networks
from ganguard.base.cache import content_key, file_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError, SpecError
from ganguard.base.images import to_float
from ganguard.base.labels import Labels
from ganguard.training import update
from ganguard.training.assembling import set_up
from ganguard.training.classes import labels_to_learn
from ganguard.training.early_stopping import Watch, best_step, images_of, in_proportion
from ganguard.training.initial_weights import RANDOM_WEIGHTS
from ganguard.training.loop import train_generator
from ganguard.training.processes import ONE_DEVICE, launched
from ganguard.training.settings import TrainingSettings
from ganguard.training.state import saved_step
from ganguard.training.update import Batch, GANTraining

KINDS = ("acgan", "biggan", "sngan", "stylegan2")
NAMES = ("dark", "grey", "bright")
LARGER = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (20, 1, 16, 16), dtype=np.uint8))
IMAGES = LARGER[..., :8, :8].contiguous()
LABELS = Labels(torch.arange(20) % 3, NAMES)


class Killed(Exception):
    """Raised by a test in place of a kill."""


def settings(kind: str = "sngan", *, classes: int = 3, width: int = 4, **values: object) -> TrainingSettings:
    architecture = {
        "kind": kind,
        "width": width,
        "latent_dim": 4,
        **({"classes": classes} if classes else {}),
    }
    said = {"architecture": architecture, "batch_size": 8, "steps": 2, "n_dis": 1, **values}
    return TrainingSettings.model_validate(said)


def train(
    directory: Path, how: TrainingSettings, *, labels: Labels | None = LABELS, **options: object
) -> Path:
    images = options.pop("of", IMAGES)
    return train_generator(images, how, directory, seed=0, compute=Compute(), labels=labels, **options)  # pyright: ignore


def killed_at(step: int, act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = GANTraining.step

    def until(training: GANTraining, number: int) -> Tensor:
        if number == step:
            raise Killed
        return whole(training, number)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(GANTraining, "step", until)
        act()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("sngan", {"penalty": "gradient", "augment": "diffaugment"}),
        ("acgan", {"penalty": "gradient", "precision": "bf16-mixed"}),
        ("biggan", {"precision": "bf16-mixed", "penalty": "r1"}),
        ("stylegan2", {"penalty_every": 2, "path_length_every": 2}),
        *(
            pytest.param(kind, values, marks=pytest.mark.slow)
            for kind, values in (
                ("sngan", {"penalty": "r1", "n_dis": 2, "precision": "bf16-mixed"}),
                ("acgan", {"augment": "diffaugment"}),
                ("biggan", {"n_dis": 2}),
                ("stylegan2", {"precision": "bf16-mixed", "path_length_every": 2}),
            )
        ),
    ],
)
def test_a_killed_training_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, values: dict[str, object]
) -> None:
    """Killed at step 3, after the state of 2: a step is done again."""
    how = settings(kind, steps=4, checkpoint_every=2, **values)
    whole = train(tmp_path / "whole", how)
    killed_at(3, lambda: train(tmp_path / "cut", how), monkeypatch)
    assert saved_step(tmp_path / "cut" / "training.safetensors") == 2
    resumed = train(tmp_path / "cut", how)
    for network in ("generator", "discriminator"):
        assert file_digest(whole / f"{network}.safetensors") == file_digest(
            resumed / f"{network}.safetensors"
        )
    assert read_description(resumed).class_names == NAMES


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "learning_rate"), [("acgan", 2e-3), ("biggan", 4e-3), ("sngan", 1e-2)])
def test_each_class_is_learnt_as_such(tmp_path: Path, kind: str, learning_rate: float) -> None:
    """Each class has another half of the image bright, beside noise."""
    y, random = torch.arange(3).repeat(32), torch.Generator().manual_seed(0)
    bright = torch.full((3, 1, 8, 8), 60.0)
    bright[0, :, :, :4] = bright[1, :, :, 4:] = bright[2, :, :4] = 200
    images = bright[y] + 25 * torch.randn(96, 1, 8, 8, generator=random)
    values = {"steps": 300, "learning_rate": learning_rate, "ema_decay": 0.9, "batch_size": 24}
    how = settings(kind, width=8, **values)
    path = train(tmp_path, how, of=images.clamp(0, 255).to(torch.uint8), labels=Labels(y, NAMES))
    made = images_of(load_checkpoint(path).networks.generator, 1, "latents", 96).float()
    nearest = (made[:, None] - bright).square().sum((2, 3, 4)).argmin(1)
    assert (nearest == torch.arange(96) % 3).double().mean() > 0.6


@pytest.mark.parametrize("kind", KINDS)
def test_other_labels_make_other_networks(tmp_path: Path, kind: str) -> None:
    other = Labels(LABELS.numbers.flip(0), NAMES)
    paths = [
        train(tmp_path / name, settings(kind, steps=1), labels=labels)
        for name, labels in (("one", LABELS), ("other", other))
    ]
    for network in ("generator", "discriminator"):
        digests = [file_digest(path / f"{network}.safetensors") for path in paths]
        assert digests[0] != digests[1]


def test_a_state_of_other_labels_or_names_is_refused(tmp_path: Path) -> None:
    train(tmp_path, settings())
    for labels, what in (
        (Labels(LABELS.numbers.flip(0), NAMES), "labels"),
        (Labels(LABELS.numbers, ("dark", "bright", "grey")), "names"),
    ):
        with pytest.raises(CheckpointError, match=rf"with other settings, data or seed \({what}\)"):
            train(tmp_path, settings(steps=5), labels=labels)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (None, "sngan with 3 classes learns from images with labels, and these have none"),
        (Labels(torch.arange(20) % 2, ("a", "b")), "has 3 classes, and the images have 2. Set classes: 2"),
        (Labels(torch.arange(20) % 4, (*NAMES, "x")), "has 3 classes, and the images have 4. Set classes: 4"),
        (Labels(torch.arange(19) % 3, NAMES), r"labels must be \(20,\) int64; got torch.int64 \(19,\)"),
        (Labels(torch.arange(20.0) % 3, NAMES), r"labels must be \(20,\) int64; got torch.float32"),
        (Labels(torch.arange(20) % 4, NAMES), "labels must be 0 to 2; got 0 to 3"),
        (Labels(torch.arange(20) % 3 - 1, NAMES), "labels must be 0 to 2; got -1 to 1"),
    ],
)
def test_labels_that_do_not_fit_are_refused_before_anything(
    tmp_path: Path, labels: Labels | None, said: str
) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        train(tmp_path, settings(), labels=labels)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_has_no_classes_takes_no_labels(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="sngan has no classes, and labels were given"):
        train(tmp_path, settings(classes=0))


def test_a_checkpoint_of_other_classes_is_no_beginning(tmp_path: Path) -> None:
    begun = train(tmp_path / "begun", settings())
    kept = train(tmp_path / "on", settings(beginning={"checkpoint": str(begun)}, learning_rate=1e-12))
    before, after = (load_file(path / "generator.safetensors") for path in (begun, kept))
    assert torch.allclose(before["blocks.0.norm1.scale.weight"], after["blocks.0.norm1.scale.weight"])
    how = settings(beginning={"checkpoint": str(begun)})
    with pytest.raises(SpecError, match=r"its class 1 is 'grey', and the images' is 'bright'"):
        train(tmp_path / "x", how, labels=Labels(LABELS.numbers, ("dark", "bright", "grey")))
    with pytest.raises(SpecError, match=r"sngan classes 3 latent_dim 4 width 4 for images .* not sngan"):
        train(tmp_path / "x", settings(classes=0, beginning={"checkpoint": str(begun)}), labels=None)
    assert not (tmp_path / "x").exists()


def test_the_classes_of_a_beginning_are_those_to_train_on(tmp_path: Path) -> None:
    begun = train(tmp_path / "begun", settings())
    how = TrainingSettings.model_validate({"beginning": {"checkpoint": str(begun)}, "architecture": "sngan"})
    assert how.architecture == settings().architecture


def test_the_judge_sees_each_class_in_its_proportion(tmp_path: Path) -> None:
    """The images of classes are told apart by their level."""
    y = torch.tensor([0] * 6 + [1] * 3 + [2])
    assert in_proportion(y, 20).bincount().tolist() == [12, 6, 2]
    assert in_proportion(y.flip(0), 3).tolist() == [0, 0, 1]
    labels, asked = Labels(y.repeat(2), NAMES), list[Tensor]()
    watch = Watch(lambda images: asked.append(images) or float(-len(asked)), every=2, count=10)
    path = train(tmp_path, settings(ema_decay=0), watch=watch, labels=labels)
    assert best_step(tmp_path) == 2
    G = load_checkpoint(path).networks.generator
    assert torch.equal(asked[-1], images_of(G, 0, "judged", 10, y))
    assert not torch.equal(asked[-1], images_of(G, 0, "judged", 10))


@pytest.mark.parametrize("moment", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_a_killed_training_publishes_what_a_whole_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    watch = Watch(lambda images: float(images.double().mean()), every=2, count=6)
    how = settings("acgan", checkpoint_every=2, steps=5)
    whole = train(tmp_path / "whole", how, watch=watch)
    killed_at(moment, lambda: train(tmp_path / "cut", how, watch=watch), monkeypatch)
    resumed = train(tmp_path / "cut", how, watch=watch)
    assert file_digest(whole / "generator.safetensors") == file_digest(resumed / "generator.safetensors")
    assert best_step(tmp_path / "whole") == best_step(tmp_path / "cut")


class Shared(DiscriminatorNetwork):
    """Scores images by their mean, and classes by their first pixels."""

    class_weight, classes = 0.5, 3

    def __init__(self, *, independent_rows: bool) -> None:
        super().__init__()
        self.independent_rows = independent_rows
        self.weight = nn.Parameter(torch.ones(()))

    def features(self, images: Tensor) -> Tensor:
        return self.weight * images.flatten(1)

    def head(self, features: Tensor, y: Tensor | None = None) -> Tensor:
        return features.mean(1, keepdim=True)

    def logits(self, features: Tensor) -> Tensor:
        return features[:, :3]


@pytest.mark.parametrize("independent_rows", [True, False])
def test_both_losses_have_the_cross_entropy_of_the_classes(independent_rows: bool) -> None:
    """Odena et al. 2017, equations 2 and 3: D's of real and of generated images, G's of generated ones."""
    fabric = launched("cpu", "32-true", ONE_DEVICE)
    training = set_up(IMAGES, settings("acgan"), 0, fabric, RANDOM_WEIGHTS)
    D = Shared(independent_rows=independent_rows)
    assert isinstance(D, Classifying)
    training.networks = Networks(training.networks.generator, D)
    y = torch.tensor([0, 2, 1, 1])
    real, fake = Batch(to_float(IMAGES[:4]), y), Batch(to_float(IMAGES[4:8]), y.flip(0))
    loss = training._discriminator_loss(real, fake, 0)  # pyright: ignore[reportPrivateUsage]
    wanted, entropies = torch.zeros(()), list[Tensor]()
    for batch, sign in ((real, -1), (fake, 1)):
        features = batch.images.flatten(1)
        assert batch.y is not None
        entropies.append(-torch.log_softmax(features[:, :3], 1)[torch.arange(4), batch.y].mean())
        wanted = wanted + F.softplus(sign * features.mean(1)).mean() + 0.5 * entropies[-1]
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
    judged = training._judged(fake)  # pyright: ignore[reportPrivateUsage]
    assert torch.as_tensor(judged.of_classes).item() == pytest.approx(0.5 * entropies[1].item(), rel=1e-5)


def test_the_generator_of_an_acgan_is_told_its_classes(tmp_path: Path) -> None:
    """Without the cross-entropy in G's loss its embedding would hardly move: D's scores know no classes."""
    fabric = launched("cpu", "32-true", ONE_DEVICE)
    slopes: list[float] = []
    for weight in (1.0, 0.0):
        training = set_up(IMAGES, settings("acgan"), 0, fabric, RANDOM_WEIGHTS)
        training.labels = LABELS.numbers
        training.networks.discriminator.class_weight = weight  # pyright: ignore[reportAttributeAccessIssue]
        training.step(0)
        G = training.networks.generator
        slopes.append(G.embedding.weight.grad.norm().item())  # pyright: ignore
    assert slopes[0] > 0 and slopes[0] != slopes[1]


@pytest.mark.parametrize(("kind", "name"), [("sngan", "r1"), ("biggan", "gradient_penalty"), ("acgan", "r1")])
def test_penalties_are_taken_at_images_of_their_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    penalty: Callable[..., Tensor] = getattr(update, name)
    seen: list[Tensor] = []

    def watched(D: DiscriminatorNetwork, real: Tensor, *rest: Tensor) -> Tensor:
        rows = [next(n for n, x in enumerate(to_float(IMAGES)) if torch.equal(x, image)) for image in real]
        assert torch.equal(rest[-1], LABELS.numbers[rows])
        seen.append(rest[-1])
        return penalty(D, real, *rest)

    monkeypatch.setattr(update, name, watched)
    train(tmp_path, settings(kind, penalty="r1" if name == "r1" else "gradient", steps=2))
    assert [len(y) for y in seen] == [8, 8]


def test_generated_images_are_asked_for_in_the_proportions_of_the_labels() -> None:
    training = set_up(IMAGES, settings(), 0, launched("cpu", "32-true", ONE_DEVICE), RANDOM_WEIGHTS)
    training.labels, training.batch_size = torch.tensor([0] * 7 + [2] * 3), 4000
    asked = training._asked()  # pyright: ignore[reportPrivateUsage]
    assert asked is not None
    assert asked.bincount(minlength=3).tolist() == pytest.approx([2800, 0, 1200], abs=120)


BEFORE = {
    "dcgan": ("5cd14b7eb98cd410", "e7e191831da5d301", "32c64406239bc981"),
    "sngan": ("05880763cbc1246f", "475d242f21f91e99", "7da051226d3cdb79"),
    "pggan": ("2f89630205594788", "a14d83483519db7d", "0e16436845dfee94"),
    "stylegan2": ("cc2c54d721b54883", "a72cdf6ccd6320d5", "732f899d9d18ec9e"),
}
"""Of the version before there were classes: digests of the random state after a training, of the identity of
that state, and of what the checkpoint says."""


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("dcgan", {"penalty": "r1", "augment": "diffaugment"}),
        ("sngan", {"penalty": "gradient", "n_dis": 2}),
        ("pggan", {"augment": "diffaugment"}),
        ("stylegan2", {"penalty_every": 3, "path_length_every": 2}),
    ],
)
def test_a_training_without_labels_is_what_it_was_before(
    tmp_path: Path, kind: str, values: dict[str, object]
) -> None:
    architecture = {"kind": kind, "width": 2, "latent_dim": 4}
    said = {"architecture": architecture, "batch_size": 4, "steps": 4, **values}
    watch = Watch(lambda images: float(images.double().mean()), every=2, count=5, judged_by="mean")
    how = TrainingSettings.model_validate(said)
    checkpoint = train_generator(LARGER, how, tmp_path, seed=3, compute=Compute(), watch=watch)
    with safe_open(tmp_path / "training.safetensors", "pt") as state:
        random = state.get_tensor("random").numpy().tobytes()
        identity = json.loads(state.metadata()["training"])["identity"]
    description = json.loads((checkpoint / "checkpoint.json").read_text())
    del description["digests"], description["ganguard"]
    (tmp_path / "random").write_bytes(random)
    digests = file_digest(tmp_path / "random"), content_key(said=identity), content_key(said=description)
    assert tuple(digest[:16] for digest in digests) == BEFORE[kind]


def test_a_class_without_an_image_to_train_on_is_refused_by_name() -> None:
    y = torch.tensor([0, 0, 1, 2])
    found = labels_to_learn(settings(), y, NAMES, torch.tensor([0, 2, 3]))
    assert found is not None
    assert (found.numbers.tolist(), found.names) == ([0, 1, 2], NAMES)
    assert labels_to_learn(settings(classes=0), y, NAMES, torch.tensor([0])) is None
    with pytest.raises(
        SpecError, match=r"^class 'bright': none of the images to train on has it\. Give more"
    ):
        labels_to_learn(settings(), y, NAMES, torch.tensor([0, 1, 2]))
    with pytest.raises(SpecError, match=r"^class 'grey' and 1 others: none of the images"):
        labels_to_learn(settings(), y, NAMES, torch.tensor([0, 1]))
