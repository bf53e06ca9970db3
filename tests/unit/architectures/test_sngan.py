import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from ganguard.architectures.sngan import SNGAN


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
