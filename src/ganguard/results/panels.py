"""What an adversary tried that has several recipes, as records in results.json."""

from typing import Annotated

from pydantic import Field

from ganguard.base.settings import NonNegative, Number, Rows, Settings
from ganguard.results.whose import WhoseCopy


class TriedRecipe(Settings):
    """One recipe, trained on a part of the purchase.

    Attributes:
        recipe: its place in the list, its architecture, and what it adds.
        score: the adversary's own score of the copy: the kernel distance to the images that it held out.
            Lower is better.
        step: the step of the training at which the copy had that score, its best.
        seconds: of the training, with the looks of the judge.
    """

    recipe: str
    score: Number
    step: NonNegative
    seconds: Annotated[float, Field(ge=0)]


class Panel(Settings):
    """All recipes of one copy.

    Attributes:
        tried: in the order of the list.
        chosen: place of the one with the best score.
        seconds: of training by it on the whole purchase.
    """

    tried: Annotated[Rows[TriedRecipe], Field(min_length=1)]
    chosen: NonNegative
    seconds: Annotated[float, Field(ge=0)]


class PanelRecord(Panel, WhoseCopy):
    """The same, with the copy that it is of."""
