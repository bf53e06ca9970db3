from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ganguard.base.compute import Compute
from ganguard.base.errors import MetricError, SpecError
from ganguard.metrics.features import network as network_module
from ganguard.metrics.features.network import FeatureNetwork, Standardisation, extract, parse_features
from ganguard.metrics.features.random_network import RandomNetwork
from ganguard.metrics.features.scale_checks import is_constant


class Moments(FeatureNetwork):
    """Mean and largest pixel of each image, and how many images shared the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def features(self, images: Tensor) -> Tensor:
        self.batches.append(len(images))
        return torch.stack([images.mean(dim=(1, 2, 3)), images.amax(dim=(1, 2, 3))], dim=1)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (70, 1, 6, 6), dtype=np.uint8))


@pytest.mark.parametrize("chunk", [1, 7, 70, 500])
def test_chunks_change_nothing(
    monkeypatch: pytest.MonkeyPatch, images: Tensor, compute: Compute, chunk: int
) -> None:
    wanted = images.float() / 127.5 - 1
    monkeypatch.setattr(network_module, "CHUNK", chunk)
    network = Moments()
    found = extract(network, images, compute)
    assert torch.allclose(found[:, 0], wanted.mean(dim=(1, 2, 3)), atol=1e-6)
    assert torch.equal(found[:, 1], wanted.amax(dim=(1, 2, 3)))
    assert max(network.batches) <= chunk


def test_only_images_have_features(images: Tensor, compute: Compute) -> None:
    with pytest.raises(MetricError, match="uint8"):
        extract(Moments(), images.float(), compute)


def test_a_network_left_training_is_run_as_trained(images: Tensor, compute: Compute) -> None:
    assert not extract(Moments().train(), images, compute).requires_grad
    network = Moments().train()
    extract(network, images, compute)
    assert not network.training


def test_progress_never_passes_its_end(
    monkeypatch: pytest.MonkeyPatch, images: Tensor, compute: Compute
) -> None:
    monkeypatch.setattr(network_module, "CHUNK", 32)
    calls: list[tuple[int, int]] = []
    extract(Moments(), images, compute, lambda done, total, note="": calls.append((done, total)))
    assert calls == [(32, 70), (64, 70), (70, 70)]


def test_standardised_real_features_have_mean_0_and_variance_1() -> None:
    real = torch.from_numpy(np.random.default_rng(0).normal(5, 3, size=(200, 4))).float()
    scaled = Standardisation.fit(real)(real)
    assert torch.allclose(scaled.mean(0), torch.zeros(4), atol=1e-5)
    assert torch.allclose(scaled.var(0), torch.ones(4), atol=1e-5)


def test_other_features_are_put_on_the_scale_of_the_real_ones() -> None:
    scale = Standardisation(mean=torch.tensor([1.0, 2.0]), std=torch.tensor([2.0, 0.5]))
    assert scale(torch.tensor([[3.0, 2.0], [1.0, 1.0]])).tolist() == [[1.0, 0.0], [0.0, -2.0]]


@pytest.mark.parametrize("level", [0.0, 0.1, 1e4 + 0.3])
def test_a_constant_dimension_keeps_its_scale(level: float) -> None:
    real = torch.stack([torch.linspace(-1, 1, 301), torch.full((301,), level)], dim=1)
    scaled = Standardisation.fit(real)(real + torch.tensor([0.0, 2.0]))
    assert scaled[:, 1].numpy() == pytest.approx(2, abs=0.01)


def test_rounding_that_differs_from_chunk_to_chunk_is_no_variance(tmp_path: Path, compute: Compute) -> None:
    """Of 257 equal images the last is in a chunk of its own, and goes through other kernels.

    Dividing by the tiny difference between them put other images billions of times too far away.
    """
    network = RandomNetwork(dimensions=2048).load(tmp_path, 3)
    features = extract(network, torch.full((257, 3, 16, 16), 7, dtype=torch.uint8), compute)
    assert is_constant(features).all()
    with pytest.raises(MetricError, match="it needs 10 different images, and has 1 among 257"):
        Standardisation.fit(features)


def test_an_unknown_network_lists_the_known_ones() -> None:
    with pytest.raises(SpecError, match=r"unknown feature network 'clasifier'; did you mean 'classifier'\?"):
        parse_features("clasifier")
