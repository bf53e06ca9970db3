"""Any TorchScript file as a feature network. Such a file is a program: it is run only where the user says it
is trusted."""

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
    """Settings of a file of torch.jit.save: images (N, C, H, W) -> features (N, D).

    trusted: must be true, since loading the file runs code in it.
    input: what it takes: "float", float32 in [-1, 1], or "uint8" in [0, 255].
    size: side in pixels that images are resized to (bicubic, antialiased); None gives them as they are.
    channels: 3 repeats grey images; None gives images as they are.
    sha256: of the file; another is refused.
    """

    kind: Literal["torchscript"] = "torchscript"
    path: str
    trusted: bool = False
    input: Literal["float", "uint8"] = "float"
    size: Positive | None = None
    channels: Literal[1, 3] | None = None
    sha256: Sha256 | None = None

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str) -> str:
        return absolute(path)

    def fingerprint(self) -> str:
        """SHA-256 of the file. Raises CheckpointError where it is not trusted, absent, or not the one that is
        pinned."""
        found = trusted_digest(Path(self.path), self.trusted, "feature network", CheckpointError)
        return require_same(self.path, self.sha256, found)

    def load(self, directory: Path, channels: int) -> "TorchScriptNetwork":
        """The network in the file. Raises CheckpointError where it is not trusted, absent, another, or no
        TorchScript."""
        self.fingerprint()
        return TorchScriptNetwork(self, load_readable(Path(self.path)))


class TorchScriptNetwork(FeatureNetwork):
    """A program, and what its images are made to be before it sees them."""

    takes: ClassVar[Literal["float", "uint8"]] = "uint8"
    smallest_side: ClassVar[int] = 1

    def __init__(self, settings: TorchScript, program: nn.Module) -> None:
        super().__init__()
        self.settings = settings
        self.program = program

    def features(self, images: Tensor) -> Tensor:
        """images (N, C, H, W) uint8 -> features (N, D). Raises MetricError where the program raises on
        them."""
        images = with_channels(images, self.settings.channels)
        if self.settings.size is not None:
            images = resized(images, self.settings.size, self.settings.size, "bicubic")
        return run_program(
            self.settings.path, self.program, to_float(images) if self.settings.input == "float" else images
        )


def load_readable(file: Path) -> nn.Module:
    """The program in a trusted file, whose weights can be hashed. Raises CheckpointError."""
    program = load_program(file, CheckpointError)
    kinds = {value.dtype for value in program.state_dict().values()}
    if torch.bfloat16 in kinds:  # numpy, which the hash of all weights goes through, has no such type
        raise CheckpointError(
            f"{file}: its weights must not be bfloat16, which cannot be hashed. Save it as float32."
        )
    return program


def run_program(name: str, program: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """What a program gives for images (N, C, H, W), interpreted as it stands, so that the first call is as
    the others: torch would rewrite it after watching a few, and the last bits would change. Raises
    MetricError that names it where it raises."""
    try:
        with torch.jit.optimized_execution(False):  # pyright: ignore[reportPrivateImportUsage]
            return program(images)
    except Exception as problem:  # noqa: BLE001 - a user's program may raise anything
        raise MetricError(
            f"{name}: raised on {images.dtype} images {tuple(images.shape)}: {raised(problem)}. Set what it "
            "takes, or choose another network."
        ) from None
