"""BigGAN: its authors' plans, how classes and parts of z reach its blocks, and what is true of averages."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from ganguard.architectures.biggan import BigGAN, BigGANDiscriminator, BigGANGenerator
from ganguard.architectures.networks import Networks, build_networks, parse_architecture
from ganguard.architectures.self_attention import SelfAttention
from ganguard.base.errors import SpecError
from ganguard.base.seeds import seeded_weights
from ganguard.training.ema import EMA


def _networks(
    side: int = 32, latent_dim: int = 8, classes: int = 3
) -> tuple[BigGANGenerator, BigGANDiscriminator]:
    with seeded_weights(0):
        networks = BigGAN(width=2, latent_dim=latent_dim, classes=classes).build((3, side, side))
    G, D = networks.generator, networks.discriminator
    assert isinstance(G, BigGANGenerator) and isinstance(D, BigGANDiscriminator)
    return G, D


@pytest.mark.parametrize(
    ("side", "width", "latent_dim", "classes", "counts"),
    [
        (32, 64, 120, 10, (4_358_915, 4_207_361)),
        (64, 64, 120, 1000, (31_908_100, 20_566_721)),
        (128, 96, 120, 1000, (70_433_988, 87_982_370)),
        (256, 96, 119, 1000, (82_108_548, 99_225_890)),
    ],
)
def test_published_networks_have_the_parameters_of_their_authors(
    side: int, width: int, latent_dim: int, classes: int, counts: tuple[int, int]
) -> None:
    """As counted in the networks of ajbrock/BigGAN-PyTorch, commit 98459431, with hierarchical z and a shared
    embedding of 128 entries."""
    with torch.device("meta"):
        networks = BigGAN(width=width, latent_dim=latent_dim, classes=classes).build((3, side, side))
    assert _counted(networks) == counts


def _counted(networks: Networks) -> tuple[int, ...]:
    both = (networks.generator, networks.discriminator)
    return tuple(sum(p.numel() for p in module.parameters()) for module in both)


def test_every_layer_but_the_shared_embedding_is_normalised() -> None:
    for network in _networks(64):
        layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
        plain = [m for m in layers if not is_parametrized(m, "weight")]
        shared = [network.embedding] if isinstance(network, BigGANGenerator) else []
        assert plain == shared


def test_weights_begin_orthogonal() -> None:
    G, D = _networks()
    for layer in (G.blocks[0].conv1, D.blocks[1].conv2, G.project, D.linear):
        W = layer.parametrizations.weight.original.flatten(1)
        short = W @ W.T if W.shape[0] <= W.shape[1] else W.T @ W
        assert torch.allclose(short, torch.eye(len(short)), atol=1e-5)


@pytest.mark.parametrize(
    ("side", "in_generator", "in_discriminator"), [(32, [], []), (64, [2], []), (128, [2], [0])]
)
def test_both_attend_at_64_pixels(side: int, in_generator: list[int], in_discriminator: list[int]) -> None:
    """At 64 pixels D has none, whose first block halves the side at once, as in its authors' code. D's
    attention follows the block that leaves 64 pixels."""
    G, D = _networks(side)
    assert isinstance(G.attention, SelfAttention) is bool(in_generator)
    found = [number - 1 for number, block in enumerate(D.blocks) if isinstance(block, SelfAttention)]
    assert found == in_discriminator
    if side >= 64:
        seen: list[torch.Size] = []
        G.attention.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[2:]))
        G(torch.randn(2, 8), torch.tensor([0, 1]))
        assert seen == [(64, 64)]


def test_attention_begins_without_strength_and_sees_the_whole_map() -> None:
    attention = SelfAttention(16, lambda layer: layer)
    x = torch.randn(2, 16, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(attention(x), x)
    nn.init.ones_(attention.strength)
    other = x.clone()
    other[:, :, 3, 3] += 5
    assert ((attention(other) - attention(x)).abs().amax(1) > 1e-7).all()


def test_attention_is_what_a_loop_over_pixels_finds() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(8, lambda layer: layer)
    nn.init.constant_(attention.strength, 0.5)
    x = torch.randn(1, 8, 4, 6)
    keys, values = (
        nn.functional.max_pool2d(f(x), 2)[0].flatten(1) for f in (attention.keys, attention.values)
    )
    for row, column in ((0, 0), (3, 5), (1, 4)):
        query = attention.queries(x)[0, :, row, column]
        mixed = values @ (query @ keys).softmax(0)
        wanted = x[0, :, row, column] + 0.5 * attention.out.weight[:, :, 0, 0] @ mixed
        assert torch.allclose(attention(x)[0, :, row, column], wanted, atol=1e-5)


@torch.no_grad()
def test_each_part_of_z_reaches_its_block_alone() -> None:
    """A part that changes leaves the inputs of the blocks before its own as they were."""
    G, _ = _networks(latent_dim=9)
    G.eval()
    seen: list[torch.Tensor] = []
    for block in G.blocks:
        block.register_forward_hook(lambda _, __, output: seen.append(output))
    z, y = torch.randn(1, 9, generator=torch.Generator().manual_seed(0)), torch.zeros(1, dtype=torch.int64)
    assert [part.shape[1] for part in G._parts(z)] == [3, 2, 2, 2]  # pyright: ignore[reportPrivateUsage]
    G(z, y)
    plain = seen[:]
    for begins, unchanged in ((0, 0), (3, 0), (5, 1), (7, 2)):
        seen.clear()
        moved = z.clone()
        moved[0, begins] += 1
        G(moved, y)
        same = [torch.equal(a, b) for a, b in zip(plain, seen, strict=True)]
        assert same == [number < unchanged for number in range(3)]


def test_a_code_with_fewer_entries_than_parts_is_refused_in_one_line() -> None:
    assert BigGAN(width=1, latent_dim=4).build((1, 32, 32))
    with pytest.raises(
        SpecError,
        match=r"^biggan\.latent_dim must be at least 4 for images of 30x32 pixels, since each block of G "
        r"takes a part of z; got 3\.$",
    ):
        BigGAN(width=1, latent_dim=3).build((1, 30, 32))


@torch.no_grad()
def test_the_average_of_g_is_divided_by_its_own_largest_singular_value() -> None:
    """Averages of singular vectors are shorter than 1, and would make every layer stronger."""
    G, _ = _networks()
    ema = EMA(G, 0.5, warm_up=False)
    with seeded_weights(1):
        other = BigGAN(width=2, latent_dim=8, classes=3).build((3, 32, 32)).generator
    G.load_state_dict(other.state_dict())
    ema.update(0)
    layer = ema.module.blocks[0].conv1  # pyright: ignore[reportIndexIssue, reportAttributeAccessIssue]
    found = layer.parametrizations.weight[0]
    assert found.u.norm() < 0.95
    sigma = torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item()
    assert 1 <= sigma < 1.6  # one iteration underestimates the largest value, and no more
    before = {key: value.clone() for key, value in ema.module.state_dict().items()}
    ema.module(torch.randn(2, 8), torch.tensor([0, 1]))
    assert all(torch.equal(value, before[key]) for key, value in ema.module.state_dict().items())


@pytest.mark.parametrize(
    ("side", "generator", "discriminator"),
    [
        (8, [4], [4, 4]),
        (40, [4] * 3, [4] * 4),
        (100, [16, 8, 4, 2], [1, 2, 4, 8, 16]),
        (500, [16, 8, 8, 4, 2, 1, 1], [1, 1, 2, 4, 8, 8, 16, 16]),
    ],
)
def test_sizes_without_a_plan_take_that_of_as_many_doublings(
    side: int, generator: list[int], discriminator: list[int]
) -> None:
    with torch.device("meta"):
        networks = build_networks(parse_architecture({"kind": "biggan", "width": 1}), (3, side, side))
    G, D = networks.generator, networks.discriminator
    assert isinstance(G, BigGANGenerator) and isinstance(D, BigGANDiscriminator)
    assert [block.conv2.out_channels for block in G.blocks] == generator
    found = [block.conv2.out_channels for block in D.blocks if not isinstance(block, SelfAttention)]
    assert found == discriminator
