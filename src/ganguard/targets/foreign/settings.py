"""What a spec says of a generator that is not ganguard's: its codes, its pixels, and its batches."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from ganguard.base.cache import content_key
from ganguard.base.settings import Positive
from ganguard.targets.batching import MICRO_BATCH
from ganguard.targets.conditions import Classes, Conditions
from ganguard.targets.foreign.ranges import PixelRange
from ganguard.targets.load import TargetSettings
from ganguard.targets.prior import NORMAL, Prior, PriorSettings, PythonPrior

MOST_LATENTS = 1 << 20  # entries of z
CodeShape = Annotated[tuple[Positive, ...], Field(min_length=1, max_length=8)]


@dataclass(frozen=True)
class Interface:
    """What a generator takes and gives.

    Attributes:
        shape: of one code, as G takes it; None for (latent_dim,). Everywhere else, codes are rows.
        prior: how codes are distributed.
        batch: codes that G takes at once.
        pixel_range: the values of black and white in its images; None stands for [-1, 1], and for a check.
        conditions: what a conditional G is asked for: it takes numbers y (N,) beside the codes.
    """

    shape: tuple[int, ...] | None = None
    prior: PriorSettings = NORMAL
    batch: int = MICRO_BATCH
    pixel_range: tuple[float, float] | None = None
    conditions: Conditions | None = None

    def said(self) -> str:
        """Return what of it is part of a target's identity, beside what the images tell: empty for a plain
        one."""
        said: dict[str, Any] = {}
        if self.prior != NORMAL:
            said["prior"] = self.prior.model_dump(mode="json")
        if self.batch != MICRO_BATCH:
            said["batch"] = self.batch
        if self.conditions:
            said["conditions"] = self.conditions.model_dump(mode="json")
        return f":{content_key(**said)}" if said else ""


PLAIN = Interface()
"""Rows from N(0, I), and images in [-1, 1]: that of ganguard's own generators."""


class ForeignSettings(TargetSettings):
    """Base of the settings of a target whose G is not ganguard's.

    Attributes:
        latent_dim: entries of a code.
        latent_shape: the shape in which G takes a code, such as [4, 8, 8]; None stands for [latent_dim].
            Everything else sees it flattened.
        prior: how codes are distributed.
        range: black and white in G's images, such as [0, 255]; None stands for [-1, 1].
        batch: codes that G takes at once; fewer take less memory.
        classes: how many classes a conditional G takes, or their names: G is called with y (N,) int64 after
            the codes. None for a G without classes.
    """

    latent_dim: Positive | None = None
    latent_shape: CodeShape | None = None
    prior: Prior = NORMAL
    range: PixelRange | None = None
    batch: Annotated[Positive, Field(le=MICRO_BATCH)] = MICRO_BATCH
    classes: Classes = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        shape = self.code_shape()
        if shape is None:
            return self
        if self.latent_dim not in (None, math.prod(shape)):
            raise ValueError(
                f"must have a latent_dim of {math.prod(shape)} beside this latent_shape; got "
                f"{self.latent_dim}. Leave latent_dim out"
            )
        if math.prod(shape) > MOST_LATENTS:
            raise ValueError(f"must have codes of at most {MOST_LATENTS:,} entries; got {math.prod(shape)}")
        return self

    def code_shape(self) -> tuple[int, ...] | None:
        """Return the shape of one code, as far as it is said."""
        if self.latent_shape is not None:
            return self.latent_shape
        return None if self.latent_dim is None else (self.latent_dim,)

    def interface(self, shape: tuple[int, ...]) -> Interface:
        """Return what G takes and gives, if it takes codes of that shape."""
        return Interface(shape, self.prior, self.batch, self.range, self.classes)

    @property
    def volatile(self) -> bool:
        """Whether only opening the target tells what its images are: its prior is code."""
        return isinstance(self.prior, PythonPrior)
