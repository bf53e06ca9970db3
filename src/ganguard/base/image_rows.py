"""Some of many images, that are read when they are used: a split of a map of a file that is larger than
memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

PART = 1024  # images that are copied at once where all are read


@dataclass(frozen=True)
class ImageRows:
    """The rows (N,) int64, in their order, of images (M, C, H, W) uint8. Indexed as the tensor `images[rows]`
    would be, by places (n,) int64 on CPU; what is asked for is copied, and no more."""

    images: Tensor
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, places: Tensor) -> Tensor:
        return self.images[self.rows[places]]

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""
        return (len(self.rows), *self.images.shape[1:])

    @property
    def device(self) -> torch.device:
        """Where the images are."""
        return self.images.device

    def parts(self) -> Iterator[Tensor]:
        """All of them in order, some at a time: (n, C, H, W), and one of n = 0 where there are none."""
        return (self.images[rows] for rows in self.rows.split(PART))


Images = Tensor | ImageRows
"""(N, C, H, W) uint8, whether or not they are in memory."""
