"""SNGAN's power iterations against NumPy's singular values, and against torch's parametrization."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from ganguard.architectures.sngan import SNGAN
from ganguard.architectures.spectral_norm import spectral_norm
from ganguard.base.seeds import seeded_weights

EPSILON = 0.02  # power iteration approaches the largest singular value from below


@pytest.mark.parametrize("image_shape", [(1, 8, 8), (3, 32, 32)])
def test_no_layer_stretches_by_more_than_one(image_shape: tuple[int, int, int]) -> None:
    with seeded_weights(0):
        discriminator = SNGAN(width=8).build(image_shape).discriminator.train()
    layers = [layer for layer in discriminator.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        for layer in layers:  # as large weights as training may make
            layer.parametrizations.weight.original.mul_(10)
        for _ in range(40):
            discriminator(torch.zeros(1, *image_shape))
    for layer in layers:
        largest = np.linalg.svd(layer.weight.detach().flatten(1).numpy(), compute_uv=False)[0]
        assert 1 - EPSILON <= largest <= 1 + EPSILON


def test_scoring_does_not_move_the_estimate() -> None:
    """A target's D is only ever evaluated: its scores must not drift with the number of queries."""
    with seeded_weights(0):
        discriminator = SNGAN(width=8).build((1, 8, 8)).discriminator.eval()
    images = torch.linspace(-1, 1, 128).view(2, 1, 8, 8)
    first = discriminator(images)
    for _ in range(5):
        discriminator(images)
    assert torch.equal(discriminator(images), first)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_weights_and_gradients_are_those_of_torchs_parametrization(
    memory_format: torch.memory_format,
) -> None:
    """They agree once both have found the singular vectors: torch does the halves of an iteration in the
    other order.
    """
    torch.manual_seed(0)
    ours = spectral_norm(nn.Conv2d(3, 5, 3).to(memory_format=memory_format))
    theirs = parametrizations.spectral_norm(nn.Conv2d(3, 5, 3))
    with torch.no_grad():
        mine, other = ours.parametrizations.weight, theirs.parametrizations.weight
        for _ in range(300):
            ours(torch.zeros(1, 3, 3, 3))
        other.original.copy_(mine.original)
        theirs.bias.copy_(ours.bias)
        other[0]._u.copy_(mine[0].u)
        other[0]._v.copy_(mine[0].v.view(3, 3, 3).permute(2, 0, 1).flatten())
    images = torch.randn(4, 3, 6, 6)
    for _ in range(3):
        for layer in (ours, theirs):
            layer.zero_grad()
            layer(images).square().sum().backward()
        assert torch.allclose(ours.weight, theirs.weight, atol=1e-6)
        assert torch.allclose(mine.original.grad, other.original.grad, rtol=1e-4, atol=1e-5)


def test_nothing_is_imported_or_held_to_build_it_without_memory() -> None:
    script = (
        "import sys, torch; from ganguard.architectures.sngan import SNGAN; "
        "torch.set_default_device('meta'); SNGAN(width=10**6).build((1, 8, 8)); print('torch._dynamo' in "
        "sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "False\n"
