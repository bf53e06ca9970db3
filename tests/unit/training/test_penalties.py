"""Penalties against closed forms: of linear networks, whose gradients are their weights."""

import math

import pytest
import torch
from torch import Tensor, nn

from ganguard.architectures.networks import DiscriminatorNetwork
from ganguard.architectures.sizes import Canvas
from ganguard.training.penalties import PATH_DECAY, PathLength, gradient_penalty, r1


class LinearD(DiscriminatorNetwork):
    independent_rows = True

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, images: Tensor) -> Tensor:
        return (images * self.weights).sum((1, 2, 3))


class HalfGrownD(LinearD):
    """Sees averages of 2x2 pixels: its gradient at those is twice as long as at what they are averages of."""

    levels, level = 3, 1
    canvas = Canvas((1, 1), 2, (4, 4))

    def set_growth(self, level: int, alpha: float) -> None:
        raise NotImplementedError


class SquareD(LinearD):
    """Half the square of the same, whose gradient at x is <a, x> a."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).square() / 2


class LinearG(nn.Module):
    """w = (z, z) over two layers; images are A times their mean."""

    random: torch.Generator | None = None

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.matrix, self.scale = nn.Parameter(matrix), nn.Parameter(torch.ones(()))

    def mapping(self, z: Tensor) -> Tensor:
        return self.scale * z[:, None].expand(-1, 2, -1)

    def synthesis(self, w: Tensor) -> Tensor:
        return (w.mean(1) @ self.matrix.T).view(len(w), 1, 3, 2)


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_gradient_penalty_of_a_linear_d_follows_from_its_length() -> None:
    weights = _random(1, 4, 4)
    found = gradient_penalty(
        LinearD(weights), _random(5, 1, 4, 4), _random(5, 1, 4, 4, seed=1), torch.rand(5)
    )
    assert found.item() == pytest.approx((weights.norm().item() - 1) ** 2, rel=1e-5)


def test_the_gradient_of_a_half_grown_d_counts_at_the_size_that_it_sees() -> None:
    weights = _random(1, 4, 4)
    found = gradient_penalty(
        HalfGrownD(weights), _random(5, 1, 4, 4), _random(5, 1, 4, 4, seed=1), torch.rand(5)
    )
    assert found.item() == pytest.approx((2 * weights.norm().item() - 1) ** 2, rel=1e-5)


def test_the_gradient_penalty_is_taken_between_the_images() -> None:
    D, real, fake, share = (
        SquareD(_random(1, 4, 4)),
        _random(5, 1, 4, 4),
        _random(5, 1, 4, 4, seed=1),
        torch.rand(5),
    )
    between = share.view(-1, 1, 1, 1) * real + (1 - share.view(-1, 1, 1, 1)) * fake
    lengths = LinearD.forward(D, between).abs() * D.weights.norm()
    assert gradient_penalty(D, real, fake, share).item() == pytest.approx(
        (lengths - 1).square().mean().item(), rel=1e-4
    )


def test_r1_is_half_the_squared_gradient_at_real_images() -> None:
    D, real = SquareD(_random(1, 4, 4)), _random(5, 1, 4, 4)
    lengths = LinearD.forward(D, real) * D.weights.norm()
    penalty = r1(D, real)
    assert penalty.item() == pytest.approx(lengths.square().mean().item() / 2, rel=1e-4)
    penalty.backward()
    assert D.weights.grad is not None and D.weights.grad.abs().sum() > 0


def test_the_path_length_of_a_linear_g_is_that_of_its_matrix() -> None:
    G, z, noise, penalty = LinearG(_random(6, 4)), _random(7, 4), _random(7, 1, 3, 2, seed=2), PathLength()
    back = noise.view(7, 6) / math.sqrt(6) @ G.matrix / 2  # to each of two layers, of which G takes the mean
    lengths = back.square().sum(1).sqrt()  # the mean of the squares over two equal layers
    mean = PATH_DECAY * lengths.mean()
    found = penalty(G, z, noise)
    assert penalty.mean.item() == pytest.approx(mean.item(), rel=1e-5)
    assert found.item() == pytest.approx((lengths - mean).square().mean().item(), rel=1e-5)
    found.backward()
    assert G.matrix.grad is not None and G.matrix.grad.abs().sum() > 0
