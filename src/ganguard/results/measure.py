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
    "codes",
    "code features",
    "training images",
    "held-out images",
    "classes",
    "asked classes",
    "seen classes",
]
Spread = Literal[
    "bootstrap", "moments", "lines", "kernels", "splits", "images", "parts", "classes", "shares", "none"
]

INPUTS: dict[Of, str] = {
    "features": "features of both sets",
    "unscaled features": "unscaled features of both sets",
    "unscaled features of one set": "unscaled features of one set",
    "CLIP features": "CLIP's embeddings of both sets",
    "balls": "features of both sets",
    "bins": "pixels of both sets",
    "probabilities": "class probabilities of one set",
    "images": "pixels of one set",
    "natural images": "pixels of one set, and a model of natural images",
    "pairs": "pixels of pairs",
    "codes": "pixels of the copy's and the target's images of the same codes",
    "code features": "features of the copy's and the target's images of the same codes",
    "training images": "features of one set, and of the images that its generator was trained on",
    "held-out images": "the same, and features of fresh images of the same origin",
    "classes": "features of both sets, and the class of each image",
    "asked classes": "class probabilities of one set, and the class that each image was asked for",
    "seen classes": "class probabilities of both sets",
}
"""What numbers are computed of, in words."""
SPREADS: dict[Spread, str] = {
    "bootstrap": "bootstrap over the images, 20 replicates",
    "moments": "influence of each image, and the noise of second order; none below 1.25 images a dimension",
    "lines": "the same, of all points of the line",
    "kernels": "variance of first and second order of the kernel's means",
    "splits": "influence of each image on the score of its part",
    "images": "standard error of the mean over the images",
    "parts": "variance between disjoint halves and quarters of both sets, 32 times",
    "classes": "those of the classes, whose images differ, as of a mean; none if one of them has none",
    "shares": "that of a share of independent images, with one added on either side (Agresti & Coull 1998)",
    "none": "none is known",
}
"""How the standard error of a number is taken, in words."""


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
