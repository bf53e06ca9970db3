"""What a flow holds out: which images, their loss by a plain loop, the step that they choose, and kills."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import Tensor

from ganguard.architectures.flow import FlowGenerator
from ganguard.architectures.networks import build_networks
from ganguard.base.cache import file_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError
from ganguard.base.image_rows import ImageRows
from ganguard.base.images import to_float
from ganguard.base.labels import Labels
from ganguard.training.early_stopping import JUDGED, Watch, best_step
from ganguard.training.flow import FlowTraining
from ganguard.training.held_out import HeldOut, hold_out
from ganguard.training.loop import train_generator
from ganguard.training.settings import TrainingSettings

IMAGES = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (20, 1, 8, 8), dtype=np.uint8))
LABELS = Labels(torch.arange(20) % 3, ("a", "b", "c"))


def settings(*, kind: str = "flow", classes: int = 0, **values: object) -> TrainingSettings:
    architecture = {"kind": kind, "width": 4, **({"classes": classes} if classes else {})}
    said = {"architecture": architecture, "batch_size": 8, "steps": 6, "held_out": 0.2, **values}
    return TrainingSettings.model_validate(said)


def train(directory: Path, how: TrainingSettings, *, of: Tensor = IMAGES, **options: object) -> Path:
    return train_generator(of, how, directory, seed=3, compute=Compute(), **options)  # pyright: ignore[reportArgumentType]


def held(share: float = 0.2, *, labels: Labels | None = None, every: int | None = None) -> HeldOut:
    found = hold_out(IMAGES, labels, settings(held_out=share, held_out_every=every), seed=3).held_out
    assert found is not None
    return found


def generator(classes: int) -> FlowGenerator:
    G = build_networks(settings(classes=classes).architecture, (1, 8, 8)).generator
    assert isinstance(G, FlowGenerator)
    torch.nn.init.normal_(G.network.to_image.weight, std=0.1, generator=torch.Generator().manual_seed(3))
    return G


def test_images_are_held_out_or_learnt_from_with_their_classes() -> None:
    shared = hold_out(IMAGES, LABELS, settings(classes=3), seed=3)
    assert shared.held_out is not None and shared.labels is not None and shared.held_out.y is not None
    assert (len(shared.images), len(shared.held_out.images)) == (16, 4)
    classes = {image.numpy().tobytes(): int(y) for image, y in zip(IMAGES, LABELS.numbers, strict=True)}
    found = {
        image.numpy().tobytes(): int(y)
        for images, numbers in (
            (shared.images, shared.labels.numbers),
            (shared.held_out.images, shared.held_out.y),
        )
        for image, y in zip(images, numbers, strict=True)
    }
    assert found == classes
    other = hold_out(IMAGES, None, settings(), seed=4).held_out
    assert other is not None and not torch.equal(other.images, shared.held_out.images)


def test_rows_of_a_map_are_held_out_as_the_images_are() -> None:
    rows = hold_out(ImageRows(IMAGES.flip(0), torch.arange(20).flip(0)), None, settings(), seed=3)
    whole = hold_out(IMAGES, None, settings(), seed=3)
    assert isinstance(rows.images, ImageRows)
    assert torch.equal(rows.images[torch.arange(16)], whole.images)


def test_nothing_is_held_out_unless_a_share_is_set() -> None:
    shared = hold_out(IMAGES, LABELS, settings(held_out=None), seed=3)
    assert (shared.images is IMAGES, shared.labels is LABELS, shared.held_out) == (True, True, None)


@pytest.mark.parametrize("classes", [0, 3])
def test_the_loss_is_the_mean_over_lines_of_all_times(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganguard.training.held_out.DRAWS", 10)  # three times four images
    out, G = held(labels=LABELS if classes else None), generator(classes)
    lines: list[tuple[Tensor, Tensor, Tensor | None]] = []
    velocity = G.velocity

    def noted(x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        lines.extend((x[i], t[i], None if y is None else y[i : i + 1]) for i in range(len(x)))
        return velocity(x, t, y)

    monkeypatch.setattr(G, "velocity", noted)
    found = out.loss(G)
    assert out.loss(G) == found
    assert len(lines) == 24
    wanted = torch.zeros(())
    for place, (between, t, y) in enumerate(lines[:12]):
        x = to_float(out.images[place % 4])
        z = (between - t * x) / (1 - t)
        wanted += (velocity(between[None], t[None], y)[0] - (x - z)).square().mean().detach() / 12
        assert out.y is None or (y is not None and y.item() == out.y[place % 4])
    assert found == pytest.approx(wanted.item(), rel=1e-4)
    times = torch.stack([t for _, t, _ in lines[:12]]).logit().sort().values
    even = torch.distributions.Normal(0.0, 1.0).icdf((torch.arange(12) + 0.5) / 12)
    assert torch.allclose(times, even, atol=1e-4)


def test_the_step_with_the_least_loss_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([5.0, 2.0, 2.5, 3.0])
    monkeypatch.setattr(HeldOut, "loss", lambda self, G, restorer=None: next(scores))
    best = train(tmp_path / "watched", settings(held_out_every=2, ema_decay=0))
    assert json.loads((tmp_path / "watched" / JUDGED).read_text()) == [[0, 5], [2, 2], [4, 2.5], [6, 3]]
    assert best_step(tmp_path / "watched") == 2
    last = load_file(tmp_path / "watched" / "training.safetensors")
    published = load_file(best / "generator.safetensors")
    assert any(not torch.equal(value, last[f"generator/{key}"]) for key, value in published.items())


def test_what_is_held_out_is_not_learnt_from(tmp_path: Path) -> None:
    changed = IMAGES.clone()
    drawn = {image.numpy().tobytes() for image in held().images}
    for row, image in enumerate(IMAGES):
        if image.numpy().tobytes() in drawn:
            changed[row] = 255 - image
    assert not torch.equal(changed, IMAGES)
    for name, images in (("one", IMAGES), ("other", changed)):
        train(tmp_path / name, settings(), of=images)
    one, other = (load_file(tmp_path / name / "training.safetensors") for name in ("one", "other"))
    assert all(torch.equal(value, other[key]) for key, value in one.items())
    looks = [json.loads((tmp_path / name / JUDGED).read_text()) for name in ("one", "other")]
    assert looks[0] != looks[1]


@pytest.mark.parametrize("classes", [0, 3])
def test_a_killed_training_publishes_what_a_whole_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classes: int
) -> None:
    monkeypatch.setattr("ganguard.training.held_out.DRAWS", 8)
    how = settings(held_out_every=1, checkpoint_every=3, classes=classes, ema_decay=0.5)
    labels = {"labels": LABELS if classes else None}
    whole, step = train(tmp_path / "whole", how, **labels), FlowTraining.step

    def until(training: FlowTraining, number: int) -> Tensor:
        if number == 5:
            raise KeyboardInterrupt
        return step(training, number)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(FlowTraining, "step", until)
        train(tmp_path / "killed", how, **labels)
    again = train(tmp_path / "killed", how, **labels)
    assert (tmp_path / "killed" / JUDGED).read_text() == (tmp_path / "whole" / JUDGED).read_text()
    for file in whole.iterdir():
        assert file_digest(file) == file_digest(again / file.name)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kind": "dcgan"}, "held_out belongs to the training of a flow"),
        ({"held_out": None, "held_out_every": 5}, "held_out_every needs held_out"),
        ({"held_out": 1}, "held_out"),
    ],
)
def test_settings_that_choose_nothing_are_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        settings(**values)


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_a_share_that_leaves_nothing_is_refused(tmp_path: Path, share: float) -> None:
    with pytest.raises(SpecError, match="at least one must be held out, and one be left"):
        train(tmp_path, settings(held_out=share))


def test_two_judges_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="this training has a judge already"):
        train(tmp_path, settings(), watch=Watch(lambda images: 0.0, every=2))


def test_a_setting_that_is_not_set_is_in_no_record() -> None:
    said = settings(held_out=None).model_dump()
    assert "held_out" not in said and "held_out_every" not in said
    assert settings(held_out_every=7).continued(5, None, None).held_out is None
