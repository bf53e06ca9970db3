"""A convolution and an average as one are what they are as two, and so are all their gradients."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganguard.architectures.halving import SMALLEST, convolved_and_halved
from ganguard.architectures.sngan import SNGAN, DiscriminatorBlock
from ganguard.architectures.spectral_norm import spectral_norm


def in_two_steps(layer: nn.Conv2d, x: Tensor) -> Tensor:
    return F.avg_pool2d(layer(x), 2)


@pytest.mark.parametrize("sides", [(16, 16), (16, 24), (64, 32)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_it_is_the_average_of_the_convolution(sides: tuple[int, int], layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 5, 3, padding=1).double().to(memory_format=layout)  # pyright: ignore[reportCallIssue]
    x = torch.randn(2, 3, *sides, dtype=torch.double).to(memory_format=layout)
    found = convolved_and_halved(layer, x)
    assert found.shape == (2, 5, sides[0] // 2, sides[1] // 2)
    torch.testing.assert_close(found, in_two_steps(layer, x), rtol=0, atol=1e-12)


def test_its_gradients_and_theirs_agree() -> None:
    """A penalty takes the gradient of a gradient."""
    torch.manual_seed(0)
    layer = spectral_norm(nn.Conv2d(2, 3, 3, padding=1)).double().eval()
    x = torch.randn(2, 2, 16, 16, dtype=torch.double, requires_grad=True)
    found: list[list[Tensor]] = []
    for halve in (convolved_and_halved, in_two_steps):
        score = halve(layer, x).square().sum()
        (of_x,) = torch.autograd.grad(score, x, create_graph=True)
        penalty = of_x.square().sum()
        found.append([of_x, *torch.autograd.grad(penalty, [x, *layer.parameters()])])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_small_maps_keep_their_bits() -> None:
    torch.manual_seed(0)
    layer, x = nn.Conv2d(4, 4, 3, padding=1), torch.randn(2, 4, SMALLEST - 2, 16)
    assert torch.equal(convolved_and_halved(layer, x), in_two_steps(layer, x))


def test_a_block_that_halves_is_the_average_of_its_sum() -> None:
    torch.manual_seed(0)
    block = DiscriminatorBlock(4, 6, down=True).double().eval()
    x = torch.randn(2, 4, 16, 16, dtype=torch.double)
    whole = block.conv2(F.relu(block.conv1(F.relu(x)))) + block.shortcut(x)
    torch.testing.assert_close(block(x), F.avg_pool2d(whole, 2), rtol=0, atol=1e-12)


def test_a_discriminator_loads_what_was_saved_before() -> None:
    """Averages have no weights: the names of all others are as they were."""
    D = SNGAN(width=4).build((1, 32, 32)).discriminator
    assert D and not [name for name in D.state_dict() if "pool" in name or "down" in name]
