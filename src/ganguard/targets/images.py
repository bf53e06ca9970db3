"""Images that a generator made, as a target: to see what defences would leave of them, or as a purchase that
was made before.

The generator itself is not needed.
"""

import torch
from pydantic import field_validator
from torch import Tensor

from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.base.images import shape_of
from ganguard.base.seeds import uniform
from ganguard.data.dataset import DatasetField, DatasetSettings, fingerprint, load_dataset
from ganguard.targets.load import TargetSettings
from ganguard.targets.protocol import BlackBoxTarget


class ImagesTarget(TargetSettings):
    """`images`: the path of a folder, zip, Parquet file or harvest, or a data set, such as `{kind:
    image_folder, path: …}`.

    Images are drawn from it uniformly, with replacement: a purchase that is not much smaller than the set has
    many repeated images.

    Attributes:
        in_order: image i is the i-th of the set, whatever the seed, so that each is had once: the images are
            a purchase that was made before. More than there are cannot be had.
    """

    images: DatasetField
    in_order: bool = False

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
        """Read all images. Raises DataError."""
        real = load_dataset(self.images)
        if self.in_order:
            return BoughtImages(real.images, f"bought:{real.digest()}")
        return PooledImages(real.images, f"images:{real.digest()}")


class PooledImages:
    """A BlackBoxTarget over images (N, C, H, W) uint8; it has no codes."""

    def __init__(self, images: Tensor, identity: str) -> None:
        self._images = images
        self.identity = identity
        self.image_shape = shape_of(images)

    def sample(self, indices: range, *, seed: int) -> Tensor:
        """Return images (len(indices), C, H, W) uint8; image i is a pure function of (seed, i)."""
        rows = torch.from_numpy(uniform(seed, "pooled images", indices, 1)[:, 0]) * len(self._images)
        return self._images[rows.long()]


class BoughtImages:
    """A BlackBoxTarget over images (N, C, H, W) uint8 that were bought before: image i is the i-th of them.

    Attributes:
        count: how many there are.
    """

    def __init__(self, images: Tensor, identity: str) -> None:
        self._images = images
        self.identity = identity
        self.image_shape = shape_of(images)
        self.count = len(images)

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
