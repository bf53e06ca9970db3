"""The yardstick `independent`: honest models, trained on the real images without one answer of the target."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from ganguard.base.errors import SpecError
from ganguard.base.settings import Float, Settings

Share = Annotated[Float, Field(gt=0, le=1)]


class Independent(Settings):
    """How honest models are trained beside the copies: one for each recipe, share and seed.

    Attributes:
        shares: shares, in (0, 1], of the train split of the real images that they are trained on. Copies are
            compared with those of the largest share.
    """

    shares: tuple[Share, ...] = (1.0,)

    @field_validator("shares")
    @classmethod
    def _distinct(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        if not shares or len(set(shares)) < len(shares):
            raise ValueError(f"must be one or more distinct numbers above 0, at most 1; got {list(shares)}")
        return tuple(sorted(shares, reverse=True))


def _independent(value: object) -> object:
    """Return settings, or "off". YAML reads a bare `on` as True, and a bare `off` as False."""
    if value is True or value == "on":
        return Independent()
    if value is False or value == "off":
        return "off"
    if isinstance(value, dict | Independent):
        return value  # pyright: ignore[reportUnknownVariableType] - checked by the field's type
    raise SpecError(f"independent must be on, off, or a mapping like {{shares: [1, 0.5]}}; got {value!r}.")


IndependentField = Annotated[Independent | Literal["off"], BeforeValidator(_independent)]
