"""Layers of PGGAN and StyleGAN2, against closed forms."""

import math

import pytest
import torch
import torch.nn.functional as F

from ganguard.architectures.karras_layers import (
    EPSILON,
    GAIN,
    EqualisedConv2d,
    EqualisedLinear,
    minibatch_stddev,
    pixel_norm,
)


def test_a_dense_layer_is_scaled_by_hes_constant() -> None:
    layer = EqualisedLinear(9, 4, gain=2.0, bias_gain=3.0)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(5, 9)
    assert torch.allclose(layer(x), x @ layer.weight.T * (2 / 3) + 3 * layer.bias, atol=1e-5)


def test_a_bias_is_scaled_as_the_weights_unless_told_otherwise() -> None:
    dense, conv = EqualisedLinear(9, 4), EqualisedConv2d(4, 5, 3)
    for layer, constant, shape in ((dense, GAIN / 3, (2, 9)), (conv, GAIN / 6, (2, 4, 3, 3))):
        torch.nn.init.ones_(layer.bias)
        assert torch.allclose(layer(torch.zeros(shape)), torch.tensor(constant))


def test_a_convolution_is_scaled_by_the_pixels_and_inputs_that_it_sees() -> None:
    layer = EqualisedConv2d(4, 5, 3, bias_gain=2.0)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 4, 6, 6)
    assert torch.allclose(
        layer(x), F.conv2d(x, layer.weight * (GAIN / 6), 2 * layer.bias, padding=1), atol=1e-5
    )


def test_signals_keep_their_size_through_many_layers() -> None:
    """What He's constant is for. Weights themselves are N(0, 1), whatever the layer."""
    torch.manual_seed(0)
    x = torch.randn(64, 256)
    for _ in range(8):
        layer = EqualisedLinear(256, 256, gain=GAIN)
        assert abs(layer.weight.std().item() - 1) < 0.02
        x = F.relu(layer(x))
    assert 0.7 < x.square().mean().sqrt() / math.sqrt(0.5) / GAIN < 1.3


def test_a_pace_slows_learning_and_changes_nothing_else() -> None:
    """A step of Adam is as long for every weight: here 1 / 100 of it arrives."""
    torch.manual_seed(0)
    plain, slow = EqualisedLinear(6, 3), EqualisedLinear(6, 3, pace=0.01)
    slow.weight.data = plain.weight.data / 0.01
    x = torch.randn(4, 6)
    before = plain(x)
    assert torch.allclose(slow(x), before, atol=1e-5)
    for layer in (plain, slow):
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
        layer(x).sum().backward()
        optimizer.step()
    assert torch.allclose((slow(x) - before) * 100, plain(x) - before, atol=1e-3)


@pytest.mark.parametrize("shape", [(3, 8), (2, 8, 5, 5)])
def test_channels_of_a_pixel_have_a_mean_square_of_one(shape: tuple[int, ...]) -> None:
    x = 7 * torch.randn(shape)
    normalised = pixel_norm(x)
    assert torch.allclose(normalised.square().mean(dim=1), torch.ones(shape[:1] + shape[2:]), atol=1e-5)
    assert torch.allclose(normalised * x.square().mean(dim=1, keepdim=True).sqrt(), x, atol=1e-4)
    assert torch.equal(pixel_norm(torch.zeros(shape)), torch.zeros(shape))


def test_a_group_of_four_shares_the_mean_of_its_deviations() -> None:
    """Channel 0 is -a, a, -a, a in group g; channel 1 is constant: their deviations are a and 0, on average a
    / 2."""
    amplitude = torch.tensor([1.0, 5.0]).repeat_interleave(4)
    x = torch.zeros(8, 2, 3, 3)
    x[:, 0] = (amplitude * torch.tensor([-1.0, 1.0]).repeat(4))[:, None, None]
    found = minibatch_stddev(x)
    assert found.shape == (8, 3, 3, 3)
    assert torch.equal(found[:, :2], x)
    assert torch.allclose(found[:, 2], (amplitude / 2)[:, None, None].expand(-1, 3, 3), atol=1e-3)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 64])
def test_groups_are_counted_from_the_first_image(count: int) -> None:
    x = torch.randn(count, 3, 4, 4)
    found = minibatch_stddev(x)
    for begin in range(0, count, 4):
        group = x[begin : begin + 4]
        expected = (group.var(dim=0, correction=0) + EPSILON).sqrt().mean()
        assert torch.allclose(found[begin : begin + 4, 3], expected)


def test_images_that_follow_do_not_change_whole_groups() -> None:
    x = torch.randn(11, 3, 4, 4)
    assert torch.equal(minibatch_stddev(x)[:8], minibatch_stddev(x[:8]))


def test_the_deviation_keeps_channels_last() -> None:
    x = torch.randn(8, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    assert torch.allclose(minibatch_stddev(x), minibatch_stddev(x.contiguous()), atol=1e-6)
