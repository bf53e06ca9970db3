"""ADA: how p follows D, what each change does, and that a training with it resumes."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ganguard.base.errors import SpecError
from ganguard.base.settings import parse
from ganguard.training.adaptive import (
    CHANGES,
    NUMBERS,
    Adaptive,
    AdaptiveAugmentation,
    Change,
    changed,
    coloured,
    moved,
    normal_of,
)
from ganguard.training.settings import TrainingSettings


def _images(count: int = 6, channels: int = 3, height: int = 8, width: int = 8) -> Tensor:
    return torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(0))


def _uniform(count: int, seed: int = 1) -> Callable[..., Tensor]:
    source = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.rand(count, *shape, generator=source)


def _moved(
    images: Tensor, mirror: int = 1, shift: tuple[int, int] = (0, 0), scale: float = 1, angle: float = 0
):
    every = torch.ones(len(images))
    return moved(images, mirror * every, torch.tensor([shift] * len(images)), scale * every, angle * every)


def _noted(ada: AdaptiveAugmentation, scores: Tensor, updates: range, images: int = 10) -> list[float]:
    found: list[float] = []
    for update in updates:
        ada.note(scores, update, images, lambda x: x)
        found.append(round(ada.p.item(), 6))
    return found


def test_p_rises_while_d_is_too_sure_and_falls_otherwise() -> None:
    ada = AdaptiveAugmentation(Adaptive(images=400, most=0.25))
    sure, unsure = torch.ones(10), torch.cat([torch.ones(7), -torch.ones(3)])  # signs of 1 and 0.4
    assert _noted(ada, sure, range(4)) == [0, 0, 0, 0.1]  # 4 updates of 10 images, a tenth of 400
    assert _noted(ada, sure, range(4, 12))[3::4] == [0.2, 0.25]  # never more than `most`
    assert _noted(ada, unsure, range(12, 28))[3::4] == [0.15, 0.05, 0, 0]


def test_p_follows_the_mean_of_four_updates_whatever_the_size_of_the_scores() -> None:
    ada = AdaptiveAugmentation(Adaptive(images=40, target=0.0))
    for update, score in enumerate((1e3, 1e-3, 1e-3, -1e6)):
        ada.note(torch.full((5,), score), update, 1, lambda x: x)
    assert ada.p.item() == pytest.approx(0.1)


def test_nothing_changes_at_0_and_gradients_flow_at_1() -> None:
    images = _images()
    never = changed(images, _uniform(6)(NUMBERS), images, torch.tensor(0.0), CHANGES)
    assert torch.allclose(never, images, atol=1e-5)
    known = _images().requires_grad_()
    AdaptiveAugmentation(Adaptive(start=1, most=1, changes=CHANGES))(
        known, _uniform(6)
    ).square().sum().backward()
    assert known.grad is not None
    assert (known.grad != 0).float().mean() > 0.5


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_happens_to_about_a_share_p_of_the_images(change: Change) -> None:
    images = _images(1).expand(2000, -1, -1, -1)
    ada = AdaptiveAugmentation(Adaptive(start=0.3, most=1, changes=(change,)))
    differs = ((ada(images, _uniform(2000)) - images).abs() > 1e-4).flatten(1).any(1).float().mean().item()
    half = {"flip": 0.5, "translation": 8 / 9, "colour": (1 - 0.7**3) / 0.3}.get(change, 1.0)
    assert differs == pytest.approx(0.3 * half, abs=0.04)


def test_shifts_are_by_whole_pixels_and_let_reflections_in() -> None:
    images = _images(height=6, width=10)
    found = _moved(images, shift=(2, -1))
    assert torch.allclose(found[:, :, :5, 2:], images[:, :, 1:, :-2], atol=1e-5)
    assert torch.allclose(found[:, :, :5, :2], images[:, :, 1:, :2].flip(3), atol=1e-5)


def test_mirrors_turns_and_scales_are_those_of_whole_pixels() -> None:
    images = _images()
    assert torch.allclose(_moved(images, mirror=-1), images.flip(3), atol=1e-5)
    assert torch.allclose(_moved(images, angle=math.pi / 2), images.rot90(-1, (2, 3)), atol=1e-4)  # clockwise
    assert torch.allclose(_moved(images, angle=math.pi), images.flip(2, 3), atol=1e-4)
    blocks = torch.nn.functional.interpolate(_images(height=4, width=4), scale_factor=2.0, mode="nearest")
    small = _moved(blocks, scale=0.5)  # each pixel is read between the four of a block
    assert torch.allclose(small[:, :, 2:6, 2:6], _images(height=4, width=4), atol=1e-5)


def test_changes_are_made_in_the_order_that_is_said() -> None:
    images = _images()
    stepwise = _moved(_moved(_moved(images, mirror=-1), shift=(1, 0)), angle=math.pi / 2)
    assert torch.allclose(_moved(images, -1, (1, 0), 1, math.pi / 2), stepwise, atol=1e-4)


def test_colour_is_a_closed_form() -> None:
    images, normal = _images(2), torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, -1.0]])
    every = {name: torch.ones(2, dtype=torch.bool) for name in ("brightness", "contrast", "saturation")}
    found = coloured(images, every, normal)
    assert torch.allclose(found[0], (images[0] + 0.2) * 2, atol=1e-5)
    grey = images[1].mean(0, keepdim=True)
    assert torch.allclose(found[1] - grey, (images[1] - grey) / 2, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 14)])
def test_images_of_any_channels_and_sides_are_changed_and_opacity_keeps_its_brightness(
    channels: int, height: int, width: int
) -> None:
    images = _images(4, channels, height, width)
    every = AdaptiveAugmentation(Adaptive(start=1, most=1, changes=CHANGES))(images, _uniform(4))
    assert every.shape == images.shape and bool(torch.isfinite(every).all())
    lit = AdaptiveAugmentation(Adaptive(start=1, most=1, changes=("colour",)))(images, _uniform(4))
    assert torch.equal(lit[:, -1], images[:, -1]) is (channels in (2, 4))


def test_each_image_has_changes_of_its_own_whatever_its_batch() -> None:
    images, random, p = _images(), _uniform(6)(NUMBERS), torch.tensor(0.5)
    together = changed(images, random, None, p, CHANGES)
    assert torch.allclose(together[2:4], changed(images[2:4], random[2:4], None, p, CHANGES), atol=1e-6)


def test_normal_numbers_have_the_quantiles_of_the_uniform_ones() -> None:
    found = normal_of(torch.tensor([0.0, 0.5, 0.975]))
    assert torch.isfinite(found).all()
    assert found[1:].tolist() == pytest.approx([0.0, 1.95996], abs=1e-4)


def test_its_settings_are_written_as_a_name_or_a_mapping() -> None:
    named = TrainingSettings.model_validate({"architecture": "sngan", "augment": "ada"})
    said = TrainingSettings.model_validate({"architecture": "sngan", "augment": {"kind": "ada"}})
    assert named == said == TrainingSettings.model_validate(named.model_dump(mode="json"))
    assert named.recipe()["augment"]["target"] == 0.6


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"augment": {"kind": "ada", "target": 2}}, r"augment\.target"),
        ({"augment": {"kind": "ada", "changes": []}}, r"augment\.changes"),
        ({"augment": {"kind": "ada", "changes": ["hue"]}}, r"augment\.changes"),
        ({"augment": {"kind": "adaptive"}}, r"augment: must be none, diffaugment, ada, or a mapping"),
        ({"augment": "adda"}, r"augment: must be none, diffaugment, ada, or a mapping"),
        ({"augment": "ada", "loss": "wasserstein", "penalty": "gradient"}, "a Wasserstein D mean nothing"),
        ({"augment": "ada", "architecture": "flow"}, "augment belongs to the training of a GAN"),
        ({"lecam_weight": 0.1, "architecture": "flow"}, "lecam_weight belongs to the training of a GAN"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        parse(TrainingSettings, {"architecture": "sngan", **values}, "train")
