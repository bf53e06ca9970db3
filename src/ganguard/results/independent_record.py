"""Honest models of one recipe, as a record in results.json."""

from typing import Annotated

from pydantic import Field

from ganguard.base.settings import Plain, Positive, Settings


class IndependentRecord(Settings):
    """Honest models of one recipe: one for each seed, trained on real images without a query.

    Attributes:
        label: unique in the results.
        attacks: labels of the attacks whose copies are trained alike.
        share: share of the train split of the real images that they were trained on.
        images: how many real images that is.
        settings: the recipe.
    """

    label: str
    architecture: str
    attacks: tuple[str, ...]
    share: Annotated[float, Field(gt=0, le=1)]
    images: Positive
    settings: Plain
