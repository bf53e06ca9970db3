"""PGGAN: how it grows, and that its faster convolutions are those of the paper."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganguard.architectures.checkpoint import load_checkpoint, save_checkpoint
from ganguard.architectures.networks import (
    Growing,
    Networks,
    build_networks,
    enlarged,
    faded,
    gradient_factor,
    pooled,
)
from ganguard.architectures.pggan import PGGAN, DownConv2d, UpConv2d
from ganguard.architectures.sizes import canvas_of
from ganguard.base.errors import CheckpointError
from ganguard.base.seeds import seeded_weights

SETTINGS = PGGAN(width=4, latent_dim=5)
SIDES = (8, 16, 32)  # of images at levels 1, 2 and 3


def _build(side: int = 32, seed: int = 0) -> Networks:
    with seeded_weights(seed):
        return SETTINGS.build((3, side, side))


def _grown(networks: Networks, level: int, alpha: float) -> tuple[nn.Module, nn.Module]:
    for module in (networks.generator, networks.discriminator):
        assert isinstance(module, Growing)
        module.set_growth(level, alpha)
    return networks.generator, networks.discriminator


def _codes(count: int = 6) -> Tensor:
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(1))


def _images(side: int = 32) -> Tensor:
    return torch.randn(6, 3, side, side, generator=torch.Generator().manual_seed(2))


def _part(small: nn.Module, large: nn.Module) -> None:
    """Give the smaller network the larger one's weights for its levels."""
    weights = large.state_dict()
    small.load_state_dict(
        {key: weights[key] for key in small.state_dict() if "growth" not in key}, strict=False
    )


@pytest.mark.parametrize("level", [1, 2])
@torch.no_grad()
def test_a_level_is_the_smaller_gan_enlarged(level: int) -> None:
    large, small = _build(), _build(SIDES[level - 1], seed=9)
    G, D = _grown(large, level, 1.0)
    _part(small.generator, G)
    _part(small.discriminator, D)
    images = G(_codes())
    assert images.shape == (6, 3, 32, 32)
    assert torch.allclose(images, enlarged(small.generator(_codes()), 3 - level), atol=1e-5)
    assert torch.allclose(D(_images()), small.discriminator(pooled(_images(), 3 - level)), atol=1e-5)


@pytest.mark.parametrize("level", [1, 2, 3])
@torch.no_grad()
def test_a_level_begins_as_the_one_below_and_ends_as_itself(level: int) -> None:
    networks = _build()
    G, D = _grown(networks, level - 1, 1.0)
    below = G(_codes()), D(_images())
    G, D = _grown(networks, level, 0.0)
    assert torch.allclose(G(_codes()), below[0], atol=1e-6)
    assert torch.allclose(D(_images()), below[1], atol=1e-6)
    G, D = _grown(networks, level, 1.0)
    whole, scores = G(_codes()), D(_images())
    G, D = _grown(networks, level, 0.3)
    assert torch.allclose(G(_codes()), 0.7 * below[0] + 0.3 * whole, atol=1e-5)
    assert not torch.allclose(D(_images()), scores)


@torch.no_grad()
def test_it_is_built_fully_grown_and_the_lowest_level_does_not_fade() -> None:
    networks = _build()
    images, scores = networks.generator(_codes()), networks.discriminator(_images())
    G, D = _grown(networks, 3, 1.0)
    assert torch.equal(images, G(_codes()))
    assert torch.equal(scores, D(_images()))
    G, _ = _grown(networks, 0, 1.0)
    flat = G(_codes())
    G, _ = _grown(networks, 0, 0.2)
    assert torch.equal(flat, G(_codes()))


@torch.no_grad()
def test_what_is_newer_than_the_level_does_not_matter() -> None:
    networks = _build()
    G, D = _grown(networks, 1, 0.5)
    before = G(_codes()), D(_images())
    for module in (G.blocks[1], G.blocks[2], D.blocks[2], D.blocks[3], G.to_image[2], G.to_image[3]):
        for parameter in module.parameters():
            parameter.mul_(3.0)
    assert torch.equal(before[0], G(_codes()))
    assert torch.equal(before[1], D(_images()))


@pytest.mark.parametrize(
    "growth", [(-1, 1.0), (4, 1.0), (1.5, 1.0), (1, -0.1), (1, 1.1), (1, float("nan")), (float("nan"), 0)]
)
def test_a_growth_that_cannot_be_is_refused(growth: tuple[int, float]) -> None:
    for module in (_build().generator, _build().discriminator):
        with pytest.raises(ValueError, match=r"level of 0 to 3 and an alpha in \[0, 1\]; got"):
            module.set_growth(*growth)


@torch.no_grad()
def test_a_checkpoint_remembers_how_far_it_had_grown(tmp_path: Path) -> None:
    networks = _build(16)
    G, D = _grown(networks, 1, 0.25)
    again = load_checkpoint(save_checkpoint(tmp_path / "gan", networks, SETTINGS, (3, 16, 16), {})).networks
    assert torch.equal(again.generator(_codes()), G(_codes()))
    assert torch.equal(again.discriminator(_images(16)), D(_images(16)))


def test_a_checkpoint_with_another_growth_is_refused(tmp_path: Path) -> None:
    networks = _build(16)
    networks.generator.growth.level = 7
    save_checkpoint(tmp_path / "gan", networks, SETTINGS, (3, 16, 16), {})
    said = r"generator.safetensors: growth must be a level of 0 to 2 .* got 7 and 1\. Copy"
    with pytest.raises(CheckpointError, match=said):
        load_checkpoint(tmp_path / "gan")


def test_channels_halve_above_32_pixels() -> None:
    with torch.device("meta"):
        networks = PGGAN().build((3, 1024, 1024))
    widths = [layer.weight.shape[1] for layer in networks.generator.to_image]
    assert widths == [512, 512, 512, 512, 256, 128, 64, 32, 16]
    assert [block.from_image.weight.shape[0] for block in networks.discriminator.blocks] == widths


def test_the_double_convolution_enlarges_first() -> None:
    layer = UpConv2d(3, 4)
    nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 5, 5)
    weight, bias = layer.scaled()
    assert torch.allclose(layer(x), F.conv2d(enlarged(x, 1), weight.flip(2, 3), bias, padding=1), atol=1e-5)


def test_the_halving_convolution_averages_afterwards() -> None:
    layer = DownConv2d(3, 4)
    nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 10, 10)
    assert torch.allclose(layer(x), pooled(F.conv2d(x, *layer.scaled(), padding=1), 1), atol=1e-5)


@pytest.mark.parametrize("level", [1, 2])
def test_gradients_are_as_long_as_at_images_of_the_level(level: int) -> None:
    """By the factor that penalties take into account."""
    large, small = _build(), _build(SIDES[level - 1], seed=9)
    _, D = _grown(large, level, 1.0)
    _part(small.discriminator, D)
    lengths: list[Tensor] = []
    for network, images in ((D, _images()), (small.discriminator, pooled(_images(), 3 - level))):
        images.requires_grad_()
        (slope,) = torch.autograd.grad(network(images).sum(), images)
        lengths.append(gradient_factor(network) * slope.flatten(1).norm(dim=1))
    assert gradient_factor(D) == 2 ** (3 - level)
    assert torch.allclose(*lengths, rtol=1e-4)
    assert gradient_factor(nn.Linear(1, 1)) == 1


def test_codes_are_directions() -> None:
    G = _build(16).generator
    assert torch.allclose(G(_codes()), G(5 * _codes()), atol=1e-4)


@pytest.mark.parametrize("level", [0, 1, 2, 3])
@torch.no_grad()
def test_the_discriminator_sees_reals_as_they_are_faded(level: int) -> None:
    """Averaged to its side, and blended: fading them changes nothing where the level is faded in."""
    _, D = _grown(_build(), level, 1.0)
    real = _images()
    assert torch.allclose(D(faded(real, D.canvas, level=level, alpha=1.0, levels=4)), D(real), atol=1e-5)
    if level:
        blended = faded(real, D.canvas, level=level, alpha=0.3, levels=4)
        fine, coarse = pooled(real, 3 - level), enlarged(pooled(real, 4 - level), 1)
        assert torch.allclose(blended, enlarged(0.3 * fine + 0.7 * coarse, 3 - level), atol=1e-5)
        assert torch.allclose(pooled(blended, 4 - level), pooled(real, 4 - level), atol=1e-5)


@torch.no_grad()
def test_a_fully_grown_gan_sees_reals_as_they_are() -> None:
    canvas = canvas_of((3, 32, 32), "pggan")[1]
    assert torch.equal(faded(_images(), canvas, level=3, alpha=1.0, levels=4), _images())
    flat = faded(_images(), canvas, level=0, alpha=0.4, levels=4)
    assert torch.allclose(flat, enlarged(pooled(_images(), 3), 3))


def test_levels_are_counted_from_the_bottom_whatever_its_side() -> None:
    for side, levels in ((8, 2), (28, 3), (96, 5)):
        with torch.device("meta"):
            networks = build_networks(SETTINGS, (1, side, side))
        assert networks.generator.levels == networks.discriminator.levels == levels
