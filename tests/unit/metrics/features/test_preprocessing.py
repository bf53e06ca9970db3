"""What a Hugging Face model's own file says of its inputs, against transformers' image processors."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from feature_networks import PREPROCESSOR, save_dinov2
from torch import Tensor
from transformers import BitImageProcessorPil, ViTImageProcessorPil

from ganguard.base.errors import CheckpointError, MetricError
from ganguard.metrics.features.huggingface import HuggingFace
from ganguard.metrics.features.preprocessing import Preprocessing, read_preprocessing, resized


def _images(count: int, channels: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, height, width), generator=generator).to(torch.uint8)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_dinov2(tmp_path / "dino")


@pytest.mark.parametrize(("height", "width"), [(20, 20), (64, 64), (40, 61), (40, 38), (300, 200)])
@pytest.mark.parametrize(
    ("processor", "config"),
    [
        (BitImageProcessorPil, PREPROCESSOR),
        (
            BitImageProcessorPil,
            {**PREPROCESSOR, "do_center_crop": False, "size": {"height": 30, "width": 24}, "resample": 2},
        ),
        (BitImageProcessorPil, {**PREPROCESSOR, "do_normalize": False, "resample": 0}),
        (BitImageProcessorPil, {**PREPROCESSOR, "do_rescale": False}),
        (ViTImageProcessorPil, {**PREPROCESSOR, "size": 24, "crop_size": None, "do_center_crop": None}),
    ],
)
def test_preprocessing_is_that_of_transformers(
    processor: Any, config: dict[str, Any], height: int, width: int
) -> None:
    """For images not much higher than wide: Pillow 13 and later resize those in the other order."""
    images = _images(2, 3, height, width)
    theirs = processor(
        **{key: value for key, value in config.items() if key != "image_processor_type" and value is not None}
    )
    wanted = theirs(list(images), return_tensors="pt")["pixel_values"]
    found = Preprocessing.model_validate(config)(images)
    byte = (1 if config.get("do_rescale") is False else 1 / 255) / (
        1 if config.get("do_normalize") is False else 0.22
    )
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() <= 1.01 * byte  # Pillow's weights are in fixed point
    assert ((found - wanted).abs() > 0.5 * byte).double().mean() < 0.1


def test_a_resize_of_nothing_changes_nothing() -> None:
    images = _images(2, 3, 9, 7)
    assert torch.equal(resized(images, 9, 7, "bicubic"), images)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"image_processor_type": "ConvNextImageProcessor"},
            "must be one of Beit, Bit, .*; got ConvNextImageProcessor",
        ),
        ({"size": None}, "must say size and resample, or do_resize: false"),
        ({"resample": None}, "must say size and resample"),
        ({"resample": 1}, "resample: "),
        (
            {"size": {"shortest_edge": 4, "height": 4, "width": 4}},
            "must be a number, or shortest_edge, or height and width",
        ),
        ({"size": {"height": 4}}, "must be a number"),
        ({"size": 10**9}, "size"),
        ({"crop_size": {"shortest_edge": 4}}, "must say crop_size with height and width"),
        ({"crop_size": None}, "must say crop_size"),
        ({"image_mean": [0.5]}, "image_mean"),
        ({"image_mean": None}, "must say image_mean and image_std"),
        ({"image_std": [0, 1, 1]}, "image_std"),
    ],
)
def test_preprocessing_that_is_not_known_here_is_refused(
    model: Path, change: dict[str, object], said: str
) -> None:
    (model / "preprocessor_config.json").write_text(json.dumps({**PREPROCESSOR, **change}))
    with pytest.raises(CheckpointError, match=rf"preprocessor_config\.json.*{said}"):
        HuggingFace(model=str(model)).load(model, 3)


def test_without_preprocessing_it_is_not_known_what_the_model_takes(model: Path) -> None:
    (model / "preprocessor_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"preprocessor_config\.json: no such file; it gives the size"):
        HuggingFace(model=str(model)).load(model, 3)


def test_an_old_file_without_flags_is_read(model: Path) -> None:
    file = model / "preprocessor_config.json"
    old = {
        "feature_extractor_type": "ViTFeatureExtractor",
        "size": 24,
        "resample": 2,
        "image_mean": [0.5] * 3,
    }
    file.write_text(json.dumps({**old, "image_std": [0.5] * 3}))
    found = read_preprocessing(file)(torch.full((1, 3, 20, 30), 255, dtype=torch.uint8))
    assert torch.equal(found, torch.ones(1, 3, 24, 24))


def test_images_that_are_too_small_or_too_long_are_refused() -> None:
    small = Preprocessing.model_validate({**PREPROCESSOR, "do_resize": False})
    with pytest.raises(MetricError, match="crops 28x28 pixels from the middle of images; these have 20x30"):
        small(_images(1, 3, 20, 30))
    with pytest.raises(
        MetricError, match="would scale images of 2x600 pixels to 32x9600; the largest side is 4096"
    ):
        Preprocessing.model_validate(PREPROCESSOR)(_images(1, 3, 2, 600))
