"""The part `purchase` of a spec: images that were bought before, which every adversary holds."""

from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, SerializeAsAny

from ganguard.base.errors import SpecError
from ganguard.base.settings import parse, shortened
from ganguard.targets.images import ImagesTarget


def _bought(value: object) -> ImagesTarget | None:
    """Return the target that gives the images, each once and in order. Raises SpecError."""
    if value is None or isinstance(value, ImagesTarget):
        return value
    if not isinstance(value, Mapping) or "images" not in value:
        raise SpecError(
            f"purchase must be {{images: …}}, the images that were bought before; got {shortened(value)}."
        )
    values = cast(Mapping[str, Any], value)
    if values.get("in_order", True) is not True:
        raise SpecError("purchase: in_order must be true: each image was bought once. Leave it out.")
    return parse(ImagesTarget, {**values, "in_order": True}, "purchase")


PurchaseField = Annotated[SerializeAsAny[ImagesTarget] | None, BeforeValidator(_bought)]
"""A field that holds the images that were bought before, or None if the adversary buys."""
