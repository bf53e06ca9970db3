"""A TorchScript generator as a target. A TorchScript file is a program: it is run only where the user says it is trusted."""

import warnings
from pathlib import Path

import torch
from pydantic import field_validator
from torch import nn

from ganguard.base.cache import file_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.base.settings import Positive
from ganguard.targets.load import TargetSettings
from ganguard.targets.module import ModuleTarget


class TorchScriptTarget(TargetSettings):
    """`torchscript`: a file of torch.jit.save: z (N, latent_dim) float32 -> images (N, C, H, W) in [-1, 1].

    trusted: must be true, since loading the file runs code in it.
    """

    torchscript: str
    latent_dim: Positive
    trusted: bool = False

    @field_validator("torchscript")
    @classmethod
    def _absolute(cls, path: str) -> str:
        return str(Path(path).expanduser().resolve())

    def fingerprint(self) -> str:
        """Digest of the file. Raises TargetError where it is not trusted or absent."""
        file = Path(self.torchscript)
        if not self.trusted:
            raise TargetError(f"{file}: TorchScript can run code. Set `trusted: true` if you know where it comes from.")
        if not file.is_file():
            raise TargetError(f"{file}: no such file. Give the path of a TorchScript generator.")
        return file_digest(file)

    def load(self, compute: Compute) -> ModuleTarget:
        """Load the file. Raises TargetError where it is not trusted, absent, or no TorchScript."""
        identity = f"torchscript:{self.fingerprint()}"
        module = _load(Path(self.torchscript))
        return ModuleTarget(module, latent_dim=self.latent_dim, identity=identity, compute=compute)


def _load(file: Path) -> nn.Module:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.load` is deprecated", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.load` is not supported", category=DeprecationWarning)
        try:
            return torch.jit.load(file, map_location="cpu")
        except RuntimeError as problem:
            reason = str(problem).strip().splitlines()[0]
            raise TargetError(f"{file}: not a TorchScript file ({reason}).") from None
