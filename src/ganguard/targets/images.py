"""Images that a generator made, as a target, to see what defences would leave of them.

The generator itself is not needed.
"""

import torch
from pydantic import field_validator
from torch import Tensor

from ganguard.base.compute import Compute
from ganguard.base.images import shape_of
from ganguard.base.seeds import uniform
from ganguard.data.dataset import DatasetField, DatasetSettings, fingerprint, load_dataset
from ganguard.targets.load import TargetSettings


class ImagesTarget(TargetSettings):
    """`images`: a data set, such as `{kind: image_folder, path: …}`, from which images are drawn uniformly.

    They are drawn with replacement: a purchase that is not much smaller than the set has many repeated
    images.
    """

    images: DatasetField

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

    def load(self, compute: Compute) -> "PooledImages":
        """Read all images. Raises DataError."""
        real = load_dataset(self.images)
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
