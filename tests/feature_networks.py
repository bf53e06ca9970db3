"""Tiny pretrained networks of the three kinds that are read from files, each with 6 features."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganguard.base.seeds import seeded_weights

DIMENSIONS = 6
PREPROCESSOR = {
    "image_processor_type": "BitImageProcessor",
    "do_resize": True,
    "size": {"shortest_edge": 32},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 28, "width": 28},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


class TinyInception(nn.Module):
    """The interface of inception-2015-12-05.pt: uint8 in, features or probabilities out."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Conv2d(3, DIMENSIONS, 3, padding=1)
        self.output = nn.Linear(DIMENSIONS, 5)

    def forward(
        self, img: Tensor, return_features: bool = False, use_fp16: bool = False, no_output_bias: bool = False
    ) -> Tensor:
        x = F.interpolate((img.to(torch.float32) - 128) / 128, size=[12, 12], mode="bilinear")
        features = F.leaky_relu(self.layers(x)).mean(dim=[2, 3])
        if return_features:
            return features
        if no_output_bias:
            return F.linear(features, self.output.weight).softmax(dim=1)
        return self.output(features).softmax(dim=1)


class TinyFloats(nn.Module):
    """Float images of any channels in, features out."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(17, DIMENSIONS)

    def forward(self, images: Tensor) -> Tensor:
        pooled = F.adaptive_avg_pool2d(images.mean(1, keepdim=True), [4, 4]).flatten(1)
        return self.mix(torch.cat([pooled, images.flatten(1).std(1, keepdim=True)], dim=1))


def save_script(module: nn.Module, path: Path, seed: int = 0) -> Path:
    """Write a module to a TorchScript file with weights drawn from a seed."""
    with seeded_weights(seed):
        for part in module.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                part.reset_parameters()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # torch deprecates TorchScript; users' files still are in it
        torch.jit.save(torch.jit.script(module.eval()), path)
    return path


def save_dinov2(
    directory: Path, seed: int = 0, preprocessor: dict[str, object] | None = PREPROCESSOR
) -> Path:
    """Write a DINOv2 of one layer, as save_pretrained does, and its preprocessing."""
    from transformers import Dinov2Config, Dinov2Model

    config = Dinov2Config(
        hidden_size=DIMENSIONS, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    return save_model(directory, lambda: Dinov2Model(config), seed, preprocessor)


def save_clip(directory: Path) -> Path:
    """Write a CLIP of one layer, as save_pretrained does, and its preprocessing."""
    from transformers import CLIPConfig, CLIPModel

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = CLIPConfig(
        text_config={**sizes, "vocab_size": 9, "max_position_embeddings": 8, "eos_token_id": 2},
        vision_config={**sizes, "image_size": 28, "patch_size": 14, "projection_dim": DIMENSIONS},
        projection_dim=DIMENSIONS,
    )
    return save_model(directory, lambda: CLIPModel(config))


def save_model(
    directory: Path,
    make: Callable[[], Any],
    seed: int = 0,
    preprocessor: dict[str, object] | None = PREPROCESSOR,
) -> Path:
    """Write a model of transformers with weights drawn from a seed, large enough for images to differ in
    them."""
    with seeded_weights(seed):
        model = make()
        for value in model.parameters():
            if value.ndim > 1:
                nn.init.normal_(value, std=0.5)
    model.save_pretrained(directory)
    if preprocessor is not None:
        (directory / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return directory
