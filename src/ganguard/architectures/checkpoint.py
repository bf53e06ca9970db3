"""A GAN on disk: a directory with `generator.safetensors`, `discriminator.safetensors` and `checkpoint.json`.

Nothing is unpickled. A checkpoint that comes from elsewhere is checked against its own JSON before memory is spent on it:
digests, then names and shapes of every tensor.
"""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from ganguard import __version__
from ganguard.architectures.networks import ArchitectureField, ArchitectureSettings, Networks, build_networks
from ganguard.base.cache import TEMPORARY, content_key, file_digest, publish_directory, write_json
from ganguard.base.errors import CheckpointError, SpecError
from ganguard.base.settings import Settings, explain

DESCRIPTION = "checkpoint.json"
PICKLE_SUFFIXES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin"})


class CheckpointDescription(Settings):
    """What checkpoint.json says.

    image_shape: (C, H, W).
    digests: SHA-256 of each weight file, by network.
    provenance: how it was trained; nothing is read from it.
    """

    format: Literal[1] = 1
    ganguard: str = __version__
    architecture: ArchitectureField
    image_shape: tuple[int, int, int]
    digests: dict[Literal["generator", "discriminator"], str]
    provenance: dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A GAN that was read back: its networks in evaluation mode, and what checkpoint.json says of them."""

    networks: Networks
    description: CheckpointDescription

    def digest(self) -> str:
        """What identifies the GAN: its architecture, shape and weights."""
        said = self.description.model_dump(mode="json", include={"architecture", "image_shape", "digests"})
        return content_key(**said)


def save_checkpoint(
    directory: Path,
    networks: Networks,
    architecture: ArchitectureSettings,
    image_shape: tuple[int, int, int],
    provenance: dict[str, Any],
) -> Path:
    """Write a checkpoint directory atomically and return its path; one that stands there already is replaced."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name}.", suffix=TEMPORARY))
    try:
        digests: dict[str, str] = {}
        for name, module in (("generator", networks.generator), ("discriminator", networks.discriminator)):
            file = temporary / f"{name}.safetensors"
            save_file({key: value.cpu().contiguous() for key, value in module.state_dict().items()}, file)
            digests[name] = file_digest(file)
        description = CheckpointDescription.model_validate(
            {"architecture": architecture, "image_shape": image_shape, "digests": digests, "provenance": provenance}
        )
        write_json(temporary / DESCRIPTION, description.model_dump(mode="json"))
        temporary.chmod(0o755)
        _replace(directory, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return directory


def _replace(directory: Path, new: Path) -> None:
    """Rename `new` to `directory`; what stands there is moved aside first, and back if that fails."""
    old = new.with_name(f".old{new.name}")
    if directory.exists():
        directory.rename(old)
    try:
        publish_directory(new, directory)
    except BaseException:
        if old.exists():
            old.rename(directory)
        raise
    shutil.rmtree(old, ignore_errors=True)


def read_description(directory: Path) -> CheckpointDescription:
    """Parse a checkpoint's JSON. Raises CheckpointError where there is none, or it is not one of ours."""
    if directory.suffix.lower() in PICKLE_SUFFIXES:
        raise CheckpointError(
            f"{directory}: looks like a pickle, which can run code and is never loaded. Give a ganguard checkpoint "
            f"directory, or build the generator in Python and name its factory with `python: module:factory`."
        )
    path = directory / DESCRIPTION
    if not path.is_file():
        raise CheckpointError(f"{directory}: holds no {DESCRIPTION}. Give a directory that `ganguard train` wrote.")
    try:
        return CheckpointDescription.model_validate_json(path.read_bytes())
    except ValidationError as problem:
        raise CheckpointError(explain(problem, CheckpointDescription, str(path))) from None
    except SpecError as problem:
        raise CheckpointError(f"{path}: {problem}") from None


def load_checkpoint(directory: Path) -> Checkpoint:
    """Read G and D back, in evaluation mode, on CPU. Raises CheckpointError with the file and the reason."""
    description = read_description(directory)
    with torch.device("meta"):
        try:
            networks = build_networks(description.architecture, description.image_shape)
        except (SpecError, RuntimeError, TypeError, ValueError, OverflowError) as problem:
            raise CheckpointError(f"{directory / DESCRIPTION}: {problem}") from None
    for name, module in (("generator", networks.generator), ("discriminator", networks.discriminator)):
        _load_weights(module, directory / f"{name}.safetensors", description.digests.get(name))  # pyright: ignore[reportArgumentType]
        module.eval().requires_grad_(False)
    return Checkpoint(networks, description)


def _load_weights(module: nn.Module, file: Path, digest: str | None) -> None:
    if not file.is_file():
        raise CheckpointError(f"{file}: this file is absent. Copy the whole checkpoint directory.")
    expected = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    try:
        with safe_open(file, framework="pt") as opened:
            found = {key: tuple(opened.get_slice(key).get_shape()) for key in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as problem:
        raise CheckpointError(
            f"{file}: not a whole safetensors file ({problem}); a pickle is never loaded. Copy the checkpoint anew."
        ) from None
    _require_shapes(found, expected, file)
    if file_digest(file) != digest:
        raise CheckpointError(f"{file}: differs from the SHA-256 in {DESCRIPTION}. Copy the checkpoint anew.")
    weights = load_file(file)
    for key, value in module.state_dict().items():
        if weights[key].dtype != value.dtype:
            raise CheckpointError(f"{file}: tensor {key!r} must be {value.dtype}; got {weights[key].dtype}.")
    module.load_state_dict(weights, assign=True)


def _require_shapes(found: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]], file: Path) -> None:
    for key in sorted(expected.keys() | found.keys()):
        if found.get(key) != expected.get(key):
            raise CheckpointError(
                f"{file}: tensor {key!r} must be {expected.get(key, 'absent')} for the architecture in {DESCRIPTION}; "
                f"got {found.get(key, 'none')}."
            )
