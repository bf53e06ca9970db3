"""A semantic direction, as results describe it."""

from typing import Annotated

from pydantic import Field

from ganguard.base.settings import Positive, Settings


class DirectionRecord(Settings):
    """A semantic direction that was fitted to the target.

    Attributes:
        samples: codes that it was fitted to.
        held_out_accuracy: of the plane that it is normal to, for codes of both ends that the SVM did not see.
        rest_accuracy: the same for all codes between the ends.
        spearman: rank correlation of the attribute with how far fresh codes are moved along the direction.
        monotone: share of codes whose attribute only grows.
    """

    attribute: str
    samples: Positive
    held_out_accuracy: Annotated[float, Field(ge=0, le=1)]
    rest_accuracy: Annotated[float, Field(ge=0, le=1)]
    spearman: Annotated[float, Field(ge=-1, le=1)]
    monotone: Annotated[float, Field(ge=0, le=1)]
