"""Radii are those of float64, even if float32 cannot tell which neighbour is the k-th."""

import numpy as np
import pytest
import torch

from ganguard.metrics.distances import SPARE, squared_radii


def _slow(points: torch.Tensor, k: int) -> torch.Tensor:
    differences = points.double()[:, None] - points.double()[None]
    return differences.square().sum(2).sort(1).values[:, k]


@pytest.mark.parametrize("k", [1, 3, 5, 8])
@pytest.mark.parametrize("apart", [1e-9, 1e-7, 1e-5, 1e-3])
def test_neighbours_that_float32_puts_in_another_order(k: int, apart: float) -> None:
    """Clouds far from each other; in each, the neighbours' distances differ by a share of `apart`.

    One point of each cloud has as many neighbours as are looked at.
    """
    generator = np.random.default_rng(0)
    clouds: list[np.ndarray] = []
    for _ in range(40):
        directions = generator.normal(size=(k + SPARE, 48))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        shells = directions * (1 + apart * generator.permutation(k + SPARE))[:, None]
        clouds.append(np.concatenate([np.zeros((1, 48)), shells]) + 5 * generator.normal(size=48))
    points = torch.from_numpy(np.concatenate(clouds))
    assert torch.allclose(squared_radii(points, k), _slow(points, k), rtol=1e-11, atol=0)


def test_equal_points_among_others() -> None:
    points = torch.randn(60, 5, generator=torch.Generator().manual_seed(0)).repeat_interleave(3, 0)
    assert torch.allclose(squared_radii(points, 4), _slow(points, 4), rtol=1e-11, atol=0)
    assert squared_radii(points, 2).count_nonzero() == 0
