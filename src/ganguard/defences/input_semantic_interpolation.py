"""Semantic interpolation (Hu & Pang 2021): each code is moved along a semantic direction, and the image of
the moved code is given out: the same image to a casual eye, say, but of another slant."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from ganguard.base.errors import SpecError
from ganguard.base.settings import Float, absolute
from ganguard.defences.direction_files import load_direction
from ganguard.defences.protocol import InputDefence
from ganguard.defences.semantic_directions import Direction
from ganguard.defences.streams import Streams

FARTHEST = 1000.0  # that codes are moved


class SemanticInterpolation(InputDefence):
    """direction: the directory of a direction that `ganguard directions fit` wrote, for the GAN that is
    defended.

    attribute: instead of one, what the direction is to change ("slant", "thickness", "class:3"): an audit
        then fits it on its own target.
    amount: how far codes move along it, in units of the prior's standard deviation; 0 leaves them where they
    are.
    movement: "drawn" moves each code by a distance drawn evenly from [-amount, amount], by its own stream;
        "fixed" moves every code by `amount`.
    """

    kind: Literal["semantic_interpolation"] = "semantic_interpolation"
    direction: str | None = None
    attribute: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    amount: Annotated[Float, Field(ge=0, le=FARTHEST)]
    movement: Literal["drawn", "fixed"] = "drawn"
    places: ClassVar[frozenset[str]] = frozenset({"direction"})

    @field_validator("direction")
    @classmethod
    def _absolute(cls, path: str | None) -> str | None:
        return None if path is None else absolute(path)

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.direction is None) == (self.attribute is None):
            raise ValueError("takes either `direction`, a directory, or `attribute`, what to fit one to")
        return self

    def along_fitted(self, directory: Path) -> Self:
        """The same, along the direction in a directory that was fitted to its attribute."""
        return self.model_copy(update={"direction": str(directory)})

    @cached_property
    def along(self) -> Direction:
        """The direction. It is read once, so that what is fingerprinted is what codes move along. Raises
        CheckpointError, and SpecError where it was not fitted yet."""
        if self.direction is None:
            raise SpecError(
                f"semantic_interpolation: no direction was fitted to {self.attribute} yet; audits do that. "
                "Elsewhere fit one and name its directory: ganguard directions fit TARGET --attribute "
                f"{self.attribute} --out DIR"
            )
        return load_direction(Path(self.direction))

    def label(self) -> str:
        """Kind, the attribute or else the name of the direction's directory, and how far."""
        fixed = ", fixed" if self.movement == "fixed" else ""
        return f"semantic interpolation {self.attribute or Path(str(self.direction)).name} {self.amount:g}{fixed}"

    def fingerprint(self) -> str | None:
        """Digest of the direction, wherever it lies; None while it is not fitted. Raises CheckpointError."""
        return None if self.direction is None else self.along.digest()

    def scaled(self, factor: float) -> Self:
        """`factor` times as far."""
        return self.model_copy(update={"amount": min(FARTHEST, self.amount * factor)})

    def require(self, latent_dim: int) -> None:
        """Raise CheckpointError where the direction cannot be read, SpecError where it is one of another
        GAN."""
        if self.along.latent_dim != latent_dim:
            raise SpecError(
                f"{self.direction}: a direction of {self.along.latent_dim} entries, and the target's codes "
                f"have {latent_dim}. Fit one on this target: ganguard directions fit TARGET --attribute … "
                "--out DIR."
            )

    def move(self, latents: Tensor, streams: Streams) -> Tensor:
        """Codes (N, d), each moved by itself."""
        return self.along.moved(latents, self._amounts(streams))

    def guess(self, latents: Tensor, streams: Streams, place: int) -> Tensor:
        """Along an axis of its own: a prior N(0, I) is the same in every direction, so that an adversary's G
        can learn to let one entry do what the owner's direction does, which it need not know."""
        axis = torch.zeros_like(latents[:1])
        axis[0, place % axis.shape[1]] = 1.0
        return latents + self._amounts(streams).to(latents).reshape(-1, 1) * axis

    def _amounts(self, streams: Streams) -> Tensor:
        """How far each code is moved: (N,), or one for all."""
        if self.movement == "fixed":
            return torch.tensor(self.amount)
        return (2 * streams.uniform(1)[:, 0] - 1) * self.amount
