"""The classes of a set of images."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Labels:
    """The class of each image.

    Attributes:
        numbers: (N,) int64.
        names: name of each class, by its number.
    """

    numbers: Tensor
    names: tuple[str, ...]

    def of(self, rows: Tensor) -> "Labels":
        """Return the labels of some images."""
        return Labels(self.numbers[rows], self.names)

    def told(self, names: tuple[str, ...]) -> "Labels | None":
        """Return the same classes, numbered as `names` has them; None if one of them has no such name."""
        places = {name: place for place, name in enumerate(names)}
        numbers = torch.tensor([places.get(name, -1) for name in self.names], dtype=torch.int64)[self.numbers]
        return None if (numbers < 0).any() else Labels(numbers, names)
