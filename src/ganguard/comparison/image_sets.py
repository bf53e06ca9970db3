"""A set of images that is read in parts, as often as needed, so that it need not fit into memory."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from torch import Tensor

from ganguard.base.errors import DataError
from ganguard.base.images import shape_of
from ganguard.metrics.features.extraction import blocks

AT_ONCE = 1024  # images


@dataclass(frozen=True)
class ImageSet:
    """Images that are read in parts.

    Attributes:
        count: how many images there are.
        shape: (C, H, W) of each.
        read: returns all of them, each time it is called, in parts (n, C, H, W) uint8 of any sizes.
    """

    count: int
    shape: tuple[int, int, int]
    read: Callable[[], Iterable[Tensor]]

    @staticmethod
    def of(images: Tensor) -> "ImageSet":
        """Return the set of images (N, C, H, W) uint8 that are in memory, or mapped into it from a file."""
        return ImageSet(len(images), shape_of(images), lambda: images.split(AT_ONCE))

    def parts(self) -> Iterator[Tensor]:
        """Yield all images, AT_ONCE at a time.

        Raises InputError if they are not of one shape, or if their number is not `count`.
        """
        read = 0
        for part in blocks(self.read(), AT_ONCE):
            read += len(part)
            yield part
        if read != self.count:
            raise DataError(
                f"{read:,} images came of {self.count:,} that were announced. Look at the files, or harvest "
                "again."
            )
