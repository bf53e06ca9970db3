"""How many images of a set fall into each cluster of the train split, as records in results.json."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ganguard.base.settings import NonNegative, Rows, Settings
from ganguard.results.whose import Whose

BinnedSubject = Literal["train", "real", "target", "substitute"]


class BinShares(Settings):
    """The histogram of one set over the clusters of the train split's pixels.

    The clusters are the same for all sets of an audit (k-means on images of the train split; Richardson &
    Weiss 2018, section 3).

    Attributes:
        subject: "train" is the images that were clustered, "real" the reference split, which nobody trained
            on, "target" the first of the auditor's draws, "substitute" a copy.
        counts: images in each bin; the bin with most images of the train split is the first.
        different: places, ascending, of the bins whose share differs from that of the train split by a
            two-proportions z-test at 5 %, without a correction for the number of bins. Their number is NDB.
    """

    subject: BinnedSubject
    counts: Annotated[Rows[NonNegative], Field(min_length=2)]
    different: Rows[NonNegative] = ()

    @property
    def images(self) -> int:
        """How many images the set has."""
        return sum(self.counts)

    @model_validator(mode="after")
    def _places_of_bins(self) -> "BinShares":
        places = self.different
        if any(before >= after for before, after in pairwise(places)) or max(places, default=0) >= len(
            self.counts
        ):
            raise ValueError(f"different must be ascending places of {len(self.counts)} bins")
        if not self.images:
            raise ValueError("counts must hold at least one image")
        return self


class BinsRecord(BinShares, Whose):
    """The same, with the copy that it is of: one that was made without a defence, from the largest budget of
    its attack."""
