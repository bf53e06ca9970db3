"""DiffAugment: what each change does, image by image, and that gradients flow."""

import pytest
import torch
from torch import Tensor

from ganguard.training.augment import NUMBERS, coloured, cut_out, diffaugment, translated


def _images(count: int = 6, channels: int = 3, side: int = 16) -> Tensor:
    return torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(0))


def _random(count: int = 6, width: int = NUMBERS, seed: int = 1) -> Tensor:
    return torch.rand(count, width, generator=torch.Generator().manual_seed(seed))


def test_the_middle_of_colour_and_translation_changes_nothing() -> None:
    images = _images()
    assert torch.allclose(coloured(images, torch.full((6, 3), 0.5)), images, atol=1e-6)
    assert torch.equal(translated(images, torch.full((6, 2), 0.5)), images)


def test_colour_moves_means_and_scales_around_them() -> None:
    images = _images()
    brighter = coloured(images, torch.tensor([1.0, 0.5, 0.5]).expand(6, 3))
    assert torch.allclose(brighter, images + 0.5, atol=1e-6)
    grey = coloured(images, torch.tensor([0.5, 0.0, 0.5]).expand(6, 3))
    assert torch.allclose(grey, images.mean(1, keepdim=True).expand(-1, 3, -1, -1), atol=1e-6)
    flat = coloured(images, torch.tensor([0.5, 0.5, 0.0]).expand(6, 3))
    middle = images.mean((1, 2, 3), keepdim=True)
    assert torch.allclose(flat - middle, (images - middle) / 2, atol=1e-6)


@pytest.mark.parametrize(("number", "moved"), [(0.0, -2), (0.999, 2)])
def test_translation_moves_whole_pixels_and_lets_grey_in(number: float, moved: int) -> None:
    images = _images(side=16)
    found = translated(images, torch.tensor([number, 0.5]).expand(6, 2))
    kept, source = (found[:, :, 2:], images[:, :, :-2]) if moved < 0 else (found[:, :, :-2], images[:, :, 2:])
    assert torch.equal(kept, source)
    came = found[:, :, :2] if moved < 0 else found[:, :, -2:]
    assert came.abs().max() == 0


def test_a_square_of_half_the_side_is_cut_out_wherever_its_middle_lies() -> None:
    images = torch.ones(200, 1, 8, 8)
    gone = (cut_out(images, _random(200, 2)) == 0).sum((1, 2, 3))
    assert gone.max() == 16 and gone.min() == 4  # whole in the middle, a quarter of it in a corner
    middle = cut_out(images, torch.full((200, 2), 0.5))
    assert torch.equal((middle[0, 0] == 0).nonzero().amin(0), torch.tensor([2, 2]))


def test_each_image_has_changes_of_its_own_whatever_its_batch() -> None:
    images, random = _images(), _random()
    together = diffaugment(images, random)
    assert torch.equal(together[2:4], diffaugment(images[2:4], random[2:4]))
    assert not torch.equal(diffaugment(images[:1], random[:1]), diffaugment(images[:1], random[1:2]))


def test_gradients_flow_to_the_pixels_that_are_seen() -> None:
    images = _images().requires_grad_()
    diffaugment(images, _random()).square().sum().backward()
    assert images.grad is not None
    assert (images.grad != 0).float().mean() > 0.5


def test_grey_images_are_changed_too() -> None:
    assert diffaugment(_images(channels=1), _random()).shape == (6, 1, 16, 16)
