"""A selection of many images that are read only when they are used, such as a split of a mapped file that is
larger than memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

PART = 1024  # images copied at once when all are read


@dataclass(frozen=True)
class ImageRows:
    """Chosen rows of a set of images.

    Indexing with places (n,) int64 on CPU gives what the tensor `images[rows]` would give there. Only the
    images asked for are copied.

    Attributes:
        images: (M, C, H, W) uint8, all images.
        rows: (N,) int64, the chosen ones in their order.
    """

    images: Tensor
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, places: Tensor) -> Tensor:
        return self.images[self.rows[places]]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape (N, C, H, W)."""
        return (len(self.rows), *self.images.shape[1:])

    @property
    def device(self) -> torch.device:
        """The device on which the images lie."""
        return self.images.device

    def parts(self) -> Iterator[Tensor]:
        """Yield all chosen images in order, at most PART at a time: (n, C, H, W). If there are none, yield
        one part with n = 0."""
        return (self.images[rows] for rows in self.rows.split(PART))


Images = Tensor | ImageRows
"""Images (N, C, H, W) uint8, in memory or not."""
