"""The contract of every feature network."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from feature_networks import TinyFloats, TinyInception, save_clip, save_dinov2, save_script
from safetensors.torch import save_file

from ganguard.base.cache import tensor_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import MetricError, SpecError
from ganguard.base.images import to_float
from ganguard.base.seeds import seeded_weights
from ganguard.metrics.features import FEATURES
from ganguard.metrics.features.classifier import WEIGHTS, Classifier
from ganguard.metrics.features.maps import maps_of
from ganguard.metrics.features.network import (
    FeatureNetwork,
    FeatureSettings,
    extract,
    load_features,
    parse_features,
    pinned,
)

SETTINGS: dict[str, dict[str, object]] = {
    "classifier": {"kind": "classifier", "width": 4, "dimensions": 6},
    "clip": {"kind": "clip", "model": "clip"},
    "dinov2": {"kind": "dinov2", "model": "dinov2"},
    "efficientnet_lite0": {"kind": "efficientnet_lite0", "size": 32},
    "huggingface": {"kind": "huggingface", "model": "model"},
    "inception": {"kind": "inception", "path": "inception.pt", "trusted": True},
    "random_network": {"kind": "random_network", "dimensions": 6},
    "torchscript": {"kind": "torchscript", "path": "network.pt", "trusted": True},
}
FILES: dict[str, Callable[[Path], Path]] = {
    "clip": lambda directory: save_clip(directory / "clip"),
    "dinov2": lambda directory: save_dinov2(directory / "dinov2"),
    "huggingface": lambda directory: save_dinov2(directory / "model"),
    "inception": lambda directory: save_script(TinyInception(), directory / "inception.pt"),
    "torchscript": lambda directory: save_script(TinyFloats(), directory / "network.pt"),
}
CLASSIFIES = {"classifier", "efficientnet_lite0", "inception"}
WIDTHS = {"efficientnet_lite0": 1280}  # of the networks whose width is given; the others have 6
Load = Callable[[int], FeatureNetwork]


def test_every_feature_network_is_under_contract() -> None:
    assert set(SETTINGS) == set(FEATURES.builtin)


@pytest.fixture(params=SETTINGS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save the files that the settings name, and return their directory."""
    directory = tmp_path_factory.mktemp("networks")
    for save in FILES.values():
        save(directory)
    return directory


@pytest.fixture
def settings(kind: str, files: Path, monkeypatch: pytest.MonkeyPatch) -> FeatureSettings:
    monkeypatch.chdir(files)
    return parse_features(SETTINGS[kind])


@pytest.fixture
def load(settings: FeatureSettings, tmp_path: Path) -> Load:
    """Load the network for a number of channels. A network that must be trained finds weights on disk."""

    def network(channels: int) -> FeatureNetwork:
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
def test_any_size_has_features_of_one_width(
    kind: str, load: Load, compute: Compute, channels: int, side: int
) -> None:
    features = extract(load(channels), _images(5, channels, side), compute)
    assert features.shape == (5, WIDTHS.get(kind, 6))
    assert features.dtype == torch.float32
    assert torch.isfinite(features).all()
    assert len(features.unique(dim=0)) == 5


def test_features_of_an_image_do_not_depend_on_the_rest_of_the_batch(load: Load, compute: Compute) -> None:
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


def test_settings_come_back_from_json(settings: FeatureSettings) -> None:
    assert parse_features(settings.model_dump(mode="json")) == settings


def test_a_name_alone_is_enough_if_no_file_is_needed(kind: str) -> None:
    if kind == "torchscript":
        with pytest.raises(SpecError, match=r"^torchscript\.path: this key is required and missing"):
            parse_features(kind)
    else:
        assert parse_features(kind).kind == kind


def test_an_unknown_key_is_refused_by_name(kind: str) -> None:
    known = list(type(parse_features(SETTINGS[kind])).model_fields)[-1]
    with pytest.raises(SpecError, match=rf"^{kind}\.{known[:-1]}: unknown key\. Did you mean '{known}'"):
        parse_features({**SETTINGS[kind], known[:-1]: 3})


def test_classifiers_give_probabilities_and_other_networks_say_that_they_do_not(
    kind: str, load: Load, compute: Compute
) -> None:
    network, images = load(3), _images(5, 3, 12)
    if kind in CLASSIFIES:
        found = extract(network, images, compute, output="probabilities")
        assert found.shape[0] == 5
        assert torch.allclose(found.sum(1), torch.ones(5), atol=1e-5)
        assert len(found.unique(dim=0)) == 5
    else:
        with pytest.raises(
            MetricError, match=r"gives none\. Set features: inception, or features: classifier"
        ):
            extract(network, images, compute, output="probabilities")


def test_pinned_settings_load_the_same_network(settings: FeatureSettings, kind: str, files: Path) -> None:
    found, has_weights = pinned(settings), kind in {*FILES, "efficientnet_lite0"}
    assert (found.fingerprint() is not None) == has_weights
    assert pinned(found) == found
    assert (found == settings) == (not has_weights)


def test_weights_can_be_hashed(load: Load) -> None:
    assert len(tensor_digest(load(1).state_dict())) == 64


def test_maps_are_of_several_scales_and_gradients_flow_through_them(
    settings: FeatureSettings, compute: Compute
) -> None:
    if not settings.gives_maps:
        with pytest.raises(MetricError, match=f"{settings.kind} gives no feature maps"):
            maps_of(settings, 1, compute)
        return
    for channels in (1, 3, 4):
        maps, digest = maps_of(settings, channels, compute)
        shown = to_float(_images(3, channels, 12)).to(compute.torch_device()).requires_grad_()
        found = maps(shown)
        assert len(found) > 1 and all(each.ndim == 4 and len(each) == 3 for each in found)
        sides = [each.shape[2] for each in found]
        assert sides == sorted(sides, reverse=True) and sides[0] > sides[-1]
        torch.stack([each.square().mean() for each in found]).sum().backward()
        assert shown.grad is not None and shown.grad.abs().sum() > 0
        alone = maps(shown[1:2])
        assert all(torch.allclose(one, all_[1:2], atol=1e-4) for one, all_ in zip(alone, found, strict=True))
        assert maps_of(settings, channels, compute)[1] == digest
