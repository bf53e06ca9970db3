"""A TorchScript generator as a target. A TorchScript file is a program: it is run only where the user says it is trusted."""

import warnings
import zipfile
from collections import Counter
from pathlib import Path

import torch
from pydantic import field_validator
from torch import nn

from ganguard.base.cache import file_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.base.settings import Positive, absolute, one_line
from ganguard.targets.load import TargetSettings, naming
from ganguard.targets.module import ModuleTarget

MOST_CODE = 64 << 20  # bytes that the compressed parts of a file, which are its code, may unpack to


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
        return absolute(path)

    def fingerprint(self) -> str:
        """Digest of the file. Raises TargetError where it is not trusted or absent."""
        file = Path(self.torchscript)
        if not self.trusted:
            raise TargetError(f"{file}: TorchScript can run code. Set `trusted: true` if you know where it comes from.")
        if not file.is_file():
            raise TargetError(f"{file}: no such file. Give the path of a TorchScript generator.")
        return file_digest(file)

    def load(self, compute: Compute) -> ModuleTarget:
        """Load the file. Raises TargetError where it is not trusted, absent, no TorchScript, or no generator of images."""
        identity = f"torchscript:{self.fingerprint()}"
        module = _load(Path(self.torchscript))
        with naming(self.torchscript):
            return ModuleTarget(module, latent_dim=self.latent_dim, identity=identity, compute=compute)


def _load(file: Path) -> nn.Module:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.load` is deprecated", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.load` is not supported", category=DeprecationWarning)
        try:
            parts = _archived(file)
            module: nn.Module = torch.jit.load(file, map_location="cpu")
            _require_whole(module, parts)
            return module
        except Exception as problem:  # noqa: BLE001 - on a damaged file, zipfile and torch raise whatever they stumble over
            reason = (str(problem).strip() or type(problem).__name__).splitlines()[0]
            raise TargetError(f"{file}: not a TorchScript file ({one_line(reason, 200)}).") from None


def _archived(file: Path) -> Counter[int]:
    """Sizes of the parts of an archive that hold tensors, which are those with a number for a name.

    Raises ValueError where it is no TorchScript archive, or unpacks to more than its own size and MOST_CODE.
    """
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
    unpacked = sum(part.file_size for part in parts)
    if unpacked > file.stat().st_size + MOST_CODE:
        raise ValueError(f"it unpacks to {unpacked:,} bytes")
    if not any(part.filename.endswith("/constants.pkl") for part in parts):
        raise ValueError("it holds no TorchScript program")
    return Counter(part.file_size for part in parts if part.filename.rpartition("/")[2].isdecimal())


def _require_whole(module: nn.Module, parts: Counter[int]) -> None:
    """Raise ValueError where a tensor says that it is larger than the part that holds it: torch would read beyond its end."""
    storages = (value.untyped_storage() for value in module.state_dict().values())
    try:
        said = {storage.data_ptr(): storage.nbytes() for storage in storages if storage.nbytes()}
    except RuntimeError:  # it has no memory at all
        raise ValueError("one of its tensors is cut off") from None
    missing = Counter(said.values()) - parts
    if missing:
        raise ValueError(f"no part of it is of {min(missing):,} bytes, as one of its tensors would have to be")
