"""ACGAN: the published layers, and its dropout."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from ganguard.architectures.acgan import ACGAN, DROPPED, ACGANDiscriminator
from ganguard.architectures.networks import Classifying
from ganguard.base.seeds import seeded_weights


def _discriminator(classes: int = 3, width: int = 96) -> ACGANDiscriminator:
    with seeded_weights(0):
        D = ACGAN(width=width, classes=classes).build((3, 32, 32)).discriminator
    assert isinstance(D, ACGANDiscriminator) and isinstance(D, Classifying)
    return D


@pytest.mark.parametrize(
    ("side", "channels", "bottom"), [(32, [384, 192, 96, 3], 4), (128, [768, 384, 256, 192, 3], 8)]
)
def test_the_generator_has_the_published_layers(side: int, channels: list[int], bottom: int) -> None:
    """Odena et al. 2017, tables 1 and 2: 110 inputs are 100 of z, and ten of the class."""
    with torch.device("meta"):
        G = ACGAN(classes=10).build((3, side, side)).generator
    entrance = 111 * channels[0] * bottom**2  # 110 weights and a bias
    ups = sum(25 * a * b for a, b in pairwise(channels)) + channels[-1]
    norms = 2 * sum(channels[1:-1])
    assert sum(p.numel() for p in G.parameters()) == entrance + ups + norms


@pytest.mark.parametrize(("side", "left"), [(32, 4), (128, 16)])
def test_the_discriminator_has_the_published_layers(side: int, left: int) -> None:
    """Six convolutions with strides of 2 and 1 in turn; the last layer has an output for each class, and one
    for the source."""
    with torch.device("meta"):
        D = ACGAN(classes=10).build((3, side, side)).discriminator
    convolutions = [module for module in D.modules() if isinstance(module, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [16, 32, 64, 128, 256, 512]
    assert [c.stride for c in convolutions] == [(2, 2), (1, 1)] * 3
    widths = [3, 16, 32, 64, 128, 256, 512]
    weights = sum(9 * a * b for a, b in pairwise(widths))
    rest = 16 + 2 * sum(widths[2:]) + 11 * (512 * left**2 + 1)
    assert sum(p.numel() for p in D.parameters()) == weights + rest


def test_small_images_are_halved_as_often_as_they_can_be() -> None:
    D = ACGAN(width=6).build((1, 8, 8)).discriminator
    assert D.features(torch.zeros(2, 1, 8, 8)).shape == (2, 32 * 16)


def test_nothing_is_dropped_unless_it_trains_and_was_given_a_generator() -> None:
    D, images = _discriminator(width=6), torch.rand(4, 3, 32, 32)
    plain = D.train().features(images)
    assert torch.equal(plain, D.features(images))
    D.random = torch.Generator().manual_seed(0)
    evaluated = D.eval().features(images)
    assert torch.equal(evaluated, D.features(images))
    first = D.train().features(images)
    D.random = torch.Generator().manual_seed(0)
    assert torch.equal(first, D.features(images))
    assert not torch.equal(first, D.features(images))
    assert not torch.allclose(first, plain)


def test_half_of_the_activations_are_dropped_and_the_mean_stays() -> None:
    D, images = _discriminator(), torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    D.train().random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        block, last = D.blocks[-2](torch.ones(8, 128, 8, 8), None), D.blocks[-1]
        whole = last(block, None)
        dropped = last(block, torch.Generator().manual_seed(0))
        assert (D.features(images) == 0).double().mean().item() == pytest.approx(DROPPED, abs=0.02)
    kept = dropped != 0
    assert torch.allclose(dropped[kept], whole[kept] / (1 - DROPPED))
    assert kept.double().mean().item() == pytest.approx(1 - DROPPED, abs=0.02)


def test_the_class_moves_the_logits_of_d_and_not_its_scores() -> None:
    D, images = _discriminator(width=6).eval(), torch.rand(3, 3, 32, 32)
    one, other = (D(images, torch.full((3,), number)) for number in (0, 2))
    assert torch.equal(one, other)
    assert D.logits(D.features(images)).shape == (3, 3)
