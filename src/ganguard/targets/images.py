"""Images that a generator made, as a target: what would defences leave of them? The generator need not be at
hand."""

import torch
from pydantic import field_validator
from torch import Tensor

from ganguard.base.compute import Compute
from ganguard.base.images import shape_of
from ganguard.base.seeds import uniform
from ganguard.data.dataset import DatasetField, DatasetSettings, fingerprint, load_dataset
from ganguard.targets.load import TargetSettings


class ImagesTarget(TargetSettings):
    """`images`: a data set, such as `{kind: image_folder, path: …}`, of which every image is as likely.

    They are drawn with replacement: a set that is not much larger than what is bought from it repeats itself.
    """

    images: DatasetField

    @field_validator("images")
    @classmethod
    def _whole(cls, images: DatasetSettings) -> DatasetSettings:
        if getattr(images, "on_bad_image", "fail") == "skip":
            raise ValueError(
                "on_bad_image must be fail for a target: what it is shall not depend on what could be read"
            )
        return images

    def fingerprint(self) -> str:
        """Changes whenever the files may have. Raises DataError."""
        return fingerprint(self.images)

    def load(self, compute: Compute) -> "PooledImages":
        """Read them all. Raises DataError."""
        real = load_dataset(self.images)
        return PooledImages(real.images, f"images:{real.digest()}")


class PooledImages:
    """A BlackBoxTarget over images (N, C, H, W) uint8; there are no codes."""

    def __init__(self, images: Tensor, identity: str) -> None:
        self._images = images
        self.identity = identity
        self.image_shape = shape_of(images)

    def sample(self, indices: range, *, seed: int) -> Tensor:
        """Images (len(indices), C, H, W) uint8; image i is a pure function of (seed, i)."""
        rows = torch.from_numpy(uniform(seed, "pooled images", indices, 1)[:, 0]) * len(self._images)
        return self._images[rows.long()]
