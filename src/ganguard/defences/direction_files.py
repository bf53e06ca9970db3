"""A semantic direction on disk: a directory with `direction.safetensors` and `direction.json`.

Nothing is ever unpickled.
"""

from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ganguard import __version__
from ganguard.base.cache import file_digest, write_json, write_tensors
from ganguard.base.codecs import read_tensors, require_finite, tensor_shapes
from ganguard.base.errors import CheckpointError
from ganguard.base.settings import Number, Positive, Settings, one_line, read_record
from ganguard.defences.semantic_directions import LONGEST_NAME, Direction

DESCRIPTION, VECTOR = "direction.json", "direction.safetensors"
ROUNDING = 1e-4  # how far from 1 the length of a unit vector of float32 may be


class DirectionDescription(Settings):
    """The content of direction.json: a Direction without its vector.

    Attributes:
        sha256: SHA-256 of direction.safetensors.
    """

    format: Literal[1] = 1
    ganguard: str = __version__
    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
    latent_dim: Positive
    intercept: Number
    held_out_accuracy: Annotated[float, Field(ge=0, le=1)] | None
    rest_accuracy: Annotated[float, Field(ge=0, le=1)] | None
    prior_std: Annotated[float, Field(gt=0, le=1e6)]
    samples: Positive
    sha256: str


def save_direction(direction: Direction, directory: Path) -> None:
    """Write a direction. Raises OSError if it cannot be written.

    direction.json comes last and holds the digest of the other file, so that a pair that was left half
    written by a crash is recognised.
    """
    write_tensors(directory / VECTOR, {"vector": direction.vector})
    said = DirectionDescription(
        name=direction.name,
        latent_dim=direction.latent_dim,
        intercept=direction.intercept,
        held_out_accuracy=direction.held_out_accuracy,
        rest_accuracy=direction.rest_accuracy,
        prior_std=direction.prior_std,
        samples=direction.samples,
        sha256=file_digest(directory / VECTOR),
    )
    write_json(directory / DESCRIPTION, said.model_dump(mode="json"))


def load_direction(directory: Path) -> Direction:
    """Read a direction back. Raises CheckpointError with the file and the reason."""
    if not (directory / DESCRIPTION).is_file():
        raise CheckpointError(
            f"{directory}: holds no {DESCRIPTION}. Give a directory that `ganguard directions fit` wrote."
        )
    said = read_record(directory / DESCRIPTION, DirectionDescription, CheckpointError)
    file = directory / VECTOR
    if not file.is_file():
        raise CheckpointError(
            f"{file}: this file is absent. Copy the whole directory, or fit the direction again."
        )
    try:
        vector = _read_vector(file, said)
    except ValueError as problem:
        raise CheckpointError(
            f"{file}: not a direction ({one_line(problem, 200)}). Copy it or fit it again."
        ) from None
    return Direction(
        vector,
        said.intercept,
        said.name,
        said.held_out_accuracy,
        said.rest_accuracy,
        said.prior_std,
        said.samples,
    )


def _read_vector(file: Path, said: DirectionDescription) -> Tensor:
    """Return the unit vector in a safetensors file.

    Raises ValueError if it is no unit vector, or not the one that was written.
    """
    if (found := tensor_shapes(file)) != {"vector": (said.latent_dim,)}:
        raise ValueError(
            f"it must hold a vector of {said.latent_dim} entries, as {DESCRIPTION} says; it holds "
            f"{found or 'none'}"
        )
    tensors, _ = read_tensors(file)
    vector = tensors["vector"]
    if vector.dtype != torch.float32:
        raise ValueError(f"its vector must be float32; it is {vector.dtype}")
    require_finite(tensors)
    if abs((length := vector.double().norm().item()) - 1) > ROUNDING:
        raise ValueError(f"its vector must be of length 1; it is of length {length:g}")
    if file_digest(file) != said.sha256:
        raise ValueError(f"it differs from the SHA-256 in {DESCRIPTION}")
    return vector
