from pathlib import Path

import pytest
import torch

from ganguard.metrics.features.random_network import RandomNetwork

RAMP = torch.linspace(-1, 1, 128).view(2, 1, 8, 8)


def test_features_are_pinned(tmp_path: Path) -> None:
    """Distances of two audits are comparable only as long as these numbers stay the same.

    The tolerance is for float32 convolutions, which differ in the last digits.
    """
    features = RandomNetwork().load(tmp_path, 1).features(RAMP)
    assert features.shape == (2, 64)
    assert features[:, :4].flatten().tolist() == pytest.approx(
        [-0.77932, -0.51629, 0.03433, 1.01027, 0.73544, -0.17642, -0.68669, 0.54032], abs=1e-4
    )


def test_the_seed_decides_every_weight(tmp_path: Path) -> None:
    one, again, other = (RandomNetwork(seed=seed).load(tmp_path, 1).features(RAMP) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.isclose(one, other, atol=1e-3).any(dim=0).all()


def test_nothing_is_read_or_written(tmp_path: Path) -> None:
    RandomNetwork().load(tmp_path / "nowhere", 3)
    assert list(tmp_path.iterdir()) == []


def test_weights_are_not_trained(tmp_path: Path) -> None:
    assert not any(p.requires_grad for p in RandomNetwork().load(tmp_path, 1).parameters())


def test_weights_keep_the_size_of_the_signal(tmp_path: Path) -> None:
    """He et al. 2015: variance 2 / fan_in."""
    for weight in RandomNetwork().load(tmp_path, 3).parameters():
        fan_in = weight[0].numel()
        assert weight.var().item() == pytest.approx(2 / fan_in, rel=0.15)
