"""CLIP's embeddings are those of transformers, after the projection, and CMMD is measured of them alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from feature_networks import save_clip, save_model
from torch import Tensor
from transformers import (
    CLIPVisionModelWithProjection,
    SiglipConfig,
    SiglipModel,
)

from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError, MetricError
from ganguard.base.progress import silent
from ganguard.comparison.image_sets import ImageSet
from ganguard.comparison.measure_sets import measured_sets
from ganguard.metrics import cmmd
from ganguard.metrics.features.clip import Clip
from ganguard.metrics.features.network import extract, parse_features

VISION = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "image_size": 28,
    "patch_size": 14,
}
TEXT = {**VISION, "vocab_size": 9, "max_position_embeddings": 8}


def _images(count: int = 5, seed: int = 0) -> Tensor:
    return torch.randint(
        0, 256, (count, 3, 32, 32), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8
    )


def test_embeddings_are_those_after_the_projection(tmp_path: Path) -> None:
    model = save_clip(tmp_path)
    network = Clip(model=str(model)).load(Path(), 3)
    theirs = CLIPVisionModelWithProjection.from_pretrained(model)
    with torch.no_grad():
        wanted = theirs(pixel_values=network.preprocessing(_images())).image_embeds
    found = extract(network, _images(), Compute())
    assert found.shape == (5, 6)
    assert torch.allclose(found, wanted, atol=1e-5)


def test_cmmd_is_measured_of_clip_alone(tmp_path: Path) -> None:
    model = save_clip(tmp_path)
    a, b = _images(30, 1), _images(40, 2) // 2
    given = f"{{kind: clip, model: {model}}}"
    found = measured_sets(ImageSet.of(a), ImageSet.of(b), given, "cmmd,kid", Compute(), silent).values["cmmd"]
    network = Clip(model=str(model)).load(Path(), 3)
    wanted = cmmd(*(extract(network, images, Compute()) for images in (a, b)))
    assert found.value == pytest.approx(wanted, rel=1e-6)
    assert found.value > 0
    assert found.spread is None
    with pytest.raises(MetricError, match=r"cmmd is of CLIP's embeddings\. Set --features clip\."):
        measured_sets(ImageSet.of(a), ImageSet.of(b), "random_network", "cmmd", Compute(), silent)


def test_the_word_alone_is_the_model_of_the_paper() -> None:
    settings = parse_features("clip")
    assert isinstance(settings, Clip)
    assert settings.model == "openai/clip-vit-large-patch14-336"


@pytest.mark.parametrize("make", [lambda: SiglipModel(SiglipConfig(text_config=TEXT, vision_config=VISION))])
def test_another_model_is_refused_in_one_line(tmp_path: Path, make: Callable[[], Any]) -> None:
    model = save_model(tmp_path, make)
    with pytest.raises(CheckpointError) as refusal:
        Clip(model=str(model)).load(Path(), 3)
    assert len(str(refusal.value).splitlines()) == 1


def test_without_a_network_the_hub_is_said_to_be_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match="hub did not provide it") as refusal:
        Clip(model="nobody/has-this").fingerprint()
    assert "\n" not in str(refusal.value)
