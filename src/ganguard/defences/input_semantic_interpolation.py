"""Semantic interpolation (Hu & Pang 2021): each code is moved along a semantic direction, and the image of the moved code is
given out: the same image to a casual eye, say, but of another slant."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, field_validator
from torch import Tensor

from ganguard.base.errors import SpecError
from ganguard.base.settings import absolute
from ganguard.defences.direction_files import load_direction
from ganguard.defences.protocol import InputDefence
from ganguard.defences.semantic_directions import Direction
from ganguard.defences.streams import Streams

FARTHEST = 1000.0  # that codes are moved


class SemanticInterpolation(InputDefence):
    """direction: the directory of a direction that `ganguard directions fit` wrote, for the GAN that is defended.

    amount: how far codes move along it, in units of the prior's standard deviation; 0 leaves them where they are.
    movement: "drawn" moves each code by a distance drawn evenly from [-amount, amount], by its own stream; "fixed" moves
        every code by `amount`.
    """

    kind: Literal["semantic_interpolation"] = "semantic_interpolation"
    direction: str
    amount: Annotated[float, Field(ge=0, le=FARTHEST)]
    movement: Literal["drawn", "fixed"] = "drawn"

    @field_validator("direction")
    @classmethod
    def _absolute(cls, path: str) -> str:
        return absolute(path)

    @cached_property
    def along(self) -> Direction:
        """The direction. It is read once, so that what is fingerprinted is what codes move along. Raises CheckpointError."""
        return load_direction(Path(self.direction))

    def label(self) -> str:
        """Kind, the name of the direction's directory, and how far."""
        fixed = ", fixed" if self.movement == "fixed" else ""
        return f"semantic interpolation {Path(self.direction).name} {self.amount:g}{fixed}"

    def fingerprint(self) -> str:
        """Digest of the direction, wherever it lies. Raises CheckpointError."""
        return self.along.digest()

    def scaled(self, factor: float) -> Self:
        """`factor` times as far."""
        return self.model_copy(update={"amount": min(FARTHEST, self.amount * factor)})

    def require(self, latent_dim: int) -> None:
        """Raise CheckpointError where the direction cannot be read, SpecError where it is one of another GAN."""
        if self.along.latent_dim != latent_dim:
            raise SpecError(
                f"{self.direction}: a direction of {self.along.latent_dim} entries, and the target's codes have {latent_dim}. "
                f"Fit one on this target: ganguard directions fit TARGET --attribute … --out DIR."
            )

    def move(self, latents: Tensor, streams: Streams) -> Tensor:
        """Codes (N, d), each moved by itself."""
        if self.movement == "fixed":
            return self.along.moved(latents, torch.tensor(self.amount))
        return self.along.moved(latents, (2 * streams.uniform(1)[:, 0] - 1) * self.amount)
