import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.architectures.sngan import SNGAN
from ganguard.base.errors import SpecError


def test_every_layer_of_the_discriminator_is_normalised() -> None:
    discriminator = SNGAN(width=4).build((3, 32, 32)).discriminator
    layers = [layer for layer in discriminator.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(layers) == 11
    assert all(is_parametrized(layer, "weight") for layer in layers)


def test_no_layer_of_the_generator_is_normalised() -> None:
    generator = SNGAN(width=4).build((3, 32, 32)).generator
    assert not any(is_parametrized(layer) for layer in generator.modules())


def test_rows_of_a_training_batch_are_independent() -> None:
    """D says so, and the loop then scores real and generated images together."""
    torch.manual_seed(0)
    discriminator = SNGAN(width=4).build((1, 8, 8)).discriminator.eval()
    images = torch.linspace(-1, 1, 4 * 64).view(4, 1, 8, 8)
    assert discriminator.independent_rows
    assert torch.allclose(discriminator(images)[:2], discriminator(images[:2]), atol=1e-6)


def test_a_generator_block_without_branch_is_bilinear_upsampling() -> None:
    """Zero weights in the branch leave the shortcut: a 1x1 convolution, doubled."""
    block = SNGAN(width=4).build((1, 8, 8)).generator.blocks[0].eval()
    nn.init.zeros_(block.conv2.weight)
    nn.init.dirac_(block.shortcut.weight)
    flat = torch.arange(4.0).view(1, 4, 1, 1).expand(1, 4, 4, 4)
    assert torch.allclose(block(flat), torch.arange(4.0).view(1, 4, 1, 1).expand(1, 4, 8, 8))


@pytest.mark.parametrize(
    ("side", "counts"),
    [
        (32, (4_276_739, 1_053_825)),
        (48, (4_878_083, 10_141_441)),
        (64, (12_220_675, 10_141_441)),
        (128, (32_150_787, 29_017_857)),
    ],
)
def test_published_widths_have_the_parameters_that_were_published(side: int, counts: tuple[int, int]) -> None:
    """As counted in the networks of kwotsin/mimicry, commit a7fda06."""
    with torch.device("meta"):
        networks = build_networks(SNGAN(width_factor=1), (3, side, side))
    found = [
        sum(p.numel() for p in module.parameters()) for module in (networks.generator, networks.discriminator)
    ]
    assert tuple(found) == counts


@pytest.mark.parametrize(("side", "left"), [(32, 8), (48, 3), (64, 2), (128, 4)])
def test_published_discriminators_halve_the_side_as_often(side: int, left: int) -> None:
    discriminator = SNGAN(width_factor=0.01).build((3, side, side)).discriminator
    assert discriminator.blocks(torch.zeros(1, 3, side, side)).shape[2:] == (left, left)


def test_a_factor_scales_every_width_and_leaves_at_least_one_channel() -> None:
    networks = SNGAN(width_factor=0.005).build((3, 64, 64))
    assert [block.conv1.out_channels for block in networks.generator.blocks] == [3, 1, 1, 1]
    assert [block.conv2.out_channels for block in networks.discriminator.blocks] == [1, 1, 1, 3, 5]


@pytest.mark.parametrize(("side", "near"), [(8, "32"), (40, "32 or 48"), (112, "64 or 128"), (256, "128")])
def test_a_side_that_nothing_was_published_for_names_those_near(side: int, near: str) -> None:
    with pytest.raises(
        SpecError, match=rf"32, 48, 64, 128 pixels; got {side}\. Resize the images to {near}, or set width"
    ):
        SNGAN(width_factor=1).build((3, side, side))


def test_one_of_width_and_width_factor_is_said() -> None:
    """Settings without a factor are written as before there was one, so that keys and digests stay what they
    were."""
    assert SNGAN(width=8).model_dump(mode="json") == {"kind": "sngan", "latent_dim": 128, "width": 8}
    factor = SNGAN(width_factor=0.5)
    assert factor.model_dump(mode="json") == {"kind": "sngan", "latent_dim": 128, "width_factor": 0.5}
    assert parse_architecture(factor.model_dump(mode="json")) == factor
    with pytest.raises(SpecError, match="set width or width_factor, not both"):
        parse_architecture({"kind": "sngan", "width": 8, "width_factor": 0.5})


@pytest.mark.parametrize("factor", [0, -1, 9, "wide", float("nan")])
def test_a_factor_that_cannot_be_is_refused(factor: object) -> None:
    with pytest.raises(SpecError, match=r"^sngan\.width_factor: "):
        parse_architecture({"kind": "sngan", "width_factor": factor})
