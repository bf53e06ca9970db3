"""Semantic interpolation (Hu & Pang 2021): each code is moved along a semantic direction.

The client gets the image of the moved code: to a casual eye the same image, but, for instance, with another
slant.
"""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from ganguard.base.errors import SpecError
from ganguard.base.settings import Float, absolute
from ganguard.defences.direction_files import load_direction
from ganguard.defences.protocol import InputDefence
from ganguard.defences.semantic_directions import Direction
from ganguard.defences.streams import Streams

FARTHEST = 1000.0  # largest amount, in standard deviations of the prior


class SemanticInterpolation(InputDefence):
    """Move each code along a semantic direction.

    Either `direction` or `attribute` must be given.

    Attributes:
        direction: directory that `ganguard directions fit` wrote, for the GAN that is defended.
        attribute: attribute that the direction is to change ("slant", "thickness", "class:3"); an audit then
            fits a direction to it on its own target.
        amount: how far codes move, in units of the prior's standard deviation; 0 leaves them where they are.
        movement: "drawn" moves each code by a distance drawn uniformly from [-amount, amount], by its own
            stream; "fixed" moves every code by `amount`.
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
            raise ValueError(
                "must have either `direction`, a directory, or `attribute`, to which a direction is fitted"
            )
        return self

    def along_fitted(self, directory: Path) -> Self:
        """Return the same defence along the direction in a directory, which was fitted to its attribute."""
        return self.model_copy(update={"direction": str(directory)})

    @cached_property
    def along(self) -> Direction:
        """The direction.

        It is read once, so that codes move along the direction that is fingerprinted. Raises CheckpointError,
        and SpecError if it is not fitted yet.
        """
        if self.direction is None:
            raise SpecError(
                f"semantic_interpolation: needs a direction fitted to {self.attribute}, and only audits fit "
                "it themselves. Fit one and set `direction` to its directory: ganguard directions fit TARGET "
                f"--attribute {self.attribute} --out DIR"
            )
        return load_direction(Path(self.direction))

    def label(self) -> str:
        """Return the kind, the attribute (or else the name of the direction's directory), and the amount."""
        fixed = ", fixed" if self.movement == "fixed" else ""
        along = self.attribute or Path(str(self.direction)).name
        return f"semantic interpolation {along} {self.amount:g}{fixed}"

    def fingerprint(self) -> str | None:
        """Return the digest of the direction, in whichever directory; None while it is not fitted.

        Raises CheckpointError.
        """
        return None if self.direction is None else self.along.digest()

    def said(self) -> dict[str, Any]:
        """Return all settings that images depend on.

        Once the direction is there, its fingerprint says all, and the attribute is only a name: an audit that
        fitted it and a gateway that was given it draw the same random numbers.
        """
        found = super().said()
        return found if found["fingerprint"] is None else found | {"attribute": None}

    def scaled(self, factor: float) -> Self:
        """Return the defence with `factor` times the amount."""
        return self.model_copy(update={"amount": min(FARTHEST, self.amount * factor)})

    def require(self, latent_dim: int) -> None:
        """Raise CheckpointError if the direction cannot be read, SpecError if it is of another GAN."""
        if self.along.latent_dim != latent_dim:
            raise SpecError(
                f"{self.direction}: a direction of {self.along.latent_dim} entries, but the target's codes "
                f"have {latent_dim}. Fit one on this target: ganguard directions fit TARGET --attribute … "
                "--out DIR."
            )

    def move(self, latents: Tensor, streams: Streams) -> Tensor:
        """Return codes (N, d), each moved independently of the others."""
        return self.along.moved(latents, self._amounts(streams))

    def guess(self, latents: Tensor, streams: Streams, place: int) -> Tensor:
        """Return codes moved along a coordinate axis, since an adversary does not know the owner's direction.

        A prior N(0, I) is the same in every direction, so an adversary's G can learn to let one entry do what
        the owner's direction does.
        """
        axis = torch.zeros_like(latents[:1])
        axis[0, place % axis.shape[1]] = 1.0
        return latents + self._amounts(streams).to(latents).reshape(-1, 1) * axis

    def _amounts(self, streams: Streams) -> Tensor:
        """Return how far each code is moved, (N,), or one amount for all."""
        if self.movement == "fixed":
            return torch.tensor(self.amount)
        return (2 * streams.uniform(1)[:, 0] - 1) * self.amount
