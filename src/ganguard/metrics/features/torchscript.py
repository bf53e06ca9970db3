"""Any TorchScript file as a feature network.

Such a file is a program: it is run only if the user says that it is trusted.
"""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import field_validator
from torch import Tensor, nn

from ganguard.base.errors import CheckpointError, MetricError
from ganguard.base.images import to_float
from ganguard.base.settings import Positive, absolute
from ganguard.base.torchscript import load_program, raised, trusted_digest
from ganguard.metrics.features.network import FeatureNetwork, FeatureSettings, Sha256, require_same
from ganguard.metrics.features.preprocessing import resized, with_channels


class TorchScript(FeatureSettings):
    """Settings of a file written by torch.jit.save: images (N, C, H, W) -> features (N, D).

    Attributes:
        path: the file.
        trusted: must be true, since loading the file runs code in it.
        input: the images that it takes: "float", float32 in [-1, 1], or "uint8", in [0, 255].
        size: side in pixels to which images are resized (bicubic, antialiased); None keeps their size.
        channels: 3 repeats grey images; None keeps their channels.
        sha256: SHA-256 of the file; another file is refused.
    """

    kind: Literal["torchscript"] = "torchscript"
    path: str
    trusted: bool = False
    input: Literal["float", "uint8"] = "float"
    size: Positive | None = None
    channels: Literal[1, 3] | None = None
    sha256: Sha256 | None = None
    pretrained: ClassVar[bool] = True

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str) -> str:
        return absolute(path)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the file.

        Raises CheckpointError if it is not trusted, absent, or not the pinned one.
        """
        found = trusted_digest(Path(self.path), self.trusted, "feature network", CheckpointError)
        return require_same(self.path, self.sha256, found)

    def load(self, directory: Path, channels: int) -> "TorchScriptNetwork":
        """Return the network in the file.

        Raises CheckpointError if it is not trusted, absent, not the pinned one, or no TorchScript.
        """
        self.fingerprint()
        return TorchScriptNetwork(self, load_readable(Path(self.path)))


class TorchScriptNetwork(FeatureNetwork):
    """A TorchScript program, and the preprocessing of its images."""

    takes: ClassVar[Literal["float", "uint8"]] = "uint8"
    smallest_side: ClassVar[int] = 1

    def __init__(self, settings: TorchScript, program: nn.Module) -> None:
        super().__init__()
        self.settings = settings
        self.program = program

    def working_bytes(self, height: int, width: int) -> int:
        """Return the bytes that it is taken to work in for one image, at the size that it is given."""
        size = self.settings.size
        return super().working_bytes(size or height, size or width)

    def features(self, images: Tensor) -> Tensor:
        """Return the features (N, D) of images (N, C, H, W) uint8.

        Raises MetricError if the program fails on them.
        """
        images = with_channels(images, self.settings.channels)
        if self.settings.size is not None:
            images = resized(images, self.settings.size, self.settings.size, "bicubic")
        given = to_float(images) if self.settings.input == "float" else images
        return run_program(self.settings.path, self.program, given)


def load_readable(file: Path) -> nn.Module:
    """Return the program in a trusted file. Raises CheckpointError if its weights cannot be hashed."""
    program = load_program(file, CheckpointError)
    kinds = {value.dtype for value in program.state_dict().values()}
    if torch.bfloat16 in kinds:  # weights are hashed as NumPy arrays, and NumPy has no such type
        raise CheckpointError(
            f"{file}: its weights must not be bfloat16, which cannot be hashed. Save it as float32."
        )
    return program


def run_program(name: str, program: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return the output of a program for images (N, C, H, W).

    It is interpreted as it stands, so that the first call gives the same bits as later ones: after a few
    calls, torch would optimise it, and the last bits would change. Raises MetricError, which names the
    program, if it fails.
    """
    try:
        with torch.jit.optimized_execution(False):  # pyright: ignore[reportPrivateImportUsage]
            return program(images)
    except Exception as problem:  # noqa: BLE001 - a user's program may raise anything
        raise MetricError(
            f"{name}: failed on {images.dtype} images {tuple(images.shape)}: {raised(problem)}. Set the "
            "input that it takes, or choose another network."
        ) from None
