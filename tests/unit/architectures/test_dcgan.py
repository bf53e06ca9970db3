import torch
from torch import nn

from ganguard.architectures.dcgan import DCGAN


def test_channels_double_inwards_up_to_eight_times() -> None:
    networks = DCGAN(width=2, latent_dim=3).build((1, 128, 128))
    widths = [
        layer.out_channels for layer in networks.discriminator.modules() if isinstance(layer, nn.Conv2d)
    ]
    assert widths == [2, 4, 8, 16, 16, 16]


def test_weights_begin_as_the_paper_draws_them() -> None:
    torch.manual_seed(0)
    weight = DCGAN().build((3, 32, 32)).generator.ups[0][0].weight
    assert abs(weight.std().item() - 0.02) < 0.001
    assert abs(weight.mean().item()) < 0.001


def test_rows_of_a_training_batch_are_not_independent() -> None:
    """BatchNorm mixes them, and D says so, since the loop may then not score real and generated images
    together."""
    discriminator = DCGAN(width=2).build((1, 8, 8)).discriminator.train()
    images = torch.linspace(-1, 1, 4 * 64).view(4, 1, 8, 8)
    assert not discriminator.independent_rows
    assert not torch.allclose(discriminator(images)[:2], discriminator(images[:2]))
