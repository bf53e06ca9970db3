"""StyleGAN2: what is random in it and when, and how its styles reach its layers."""

import pytest
import torch
from torch import Tensor, nn

from ganguard.architectures.karras_layers import pixel_norm
from ganguard.architectures.networks import StyleBased
from ganguard.architectures.stylegan2 import MAPPING_LAYERS, MIXED, StyleGAN2, StyleGAN2Generator
from ganguard.base.seeds import seeded_weights


def _generator(side: int = 16, width: int = 4) -> StyleGAN2Generator:
    """With noise whose strength is not the zero that it begins with."""
    with seeded_weights(0):
        G = StyleGAN2(width=width, latent_dim=6).build((3, side, side)).generator
    assert isinstance(G, StyleGAN2Generator) and isinstance(G, StyleBased)
    for layer in G.layers:
        nn.init.ones_(layer.strength)
    return G


def _codes(count: int = 5) -> Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_nothing_is_random_unless_it_trains_and_was_given_a_generator() -> None:
    G = _generator()
    fixed = G.train()(_codes())
    assert torch.equal(fixed, G(_codes()))
    G.random = torch.Generator().manual_seed(0)
    assert torch.equal(fixed, G.eval()(_codes()))
    assert not torch.allclose(fixed, G.train()(_codes()))


@torch.no_grad()
def test_the_generator_that_is_given_decides_all_that_is_random() -> None:
    G = _generator().train()
    drawn: list[Tensor] = []
    for seed in (0, 0, 1):
        G.random = torch.Generator().manual_seed(seed)
        drawn.append(G(_codes()))
    first, again, other = drawn
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    assert not torch.allclose(other, G(_codes()))


@torch.no_grad()
def test_noise_begins_without_strength_and_is_drawn_for_each_image() -> None:
    G = _generator().train()
    w = G.mapping(_codes(1)).expand(4, -1, -1)
    G.random = torch.Generator().manual_seed(0)
    images = G.synthesis(w)
    assert len(images.flatten(1).unique(dim=0)) == 4
    for layer in G.layers:
        nn.init.zeros_(layer.strength)
    images = G.synthesis(w)
    assert torch.allclose(images, images[:1].expand(4, -1, -1, -1), atol=1e-5)
    assert StyleGAN2(width=4).build((1, 8, 8)).generator.layers[0].strength.item() == 0


@torch.no_grad()
def test_styles_are_mixed_from_a_layer_on_in_nine_of_ten_images() -> None:
    G = _generator().train()
    z = _codes(2000)
    own = G.mapping(z)
    assert torch.equal(own, own[:, :1].expand_as(own))
    G.random = torch.Generator().manual_seed(0)
    is_own = (G.mapping(z) == own).all(dim=2)  # (N, layers)
    assert is_own[:, 0].all()
    assert (is_own[:, :-1] >= is_own[:, 1:]).all()
    mixed = ~is_own[:, -1]
    assert abs(mixed.float().mean().item() - MIXED) < 0.02
    begins = is_own[mixed].sum(dim=1)
    assert begins.bincount().tolist()[0] == 0
    assert len(begins.unique()) == own.shape[1] - 1


@torch.no_grad()
def test_an_image_is_the_synthesis_of_its_styles() -> None:
    G = _generator().eval()
    w = G.mapping(_codes())
    assert w.shape == (5, 6, 6)  # five layers at 4, 8 and 16 pixels, and the last image
    assert torch.equal(G.synthesis(w), G(_codes()))


@torch.no_grad()
def test_every_style_reaches_the_image() -> None:
    G = _generator().eval()
    w = G.mapping(_codes(1))
    for layer in range(w.shape[1]):
        moved = w.clone()
        moved[:, layer] += 1.0
        assert not torch.allclose(G.synthesis(moved), G.synthesis(w), atol=1e-4)


@torch.no_grad()
def test_codes_are_directions() -> None:
    G = _generator().eval()
    assert torch.allclose(G(_codes()), G(5 * _codes()), atol=1e-4)


@torch.no_grad()
def test_the_mapping_begins_with_weights_a_hundred_times_as_large() -> None:
    """Its pace is 0.01, so Adam's steps are a hundred times smaller beside them."""
    G = _generator()
    assert len(G.mapper) == MAPPING_LAYERS
    weights = torch.cat([layer.dense.weight.flatten() for layer in G.mapper])
    assert 80 < weights.std().item() < 120
    assert 0.2 < G.mapping(_codes(200)).std().item() < 5


def test_the_length_of_a_path_can_be_learned_from() -> None:
    G = _generator().train()
    G.random = torch.Generator().manual_seed(0)
    w = G.mapping(_codes())
    images = G.synthesis(w)
    (slope,) = torch.autograd.grad((images * torch.randn_like(images)).sum(), w, create_graph=True)
    assert slope.shape == w.shape
    slope.square().sum(dim=2).mean(dim=1).sqrt().var().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in G.mapper.parameters())


def test_channels_halve_above_64_pixels() -> None:
    with torch.device("meta"):
        networks = StyleGAN2().build((3, 256, 256))
    assert [layer.conv.weight.shape[1] for layer in networks.generator.to_image] == [
        512,
        512,
        512,
        512,
        512,
        256,
        128,
    ]
    assert [block.conv.weight.shape[0] for block in networks.discriminator.blocks] == [
        128,
        256,
        512,
        512,
        512,
        512,
    ]


@pytest.mark.parametrize("side", [8, 28])
def test_noise_is_part_of_a_checkpoint(side: int) -> None:
    G = _generator(side)
    kept = [value.shape for key, value in G.state_dict().items() if key.endswith("noise")]
    assert kept[0] == (side >> (len(kept) // 2),) * 2
    assert kept[-1] == (side, side)


@pytest.mark.parametrize(("side", "counts"), [(64, (27_300_376, 28_857_856))])
def test_classes_add_the_parameters_that_they_add_to_its_authors_networks(
    side: int, counts: tuple[int, int]
) -> None:
    """As counted in the networks of NVlabs/stylegan2-ada-pytorch, commit d72cc7d, with channel_base 32768."""
    with torch.device("meta"):
        networks = StyleGAN2(classes=10).build((3, side, side))
    both = (networks.generator, networks.discriminator)
    assert tuple(sum(p.numel() for p in module.parameters()) for module in both) == counts


@torch.no_grad()
def test_mixed_styles_are_of_the_class_that_was_asked_for() -> None:
    """The other code of an image has the same class: with codes left out, nothing is mixed."""
    with seeded_weights(0):
        G = StyleGAN2(width=4, latent_dim=6, classes=3).build((3, 16, 16)).generator.train()
    assert isinstance(G, StyleGAN2Generator)
    nn.init.zeros_(G.mapper[0].dense.weight[:, :6])  # what belongs to z
    y = torch.arange(3).repeat(20)
    G.random = torch.Generator().manual_seed(0)
    mixed = G.mapping(torch.randn(60, 6), y)
    G.random = None
    assert torch.allclose(mixed, G.mapping(torch.randn(60, 6), y), atol=1e-5)
    assert (mixed[:3, 0, None] - mixed[:3, 0]).abs().sum(2).count_nonzero() == 6
    assert torch.equal(G(_codes(3), y[:3]), G.synthesis(G.mapping(_codes(3), y[:3])))


@torch.no_grad()
def test_a_score_is_the_product_of_the_mapped_class_and_the_features() -> None:
    D = StyleGAN2(width=4, latent_dim=6, classes=3).build((3, 16, 16)).discriminator
    images, y = torch.rand(4, 3, 16, 16), torch.tensor([0, 1, 2, 1])
    h = D.linear(D.features(images))
    mapped = D.mapper(pixel_norm(D.embedding(y)))
    assert mapped.shape == (4, 4)
    assert torch.allclose(D(images, y), torch.stack([a @ b for a, b in zip(h, mapped, strict=True)]) / 2)
