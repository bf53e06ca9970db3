"""The classes, or prompts, of a set of images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganguard.base.cache import content_key, tensor_digest

NO_CLASS = -1  # the number of an image whose class does not count


@dataclass(frozen=True)
class Labels:
    """The class of each image.

    Attributes:
        numbers: (N,) int64, places among the names; NO_CLASS for an image of none.
        names: name of each class.
    """

    numbers: Tensor
    names: tuple[str, ...]

    @staticmethod
    def of_names(names: Sequence[str]) -> "Labels":
        """Return the labels of images whose classes are given by name, an image each."""
        known = tuple(sorted(set(names)))
        places = {name: place for place, name in enumerate(known)}
        return Labels(torch.tensor([places[name] for name in names], dtype=torch.int64), known)

    def of(self, rows: Tensor) -> "Labels":
        """Return the labels of some images."""
        return Labels(self.numbers[rows], self.names)

    def said(self) -> list[str]:
        """Return the name of each image's class."""
        return [self.names[number] for number in self.numbers.tolist()]

    def numbered(self, names: Sequence[str]) -> Tensor:
        """Return the labels as places among other names, (N,) int64; NO_CLASS for a class that is not among
        them."""
        places = {name: place for place, name in enumerate(names)}
        known = [places.get(name, NO_CLASS) for name in self.names]
        return torch.tensor([*known, NO_CLASS], dtype=torch.int64)[self.numbers]

    def occurring(self) -> list[str]:
        """Return the names of the classes that have an image, in the order of their numbers."""
        there = set(self.numbers.tolist())
        return [name for place, name in enumerate(self.names) if place in there]

    def told(self, names: tuple[str, ...]) -> "Labels | None":
        """Return the same classes, numbered as `names` has them; None if an image's class has no such
        name."""
        numbers = self.numbered(names)
        return None if (numbers == NO_CLASS).any() else Labels(numbers, names)


def labelled_digest(tensors: Mapping[str, Tensor], **names: Sequence[str]) -> str:
    """Return the digest of tensors, and of the names that numbers in them stand for; without any names, that
    of the tensors alone."""
    told = {name: list(of) for name, of in names.items() if of}
    digest = tensor_digest(tensors)
    return content_key(tensors=digest, **told) if told else digest
