"""CLIP's embeddings of images (Radford et al. 2021), of which CMMD is measured.

They are the image half's output after the projection into the space that images and texts share.
"""

from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from ganguard.metrics.features.huggingface import (
    PREPROCESSING,
    HuggingFaceNetwork,
    Model,
    load_model,
)
from ganguard.metrics.features.network import require_same
from ganguard.metrics.features.preprocessing import Preprocessing, read_preprocessing


class Clip(Model):
    """Settings of a CLIP model of transformers; the default is the one that CMMD's authors use.

    See `Model` for the attributes.
    """

    kind: Literal["clip"] = "clip"
    model: str = "openai/clip-vit-large-patch14-336"

    def load(self, directory: Path, channels: int) -> "ClipNetwork":
        """Return the network.

        Raises CheckpointError as `fingerprint` does, and if the model is no CLIP.
        """
        files = self.directory()
        require_same(self.model, self.sha256, self.fingerprint())
        preprocessing = read_preprocessing(files / PREPROCESSING)
        model, _ = load_model(files, self.model, "CLIPModel")
        return ClipNetwork(self.model, preprocessing, model)


class ClipNetwork(HuggingFaceNetwork):
    """Images (N, C, H, W) uint8 -> CLIP's embeddings (N, D) float32, before they are scaled to length 1."""

    def __init__(self, name: str, preprocessing: Preprocessing, model: nn.Module) -> None:
        clip: Any = model
        super().__init__(name, preprocessing, clip.vision_model, pooled=True)
        self.projection: nn.Module = clip.visual_projection

    def _rows(self, output: Any) -> Tensor:
        return self.projection(super()._rows(output))
