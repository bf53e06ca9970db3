"""A GAN on disk: a directory with `generator.safetensors`, `discriminator.safetensors` and `checkpoint.json`.
A generator that was trained without a discriminator, or with a projected one, has no file of one.

Nothing is unpickled. A checkpoint from elsewhere is checked against its own JSON before memory is spent on
it: first the digests, then the name and shape of every tensor.
"""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import model_validator
from torch import nn

from ganguard import __version__
from ganguard.architectures.networks import (
    ArchitectureField,
    ArchitectureSettings,
    Networks,
    build_networks,
    classes_of,
)
from ganguard.base.cache import (
    TEMPORARY,
    content_key,
    file_digest,
    naming,
    publish_directory,
    write_json,
    write_tensors,
)
from ganguard.base.codecs import read_tensors, require_finite, tensor_shapes
from ganguard.base.errors import CheckpointError, SpecError
from ganguard.base.settings import Plain, Sparse, one_line, read_record

DESCRIPTION = "checkpoint.json"
_OF_IDENTITY = {"architecture", "image_shape", "digests", "class_names"}
PICKLE_SUFFIXES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin"})


class CheckpointDescription(Sparse):
    """The content of checkpoint.json.

    Attributes:
        format: version of the file's format.
        ganguard: version of ganguard that wrote it.
        architecture: settings of G and D.
        image_shape: (C, H, W).
        digests: SHA-256 of each weight file, by network.
        provenance: how the GAN was trained; it is recorded, and never read.
        class_names: names of the classes of a conditional GAN, by their numbers. Records of other GANs leave
            it out.
    """

    unsaid: ClassVar[frozenset[str]] = frozenset({"class_names"})
    format: Literal[1] = 1
    ganguard: str = __version__
    architecture: ArchitectureField
    image_shape: tuple[int, int, int]
    digests: dict[Literal["generator", "discriminator"], str]
    provenance: Plain
    class_names: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _names_each_class(self) -> "CheckpointDescription":
        classes, names = classes_of(self.architecture), self.class_names or ()
        if len(names) != classes or len(set(names)) != classes:
            raise ValueError(
                f"class_names must be {classes} distinct names, as many as the architecture's classes; got "
                f"{len(names)}"
            )
        return self

    def fingerprint(self) -> str:
        """Return a digest of all of it: another one if the file has changed in any way."""
        return content_key(**self.model_dump(mode="json"))


@dataclass(frozen=True)
class Checkpoint:
    """A GAN that was loaded: its networks in evaluation mode, and the content of its checkpoint.json."""

    networks: Networks
    description: CheckpointDescription

    def digest(self) -> str:
        """Return the identity of the GAN: a hash of its architecture, image shape and weights."""
        said = self.description.model_dump(mode="json", include=_OF_IDENTITY)
        return content_key(**said)


def save_checkpoint(
    directory: Path,
    networks: Networks,
    architecture: ArchitectureSettings,
    image_shape: tuple[int, int, int],
    provenance: dict[str, Any],
    *,
    class_names: tuple[str, ...] | None = None,
) -> Path:
    """Write a checkpoint directory atomically and return its path. An existing checkpoint there is replaced.

    Raises CheckpointError if something else is there, and OSError, which names `directory`, if it cannot be
    written.
    """
    _require_replaceable(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with naming(directory):
        temporary = Path(
            tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name}.", suffix=TEMPORARY)
        )
        try:
            digests: dict[str, str] = {}
            for name, module in networks.named().items():
                file = temporary / f"{name}.safetensors"
                write_tensors(file, {key: value.cpu() for key, value in module.state_dict().items()})
                digests[name] = file_digest(file)
            description = CheckpointDescription.model_validate(
                {
                    "architecture": architecture,
                    "image_shape": image_shape,
                    "digests": digests,
                    "provenance": provenance,
                    "class_names": class_names,
                }
            )
            write_json(temporary / DESCRIPTION, description.model_dump(mode="json"))
            temporary.chmod(0o755)
            _replace(directory, temporary)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return directory


def _require_replaceable(directory: Path) -> None:
    ours = {DESCRIPTION, "generator.safetensors", "discriminator.safetensors"}
    found = {file.name for file in directory.iterdir()} if directory.is_dir() else {directory.name}
    if directory.exists() and (foreign := sorted(found - ours)):
        raise CheckpointError(
            f"{directory}: a checkpoint is to be written here, but {foreign[0]} is none of its files. Move "
            "that file away, or choose another directory."
        )


def _replace(directory: Path, new: Path) -> None:
    """Rename `new` to `directory`. An existing directory is moved aside first, and back if that fails."""
    old = new.with_name(f".old{new.name}")
    if directory.exists():
        directory.rename(old)
    try:
        publish_directory(new, directory)
    finally:
        if old.exists() and not directory.exists():
            old.rename(directory)
        shutil.rmtree(old, ignore_errors=True)


def read_description(directory: Path) -> CheckpointDescription:
    """Parse a checkpoint's JSON. Raises CheckpointError if it is missing, or not one of ours."""
    if directory.suffix.lower() in PICKLE_SUFFIXES:
        raise CheckpointError(
            f"{directory}: looks like a pickle, which can run code and is never loaded. Give a ganguard "
            "checkpoint directory, or build the generator in Python and name its factory: `python: "
            "module:factory`."
        )
    path = directory / DESCRIPTION
    if not path.is_file():
        inside = directory / "checkpoint"  # where a training and an attack leave it
        given = f"{inside}, which does" if (inside / DESCRIPTION).is_file() else "a checkpoint's directory"
        raise CheckpointError(
            f"{directory}: holds no {DESCRIPTION}. Give {given}, as `ganguard train` writes it."
        )
    return read_record(path, CheckpointDescription, CheckpointError)


def load_checkpoint(directory: Path) -> Checkpoint:
    """Load G and D, in evaluation mode, on CPU. Raises CheckpointError with the file and the reason."""
    description = read_description(directory)
    with torch.device("meta"):
        try:
            networks = build_networks(description.architecture, description.image_shape)
        except (SpecError, RuntimeError, TypeError, ValueError, OverflowError) as problem:
            raise CheckpointError(f"{directory / DESCRIPTION}: {one_line(problem)}") from None
    of_discriminator = directory / "discriminator.safetensors"
    if "discriminator" not in description.digests and not of_discriminator.exists():
        # G was trained against a D that is no part of the checkpoint.
        networks = Networks(networks.generator, None)
    for name, module in networks.named().items():
        _load_weights(module, directory / f"{name}.safetensors", description.digests.get(name))
        module.eval().requires_grad_(False)
    return Checkpoint(networks, description)


def _load_weights(module: nn.Module, file: Path, digest: str | None) -> None:
    if not file.is_file():
        raise CheckpointError(f"{file}: this file is missing. Copy the whole checkpoint directory.")
    expected = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    try:
        _require_shapes(tensor_shapes(file), expected, file)
        if file_digest(file) != digest:
            raise CheckpointError(
                f"{file}: differs from the SHA-256 in {DESCRIPTION}. Copy the checkpoint again."
            )
        weights, _ = read_tensors(file)
    except ValueError as problem:
        raise CheckpointError(
            f"{file}: not a whole safetensors file ({problem}); a pickle is never loaded. Copy the "
            "checkpoint again."
        ) from None
    for key, value in module.state_dict().items():
        if weights[key].dtype != value.dtype:
            raise CheckpointError(f"{file}: tensor {key!r} must be {value.dtype}; got {weights[key].dtype}.")
    try:
        require_finite(weights)
    except ValueError as problem:
        raise CheckpointError(
            f"{file}: {problem}. Its training diverged, or the file was changed. Train the GAN again."
        ) from None
    try:
        module.load_state_dict(weights, assign=True)
    except ValueError as problem:
        raise CheckpointError(f"{file}: {one_line(problem)}. Copy the checkpoint again.") from None


def _require_shapes(
    found: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]], file: Path
) -> None:
    for key in sorted(expected.keys() | found.keys()):
        if found.get(key) != expected.get(key):
            raise CheckpointError(
                f"{file}: tensor {one_line(key, 80)!r} must be {expected.get(key, 'absent')} for the "
                f"architecture in {DESCRIPTION}; got {one_line(found.get(key, 'none'), 80)}."
            )
