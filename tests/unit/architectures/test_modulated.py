"""StyleGAN2's convolutions against slow twins: a convolution of its own for each image, filters pixel by
pixel."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganguard.architectures.low_pass import FILTER
from ganguard.architectures.modulated import ModulatedConv2d


def _twin(layer: ModulatedConv2d, x: Tensor, w: Tensor) -> Tensor:
    """Section 2.2, equations 1 and 3, for one image after another."""
    styles = layer.style(w)
    images: list[Tensor] = []
    for image, style in zip(x, styles, strict=True):
        weight = layer.weight * layer.scale * style[None, :, None, None]
        if layer.demodulate:
            weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        kernel = weight.shape[-1]
        if layer.up:
            full = _filtered(
                _transposed(image, weight), 4.0
            )  # what two full convolutions leave over is cut off
            images.append(full[:, 2:-2, 2:-2])
        else:
            images.append(F.conv2d(image[None], weight, padding=kernel // 2)[0])
    return layer.gain * torch.stack(images)


def _transposed(image: Tensor, weight: Tensor) -> Tensor:
    """(C, H, W) -> (outputs, 2 H + 1, 2 W + 1): every pixel leaves its kernel two pixels from the one of its
    neighbour."""
    side = image.shape[-1]
    result = torch.zeros(len(weight), 2 * side + 1, 2 * side + 1)
    for i in range(side):
        for j in range(side):
            result[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += torch.einsum(
                "c,ockl->okl", image[:, i, j], weight
            )
    return result


def _filtered(image: Tensor, gain: float) -> Tensor:
    """(C, H, W) -> (C, H + 3, W + 3): the full convolution with the low-pass filter."""
    channels, height, width = image.shape
    result = torch.zeros(channels, height + 3, width + 3)
    for i, row in enumerate(FILTER):
        for j, column in enumerate(FILTER):
            result[:, i : i + height, j : j + width] += image * (row * column * gain / 64)
    return result


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("gain", [1.0, 1.7])
def test_a_batch_is_convolved_as_image_by_image(kernel: int, demodulate: bool, gain: float) -> None:
    torch.manual_seed(0)
    layer = ModulatedConv2d(5, 4, kernel, 6, gain=gain, demodulate=demodulate)
    x, w = torch.randn(3, 5, 6, 6), torch.randn(3, 6)
    assert torch.allclose(layer(x, w), _twin(layer, x, w), atol=1e-4)


@torch.no_grad()
def test_a_doubled_batch_is_convolved_and_filtered_as_image_by_image() -> None:
    torch.manual_seed(0)
    layer = ModulatedConv2d(5, 4, 3, 6, up=True)
    x, w = torch.randn(3, 5, 6, 6), torch.randn(3, 6)
    found = layer(x, w)
    assert found.shape == (3, 4, 12, 12)
    assert torch.allclose(found, _twin(layer, x, w), atol=1e-4)


def test_gradients_are_those_of_the_twin() -> None:
    torch.manual_seed(0)
    layer = ModulatedConv2d(3, 2, 3, 4)
    x, w = torch.randn(2, 3, 4, 4), torch.randn(2, 4, requires_grad=True)
    inputs = [w, *layer.parameters()]
    found = torch.autograd.grad(layer(x, w).square().sum(), inputs)
    expected = torch.autograd.grad(_twin(layer, x, w).square().sum(), inputs)
    assert all(torch.allclose(a, b, atol=1e-3) for a, b in zip(found, expected, strict=True))


def test_demodulated_outputs_have_the_size_of_their_inputs_whatever_the_style() -> None:
    torch.manual_seed(0)
    layer = ModulatedConv2d(64, 64, 3, 8)
    x = torch.randn(16, 64, 8, 8)
    for size in (0.1, 1.0, 30.0):
        found = layer(x, size * torch.randn(16, 8))[..., 1:-1, 1:-1]
        assert abs(found.std().item() - 1) < 0.1
