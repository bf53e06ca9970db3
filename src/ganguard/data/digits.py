"""Handwritten digits: 1,797 real 8x8 scans in 10 classes, shipped with scikit-learn (UCI ML, Alpaydin &
Kaynak 1998)."""

from typing import Annotated, Any, Literal, cast

import torch
from pydantic import Field, field_validator

from ganguard.base.progress import Progress, silent
from ganguard.data.crops import centre_crop_resize
from ganguard.data.dataset import DatasetSettings, RealImages

SIDE = 8  # pixels of the scans


class Digits(DatasetSettings):
    """The digits, in grey. Their 17 levels of ink (0 to 16) are spread over [0, 255].

    Attributes:
        classes: the digits to load, ascending; all by default.
        size: side in pixels. 8 loads the scans as they are; a larger side enlarges them with a Lanczos
            filter.
    """

    kind: Literal["digits"] = "digits"
    classes: Annotated[tuple[Annotated[int, Field(ge=0, le=9)], ...], Field(min_length=1)] = tuple(range(10))

    size: Annotated[int, Field(ge=SIDE, le=128)] = SIDE

    @field_validator("classes")
    @classmethod
    def _ascending(cls, classes: tuple[int, ...]) -> tuple[int, ...]:
        if list(classes) != sorted(set(classes)):
            raise ValueError(f"must be distinct digits, ascending; got {list(classes)}")
        return classes

    def own_shape(self) -> tuple[int, int, int]:
        """Return (1, size, size)."""
        return 1, self.size, self.size

    def fingerprint(self) -> str:
        """Return a constant: the digits never change."""
        return "digits"

    def load(self, progress: Progress = silent) -> RealImages:
        """Return the images (N, 1, size, size) uint8, 1,797 for all classes, with labels (N,) that number the
        classes from 0."""
        from sklearn.datasets import load_digits

        bunch = cast(Any, load_digits())
        ink = torch.from_numpy(bunch.images)  # (1797, 8, 8) float64, whole numbers 0..16
        images = (ink * (255 / 16)).round().to(torch.uint8)[:, None]
        wanted, digits = torch.tensor(self.classes), torch.from_numpy(bunch.target).long()
        taken = torch.isin(digits, wanted)
        progress(len(images), len(images), "digits")
        labels, indices = torch.searchsorted(wanted, digits[taken]), taken.nonzero()[:, 0]
        taken_images = torch.stack([centre_crop_resize(image, self.size) for image in images[taken]])
        return RealImages(taken_images, labels, tuple(map(str, self.classes)), indices=indices)
