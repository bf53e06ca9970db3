"""The feature network of an audit, as results describe it."""

from typing import Annotated

from pydantic import Field

from ganguard.base.settings import Positive, Settings


class FeatureRecord(Settings):
    """The feature network.

    Attributes:
        held_out_accuracy: of a classifier on the reference split; None for other networks.
        note: what to know of the scale of its features when distances are read; empty if nothing.
        why: why it was chosen for "pretrained"; empty if the spec names it.
    """

    kind: str
    dimensions: Positive
    held_out_accuracy: Annotated[float, Field(ge=0, le=1)] | None
    note: str = ""
    why: str = ""
