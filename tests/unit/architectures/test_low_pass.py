"""StyleGAN2's low-pass filter: what it does to a pixel, and its gradients of both orders against torch's
own."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganguard.architectures.low_pass import FILTER, blurred, upsampled


def test_one_pixel_becomes_the_filter() -> None:
    pixel = torch.zeros(1, 2, 7, 7)
    pixel[0, 1, 3, 3] = 1.0
    row = torch.tensor(FILTER) / 8
    expected = torch.zeros(2, 8, 8)
    expected[1, 2:6, 2:6] = torch.outer(row, row)
    assert torch.allclose(blurred(pixel, padding=2)[0], expected)
    assert torch.allclose(blurred(pixel, padding=2, gain=3.0)[0], 3 * expected)
    assert torch.allclose(blurred(pixel, padding=1, stride=2)[0], expected[:, 1:-1:2, 1:-1:2])


def test_upsampling_is_bilinear_but_for_the_border() -> None:
    """Zeros lie beyond it, where others repeat the outermost pixels."""
    images = torch.randn(2, 3, 5, 5)
    found = upsampled(images)
    bilinear = F.interpolate(images, scale_factor=2.0, mode="bilinear", align_corners=False)
    assert found.shape == bilinear.shape
    assert torch.allclose(found[..., 1:-1, 1:-1], bilinear[..., 1:-1, 1:-1], atol=1e-5)
    assert math.isclose(upsampled(torch.ones(1, 1, 5, 5))[0, 0, 0, 0].item(), 9 / 16, rel_tol=1e-5)


def _plain(x: Tensor, padding: int, stride: int) -> Tensor:
    row = torch.tensor(FILTER, dtype=x.dtype) / 8
    return F.conv2d(
        x,
        torch.outer(row, row).expand(x.shape[1], 1, 4, 4),
        padding=padding,
        stride=stride,
        groups=x.shape[1],
    )


@pytest.mark.parametrize("side", [5, 6, 8])
@pytest.mark.parametrize(("padding", "stride"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_gradients_and_their_gradients_are_those_that_torch_finds(
    side: int, padding: int, stride: int
) -> None:
    x = torch.randn(2, 3, side, side, dtype=torch.float64, requires_grad=True)
    found: list[Tensor] = []
    for filtered in (blurred(x, padding=padding, stride=stride), _plain(x, padding, stride)):
        (slope,) = torch.autograd.grad(filtered.square().sum(), x, create_graph=True)
        found.append(torch.stack([slope, *torch.autograd.grad(slope.pow(3).sum(), x)]))
    assert torch.allclose(*found)


def test_gradients_of_upsampling_are_numerically_right() -> None:
    images = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(upsampled, images)
    assert torch.autograd.gradgradcheck(upsampled, images)
