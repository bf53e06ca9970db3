"""What every feature network must do."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError
from ganguard.metrics.features import FEATURES
from ganguard.metrics.features.classifier import WEIGHTS, Classifier
from ganguard.metrics.features.network import FeatureNetwork, extract, load_features, parse_features
from ganguard.training.loop import seeded_weights

SETTINGS: dict[str, dict[str, object]] = {
    "classifier": {"kind": "classifier", "width": 4, "dimensions": 6},
    "random_network": {"kind": "random_network", "dimensions": 6},
}
Load = Callable[[int], FeatureNetwork]


def test_every_feature_network_is_under_contract() -> None:
    assert set(SETTINGS) == set(FEATURES.builtin)


@pytest.fixture(params=SETTINGS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def load(kind: str, tmp_path: Path) -> Load:
    """Load the network for images of so many channels; one that must be trained finds its weights."""

    def network(channels: int) -> FeatureNetwork:
        settings = parse_features(SETTINGS[kind])
        if isinstance(settings, Classifier):
            with seeded_weights(0):
                save_file(settings.untrained(channels, 3).state_dict(), tmp_path / WEIGHTS)
        return load_features(settings, tmp_path, channels)

    return network


def _images(count: int, channels: int, side: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, side, side), generator=generator).to(torch.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [4, 8, 12, 33])
def test_any_size_has_features_of_one_width(load: Load, compute: Compute, channels: int, side: int) -> None:
    features = extract(load(channels), _images(5, channels, side), compute)
    assert features.shape == (5, 6)
    assert features.dtype == torch.float32
    assert torch.isfinite(features).all()
    assert len(features.unique(dim=0)) == 5


def test_features_of_an_image_do_not_depend_on_its_company(load: Load, compute: Compute) -> None:
    network, images = load(1), _images(20, 1, 8)
    whole = extract(network, images, compute)
    for size in (1, 7):
        parts = torch.cat([extract(network, part, compute) for part in images.split(size)])
        assert torch.allclose(parts, whole, atol=1e-5)
    assert torch.allclose(extract(network, images.flip(0), compute).flip(0), whole, atol=1e-5)


def test_loading_twice_gives_the_same_function(load: Load, compute: Compute) -> None:
    images = _images(4, 1, 8)
    assert torch.equal(extract(load(1), images, compute), extract(load(1), images, compute))


def test_no_global_random_state_is_touched(load: Load, compute: Compute) -> None:
    before = torch.get_rng_state()
    extract(load(1), _images(4, 1, 8), compute)
    assert torch.equal(torch.get_rng_state(), before)


def test_settings_come_back_from_json(kind: str) -> None:
    settings = parse_features(SETTINGS[kind])
    assert parse_features(settings.model_dump(mode="json")) == settings
    assert parse_features(kind).kind == kind


def test_an_unknown_key_is_refused_by_name(kind: str) -> None:
    with pytest.raises(SpecError, match=rf"^{kind}\.dimension: unknown key\. Did you mean 'dimensions'"):
        parse_features({"kind": kind, "dimension": 3})
