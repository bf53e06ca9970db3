"""Penalties against closed forms: of linear networks, whose gradients are their weights."""

import math

import pytest
import torch
from torch import Tensor, nn

from ganguard.architectures.biggan import BigGAN
from ganguard.architectures.networks import DiscriminatorNetwork
from ganguard.architectures.sizes import Canvas
from ganguard.architectures.spectral_norm import spectral_norm
from ganguard.architectures.stylegan2 import StyleGAN2
from ganguard.training.penalties import (
    ANCHOR_DECAY,
    PATH_DECAY,
    LeCam,
    PathLength,
    gradient_penalty,
    orthogonality,
    r1,
)


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


class ClassD(LinearD):
    """Scores images of class y by <x, a> (y + 1)."""

    classes = 3

    def forward(self, images: Tensor, y: Tensor | None = None) -> Tensor:
        assert y is not None
        return super().forward(images) * (y + 1)


def test_penalties_of_a_conditional_d_are_taken_at_the_class_of_each_image() -> None:
    D, real, fake = ClassD(_random(2, 3, 3)), _random(3, 2, 3, 3, seed=1), _random(3, 2, 3, 3, seed=2)
    y, length = torch.tensor([2, 0, 1]), D.weights.norm()
    lengths = length * (y + 1)
    assert r1(D, real, y).item() == pytest.approx((lengths.square().mean() / 2).item(), rel=1e-5)
    penalty = gradient_penalty(D, real, fake, torch.rand(3), y)
    assert penalty.item() == pytest.approx((lengths - 1).square().mean().item(), rel=1e-5)


class ClassG(LinearG):
    """Classes scale the styles."""

    def mapping(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        assert y is not None
        return (y + 1)[:, None, None] * super().mapping(z)

    def synthesis(self, w: Tensor) -> Tensor:
        return super().synthesis(w.square())


def test_path_lengths_of_a_conditional_g_begin_at_the_styles_of_the_classes() -> None:
    """The length of J at w grows with w, and so with the class."""
    means: list[float] = []
    for y in (torch.zeros(5, dtype=torch.int64), torch.full((5,), 3)):
        penalty = PathLength()
        penalty(ClassG(_random(6, 4)), _random(5, 4, seed=1), _random(5, 1, 3, 2, seed=2), y=y)
        means.append(penalty.mean.item())
    assert means[1] == pytest.approx(4 * means[0], rel=1e-5)


def test_orthogonal_regularisation_has_the_gradient_of_its_authors_code() -> None:
    """2 (W Wᵀ ⊙ (1 - I)) W for each weight with rows, and none for embeddings and biases."""
    G = nn.Sequential(nn.Linear(5, 3), nn.Conv2d(2, 4, 3), nn.Embedding(6, 5), nn.BatchNorm2d(3))
    orthogonality(G).backward()
    for W in (G[0].weight, G[1].weight):
        rows, found = W.detach().flatten(1), W.grad
        wanted = 2 * ((rows @ rows.T) * (1 - torch.eye(len(rows)))) @ rows
        assert found is not None
        assert torch.allclose(found.flatten(1), wanted, atol=1e-6)
    assert all(p.grad is None for p in (G[0].bias, G[1].bias, *G[2].parameters(), *G[3].parameters()))


def test_orthogonal_rows_of_any_length_cost_nothing() -> None:
    layer = nn.Linear(4, 3, bias=False)
    nn.init.orthogonal_(layer.weight, gain=7)
    assert orthogonality(layer).item() == pytest.approx(0, abs=1e-8)
    with torch.no_grad():
        layer.weight[1] = layer.weight[0]
    assert orthogonality(layer).item() == pytest.approx(49**2, rel=1e-5)  # two of the pairs, halved


def test_a_normalised_weight_counts_as_it_was_before() -> None:
    layer = nn.Linear(4, 3, bias=False)
    plain = orthogonality(layer).item()
    assert orthogonality(spectral_norm(layer)).item() == pytest.approx(plain)


def test_shared_embeddings_of_classes_are_left_out() -> None:
    for settings in (BigGAN(width=1, latent_dim=4, classes=3), StyleGAN2(width=2, latent_dim=4, classes=3)):
        G = settings.build((1, 8, 8)).generator
        orthogonality(G).backward()
        assert [name for name, p in G.named_parameters() if "embedding" in name and p.grad is not None] == []
        assert any(p.grad is not None for p in G.parameters())


def test_lecam_pulls_each_kind_of_score_to_the_other_s_anchor() -> None:
    lecam = LeCam(0.5)
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 0.0])
    found = lecam(real, fake)  # anchors begin as the first means, 2 and -0.5
    assert lecam.anchors.tolist() == [2.0, -0.5]
    assert found.item() == pytest.approx(0.5 * ((1.5**2 + 3.5**2) / 2 + (3**2 + 2**2) / 2))


def test_lecam_s_anchors_are_plain_means_at_first_and_moving_averages_later() -> None:
    lecam, scores = LeCam(1.0), _random(300)
    slow = 0.0
    for count, score in enumerate(scores, 1):
        lecam(score[None], -score[None])
        slow += max(1 / count, ANCHOR_DECAY) * (score.item() - slow)
        if count == 50:
            assert lecam.anchors[0].item() == pytest.approx(scores[:50].mean().item(), abs=1e-5)
    assert lecam.anchors.tolist() == pytest.approx([slow, -slow], abs=1e-5)


def test_lecam_s_anchors_are_constants_of_the_gradient() -> None:
    real, fake = torch.tensor([2.0], requires_grad=True), torch.tensor([1.0], requires_grad=True)
    LeCam(1.0)(real, fake).backward()
    assert real.grad is not None and fake.grad is not None
    assert (real.grad.item(), fake.grad.item()) == (2.0, -2.0)  # 2 (2 - 1) and 2 (1 - 2)
