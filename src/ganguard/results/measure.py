"""The record of one number that is measured."""

from dataclasses import dataclass
from typing import Literal

Direction = Literal["lower", "higher", "none"]
Of = Literal[
    "features",
    "unscaled features",
    "unscaled features of one set",
    "CLIP features",
    "balls",
    "bins",
    "probabilities",
    "images",
    "natural images",
    "pairs",
    "training images",
    "held-out images",
]
Spread = Literal["bootstrap", "moments", "lines", "kernels", "bins", "splits", "images", "parts", "none"]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number: its name, how it is computed, and how to read it.

    Attributes:
        name: in results and in `ganguard measure`.
        title: in print.
        function: "module:function" of the metric that computes it.
        of: what that function is called with.
        part: attribute of what the function returns; empty if it returns the number itself, or scores whose
            mean is the number.
        spread: how the number's standard error is taken.
        better: which direction is better; "none" if neither is.
        unit: empty for a number without one.
        help: one sentence on what the number says.
        signed: whether it can lie below 0.
        decimals: places after the point in print; None prints three significant digits.
        fewest: images that each set must have.
        fewest_a_dimension: images that each set must have for each dimension of the features.
        smallest_side: pixels that both sides of the images must have.
        audited: whether audits measure it too; otherwise only `ganguard measure` does.
    """

    name: str
    title: str
    function: str
    of: Of
    part: str = ""
    spread: Spread
    better: Direction
    unit: str = ""
    help: str
    signed: bool = False
    decimals: int | None = None
    fewest: int = 1
    fewest_a_dimension: int = 0
    smallest_side: int = 1
    audited: bool = True

    def shortage(self, *, images: int, dimensions: int = 1, side: int | None = None) -> str:
        """Return what sets of this size lack for the number, in words; empty if they lack nothing.

        Args:
            images: in the smaller set.
            dimensions: of the features.
            side: the shorter side of the images in pixels; None if it does not matter.
        """
        fewest = max(self.fewest, self.fewest_a_dimension * dimensions)
        if images < fewest:
            of_features = f" for features of {dimensions:,} dimensions" if self.fewest_a_dimension else ""
            return (
                f"{self.name} needs at least {fewest:,} images in each set{of_features}; got {images:,}. "
                "Measure more images."
            )
        if side is not None and side < self.smallest_side:
            return (
                f"{self.name} needs images of at least {self.smallest_side}×{self.smallest_side} pixels; "
                f"got a side of {side}."
            )
        return ""

    @property
    def heading(self) -> str:
        """The title and, if it has a short one, the unit: "PSNR, dB"."""
        return f"{self.title}, {self.unit}" if self.unit and " " not in self.unit else self.title
