import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from feature_networks import DIMENSIONS, PREPROCESSOR, save_dinov2, save_model
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    AutoModel,
    BitImageProcessorPil,
    CLIPConfig,
    CLIPModel,
    Dinov2Config,
    Dinov2Model,
    ResNetConfig,
    ResNetModel,
    SiglipConfig,
    SiglipModel,
    SwinConfig,
    SwinModel,
    ViTConfig,
    ViTModel,
)

from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError, MetricError
from ganguard.metrics.features.huggingface import DinoV2, HuggingFace, HuggingFaceNetwork
from ganguard.metrics.features.network import extract, pinned
from ganguard.metrics.features.preprocessing import Preprocessing, read_preprocessing

VISION: dict[str, Any] = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "image_size": 28,
    "patch_size": 14,
}
TEXT: dict[str, Any] = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "vocab_size": 9,
    "max_position_embeddings": 8,
}


def _images(count: int = 5, channels: int = 3, height: int = 20, width: int = 20) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, height, width), generator=generator).to(torch.uint8)


def _hub_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_dinov2(tmp_path / "dino")


def test_features_are_the_models_pooled_output_of_its_own_preprocessing(
    model: Path, compute: Compute
) -> None:
    images = _images()
    network = HuggingFace(model=str(model)).load(model, 3)
    pixels = BitImageProcessorPil.from_pretrained(model)(list(images), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        wanted = Dinov2Model.from_pretrained(model)(pixel_values=pixels).pooler_output
    found = extract(network, images, compute)
    assert found.shape == (5, DIMENSIONS)
    assert torch.allclose(
        found, wanted, atol=0.05
    )  # Pillow's weights are in fixed point: few bytes differ, by 1
    assert len(found.unique(dim=0)) == 5


def _rows(model: Path, compute: Compute) -> Tensor:
    return extract(HuggingFace(model=str(model)).load(model, 3), _images(), compute)


def _pixels(model: Path) -> Tensor:
    return read_preprocessing(model / "preprocessor_config.json")(_images())


def test_without_pooling_weights_the_class_token_is_taken(tmp_path: Path, compute: Compute) -> None:
    """transformers would draw the missing weights at random."""
    model = save_model(tmp_path, lambda: ViTModel(ViTConfig(**VISION), add_pooling_layer=False))
    before = torch.get_rng_state()
    found = _rows(model, compute)
    assert torch.equal(torch.get_rng_state(), before)
    with torch.no_grad():
        last = ViTModel.from_pretrained(model, add_pooling_layer=False)(
            pixel_values=_pixels(model)
        ).last_hidden_state
    assert torch.allclose(found, last[:, 0], atol=1e-5)


def test_a_model_with_neither_is_averaged_over_its_places(tmp_path: Path, compute: Compute) -> None:
    config = SwinConfig(embed_dim=4, depths=[1], num_heads=[1], image_size=28, patch_size=4, window_size=7)
    model = save_model(tmp_path, lambda: SwinModel(config, add_pooling_layer=False))
    with torch.no_grad():
        last = SwinModel.from_pretrained(model)(pixel_values=_pixels(model)).last_hidden_state
    assert torch.allclose(_rows(model, compute), last.mean(1), atol=1e-5)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_of_an_image_and_text_model_the_image_half_is_taken(
    tmp_path: Path, compute: Compute, kind: str
) -> None:
    makers: dict[str, Callable[[], Any]] = {
        "clip": lambda: CLIPModel(
            CLIPConfig(text_config={**TEXT, "eos_token_id": 2}, vision_config=VISION, projection_dim=4)
        ),
        "siglip": lambda: SiglipModel(SiglipConfig(text_config=TEXT, vision_config=VISION)),
    }
    model = save_model(tmp_path, makers[kind])
    with torch.no_grad():
        wanted = AutoModel.from_pretrained(model).vision_model(pixel_values=_pixels(model)).pooler_output
    assert torch.allclose(_rows(model, compute), wanted, atol=1e-5)


def test_a_convolutional_model_is_pooled(tmp_path: Path, compute: Compute) -> None:
    config = ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic")
    found = _rows(save_model(tmp_path, lambda: ResNetModel(config)), compute)
    assert found.shape == (5, 8)


class Maps(torch.nn.Module):
    """A model without pooling whose last layer is of places."""

    def forward(self, pixel_values: Tensor) -> Any:
        return SimpleNamespace(last_hidden_state=pixel_values)


def test_places_without_pooling_are_averaged(compute: Compute) -> None:
    preprocessing = Preprocessing(do_normalize=False)
    found = extract(HuggingFaceNetwork("maps", preprocessing, Maps(), True), _images(), compute)
    assert torch.allclose(found, _images().float().mean((2, 3)) / 255)


def test_a_dinov2_of_another_resolution_is_taken(tmp_path: Path, compute: Compute) -> None:
    """As published: trained at 518 pixels, and given 224."""
    config = Dinov2Config(
        hidden_size=6, num_hidden_layers=1, num_attention_heads=2, image_size=70, patch_size=14
    )
    assert _rows(save_model(tmp_path, lambda: Dinov2Model(config)), compute).shape == (5, 6)


def test_grey_images_are_repeated(model: Path, compute: Compute) -> None:
    network, grey = HuggingFace(model=str(model)).load(model, 1), _images(channels=1)
    assert torch.equal(extract(network, grey, compute), extract(network, grey.repeat(1, 3, 1, 1), compute))


def test_pixels_that_the_model_does_not_take_are_told(tmp_path: Path, compute: Compute) -> None:
    wrong = {**PREPROCESSOR, "crop_size": {"height": 30, "width": 30}}
    model = save_model(tmp_path, lambda: ViTModel(ViTConfig(**VISION)), preprocessor=wrong)
    with pytest.raises(
        MetricError, match=r"failed on pixels \(5, 3, 30, 30\): Input image size .*preprocessor_config\.json"
    ):
        _rows(model, compute)


def test_nothing_is_said_or_drawn(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    HuggingFace(model=str(model)).load(model, 3)
    assert capfd.readouterr() == ("", "")


def test_pickled_weights_are_not_read(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.load", lambda *a, **k: pytest.fail("a pickle was opened"))
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(
        CheckpointError,
        match=r"must hold config\.json and model\.safetensors; it does not\. Pickled weights",
    ):
        HuggingFace(model=str(model)).load(model, 3)


def test_code_that_comes_with_a_model_is_not_run(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "bomb.py").write_text(f"open({str(model / 'it-ran')!r}, 'w')")
    changed = {
        **config,
        "model_type": "bomb",
        "auto_map": {"AutoConfig": "bomb.Config", "AutoModel": "bomb.Model"},
    }
    (model / "config.json").write_text(json.dumps(changed))
    with pytest.raises(CheckpointError, match="not a model that transformers can open"):
        HuggingFace(model=str(model)).load(model, 3)
    assert not (model / "it-ran").exists()


@pytest.mark.parametrize("content", [b"", b"no safetensors"])
def test_damaged_weights_are_refused_in_one_line(model: Path, content: bytes) -> None:
    (model / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="not a model that transformers can open") as caught:
        HuggingFace(model=str(model)).load(model, 3)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_all_there_are_refused(model: Path) -> None:
    weights = load_file(model / "model.safetensors")
    del weights["layernorm.weight"]
    save_file(weights, model / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"its weights lack 1 tensors, such as layernorm\.weight"):
        HuggingFace(model=str(model)).load(model, 3)


def test_the_pin_is_of_every_file_that_is_read(model: Path) -> None:
    settings = pinned(HuggingFace(model=str(model)))
    assert settings.load(model, 3).name == str(model)
    (model / "README.md").write_text("is not read")
    assert pinned(HuggingFace(model=str(model))) == settings
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        content = (model / name).read_bytes()
        (model / name).write_bytes(content + b" ")
        with pytest.raises(CheckpointError, match="its SHA-256 must be"):
            settings.load(model, 3)
        (model / name).write_bytes(content)


def test_a_name_without_a_network_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    _hub_is_out_of_reach(monkeypatch)
    for settings in (HuggingFace(), DinoV2(), HuggingFace(model=str(tmp_path / "absent"))):
        with pytest.raises(
            CheckpointError,
            match=r"no such directory, and Hugging Face's hub did not provide it \(.*\)\. Give",
        ):
            settings.load(tmp_path, 3)
    assert capfd.readouterr() == ("", "")


def test_what_the_hubs_cache_holds_needs_no_network(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _hub_is_out_of_reach(monkeypatch)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    kept = tmp_path / "models--us--dino" / "snapshots" / ("a" * 40)
    kept.parent.mkdir(parents=True)
    model.rename(kept)
    (kept.parents[1] / "refs").mkdir()
    (kept.parents[1] / "refs" / "main").write_text(kept.name)
    assert HuggingFace(model="us/dino").load(tmp_path, 3).class_token
    (kept / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"us/dino: no such directory|must hold config\.json"):
        HuggingFace(model="us/dino").load(tmp_path, 3)


def test_without_transformers_the_extra_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers.utils", None)
    with pytest.raises(CheckpointError, match=r"Run pip install 'ganguard\[huggingface\]'"):
        HuggingFace(model=str(model)).load(model, 3)
