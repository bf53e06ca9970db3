"""Images that a generator made, as a target: to see what defences would leave of them, or as a purchase that
was made before.

The generator itself is not needed.
"""

from dataclasses import replace
from typing import Self

import torch
from pydantic import field_validator, model_validator
from torch import Tensor

from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.base.images import shape_of
from ganguard.base.seeds import uniform
from ganguard.base.settings import shortened
from ganguard.data.dataset import DatasetField, DatasetSettings, RealImages, fingerprint, load_dataset
from ganguard.data.parquet_images import ParquetImages
from ganguard.targets.conditions import Conditions, require_conditions
from ganguard.targets.load import TargetSettings
from ganguard.targets.protocol import BlackBoxTarget

CONDITION = "condition"  # column of a harvest that says what each image was asked for


class ImagesTarget(TargetSettings):
    """`images`: the path of a folder, zip, Parquet file or harvest, or a data set, such as `{kind:
    image_folder, path: …}`.

    Images are drawn from it uniformly, with replacement: a purchase that is not much smaller than the set has
    many repeated images.

    The classes of a purchase are those of the set: its folders, labels or a column. A harvest's are what its
    images were asked for, its column `condition`.

    Attributes:
        in_order: image i is the i-th of the set, whatever the seed, so that each is had once: the images are
            a purchase that was made before. More than there are cannot be had.
        by_class: a client may ask for images of a class of the set. Not beside in_order.
    """

    images: DatasetField
    in_order: bool = False
    by_class: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.in_order and self.by_class:
            raise ValueError("by_class has nothing to act on if in_order is set: leave one of them out")
        return self

    @field_validator("images")
    @classmethod
    def _whole(cls, images: DatasetSettings) -> DatasetSettings:
        if getattr(images, "on_bad_image", "fail") == "skip":
            raise ValueError(
                "on_bad_image must be fail for a target; got skip. Which images it has must not depend on "
                "which files could be read"
            )
        return images

    def fingerprint(self) -> str:
        """Return a digest that changes whenever the files may have changed. Raises DataError."""
        return fingerprint(self.images)

    def load(self, compute: Compute) -> "PooledImages | BoughtImages":
        """Read all images.

        Raises DataError if they cannot be read, or TargetError if a client may ask for classes and the set
        has none.
        """
        real = _labelled(self.images)
        known = None if real.labels is None else Conditions(names=real.classes)
        if self.in_order:
            return BoughtImages(real.images, f"bought:{real.digest()}", known, real.labels)
        if self.by_class and known is None:
            raise TargetError(
                "by_class: the images have no classes. Put those of each class into a folder of its own, set "
                "`label_column` of Parquet files, or leave by_class out."
            )
        by_class = (known, real.labels) if self.by_class else (None, None)
        return PooledImages(real.images, f"images:{real.digest()}", *by_class)


def _labelled(images: DatasetSettings) -> RealImages:
    """Return the images of a data set. Those of a harvest that was asked for conditions have these as their
    labels."""
    if not isinstance(images, ParquetImages) or images.label_column is not None:
        return load_dataset(images)
    if (first := images.first_asked(CONDITION)) is None:
        return load_dataset(images)
    real = load_dataset(images.model_copy(update={"label_column": CONDITION}))
    if real.labels is not None:
        return real
    alike = torch.zeros(len(real.images), dtype=torch.int64)  # all of them were asked for the same
    return replace(real, labels=alike, classes=(first,))


class PooledImages:
    """A BlackBoxTarget over images (N, C, H, W) uint8; it has no codes.

    Args:
        images: what it draws from, with replacement.
        identity: of the images.
        conditions: the classes that a client may ask for; None for none.
        labels: (N,) int64, the class of each image if there are any.
    """

    def __init__(
        self,
        images: Tensor,
        identity: str,
        conditions: Conditions | None = None,
        labels: Tensor | None = None,
    ) -> None:
        self._images = images
        self.identity = identity
        self.image_shape = shape_of(images)
        self.conditions = conditions
        if labels is not None:
            self._by_class = labels.argsort(stable=True)  # rows of the first class, then of the next
            self._sizes = labels.bincount(minlength=len(conditions or ()))

    def sample(self, indices: range, *, seed: int, conditions: Tensor | None = None) -> Tensor:
        """Return images (len(indices), C, H, W) uint8; image i is a pure function of (seed, i), and of its
        condition.

        conditions: (len(indices),) int64, classes to draw from; None draws from all images.
        """
        places = torch.from_numpy(uniform(seed, "pooled images", indices, 1)[:, 0])
        if conditions is None:
            return self._images[(places * len(self._images)).long()]
        require_conditions(conditions, self.conditions, len(indices))
        first = (self._sizes.cumsum(0) - self._sizes)[conditions]
        within = (places * self._sizes[conditions]).long()
        return self._images[self._by_class[first + within]]


class BoughtImages:
    """A BlackBoxTarget over images (N, C, H, W) uint8 that were bought before: image i is the i-th of them.

    It takes no conditions. What the images were bought for, or the folders that they lie in, is known beside
    them (see `queries.bought_before`).

    Args:
        images: in their order.
        identity: of the images.
        classes: names of their classes; None for none.
        labels: (N,) int64, the class of each image if there are any.

    Attributes:
        count: how many there are.
    """

    def __init__(
        self,
        images: Tensor,
        identity: str,
        classes: Conditions | None = None,
        labels: Tensor | None = None,
    ) -> None:
        self._images, self._classes, self._labels = images, classes, labels
        self.identity = identity
        self.image_shape = shape_of(images)
        self.count = len(images)

    def conditions_among(self, known: Conditions) -> Conditions | None:
        """Return what the images were bought for, among what the target can be asked for; None if the set
        does not tell.

        Raises TargetError if the target cannot be asked for one of its classes.
        """
        if self._classes is None or self._labels is None:
            return None
        if strange := [name for name in self._classes.names if name not in set(known.names)]:
            raise TargetError(
                f"purchase: it has images of {shortened(strange[0])}, which the target cannot be asked for. "
                f"Name its classes as the target does: {shortened(', '.join(known.names))}."
            )
        given = known.numbers(self._classes.said(self._labels))
        return known.model_copy(update={"given": tuple(given.tolist()), "in_turn": False, "together": 1})

    def sample(self, indices: range, *, seed: int) -> Tensor:
        """Return images (len(indices), C, H, W) uint8, whatever the seed. Raises TargetError if there are
        fewer."""
        self.require(indices.stop)
        return self._images[indices.start : indices.stop].clone()

    def of_same_set(self, target: BlackBoxTarget) -> bool:
        """Return whether a target draws from the same images."""
        return target.identity == self.identity.replace("bought:", "images:")

    def require(self, count: int) -> None:
        """Raise TargetError if there are fewer than `count` images."""
        if count > self.count:
            raise TargetError(
                f"{self.count:,} images were bought before; {count:,} are wanted, and none can be had twice. "
                f"Set query_budget to {self.count} or less, or give more images."
            )
