"""SNGAN's power iterations against the singular values that numpy computes."""

import numpy as np
import pytest
import torch
from torch import nn

from ganguard.architectures.sngan import SNGAN
from ganguard.training.loop import seeded_weights

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
