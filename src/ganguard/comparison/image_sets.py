"""A set of images that is read in parts, as often as needed, so that it need not fit into memory."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

import torch
from torch import Tensor

from ganguard.base.errors import DataError, MetricError
from ganguard.base.images import colours_of, has_opacity, in_channels, shape_of
from ganguard.base.labels import Labels
from ganguard.comparison.pairing import Pairs, Whole, chosen, pairs_of
from ganguard.data.room import room
from ganguard.metrics.features.extraction import blocks

AT_ONCE = 1024  # images, and fewer if these would have more than MOST_BYTES
MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Origin:
    """Where a set of images comes from.

    Attributes:
        kind: in words, such as "image_folder" or "checkpoint".
        size: side in pixels, or WIDTHxHEIGHT, that its images were resized to; None if they were not.
        crop: the part of each image that was taken; None for sets that are not cropped.
        orient: whether they were turned as their EXIF data say ("exif") or not ("none"); None for sets that
            are not of files.
        stray: how many hidden files, and files of operating systems, were left out.
        unreadable: how many images could not be read and were left out.
        made_rgb: how many images are grey in their files and were made RGB, since others have colour.
        converted: whether all images were made grey, or RGB, to be compared with the other set's.
        composed: whether its images had opacity, and were put before a white background.
    """

    kind: str = "images"
    size: int | str | None = None
    crop: str | None = None
    stray: int = 0
    unreadable: int = 0
    made_rgb: int = 0
    converted: Literal["", "grey", "RGB"] = ""
    orient: str | None = None
    composed: bool = False


@dataclass(frozen=True)
class ImageSet:
    """Images that are read in parts.

    Attributes:
        count: how many images there are.
        shape: (C, H, W) of each.
        read: returns all of them, each time it is called, in parts (n, C, H, W) uint8 of any sizes.
        whole: the set that they were chosen from, to find pairs in; None if they are all there is, and known
            by their place.
        origin: where they come from.
        classes: their classes, in the order in which they are read; None if they have none.
    """

    count: int
    shape: tuple[int, int, int]
    read: Callable[[], Iterable[Tensor]]
    whole: Whole | None = None
    origin: Origin = Origin()
    classes: Labels | None = None

    @staticmethod
    def of(images: Tensor) -> "ImageSet":
        """Return the set of images (N, C, H, W) uint8 that are in memory, or mapped into it from a file."""
        shape = shape_of(images)
        return ImageSet(len(images), shape, lambda: images.split(at_once(shape)))

    def parts(self) -> Iterator[Tensor]:
        """Yield all images, `at_once` of their shape at a time.

        Raises InputError if they are not of one shape, or if their number is not `count`.
        """
        return _whole_number(self.read(), self.count, self.shape)

    def all(self) -> Tensor:
        """Return all images (N, C, H, W) uint8: in memory, or in a map of a file if they are large for it.

        Raises InputError as `parts` does, and if there is no room for them.
        """
        pixels, start = room(self.count, self.shape, "a set", claimed=False), 0
        for part in self.parts():
            pixels[start : start + len(part)] = part
            start += len(part)
        return pixels

    def at(self, rows: Tensor) -> Iterator[Tensor]:
        """Yield the images at places (n,) int64 of the whole set, in parts as large as `parts` yields them;
        or all, if nothing is known of a whole set.

        Raises InputError as `parts` does.
        """
        read = self.read() if self.whole is None else self.whole.read(rows)
        return _whole_number(read, len(rows), self.shape)

    def pairs_with(self, other: "ImageSet") -> Pairs:
        """Return which images of this set, A, and of another, B, are pairs. Raises MetricError if that is not
        known."""
        ours, theirs = self.whole, other.whole
        if ours and theirs and ours.by == theirs.by == "name":
            return pairs_of(ours, theirs, self.count)  # says which names differ, rather than the numbers
        if self.count != other.count:
            fewest = min(self.count, other.count)
            raise MetricError(
                f"A and B must be pairs of images, as many of each; got {self.count:,} and {other.count:,}. "
                f"--samples {fewest} takes as many of both."
            )
        if ours and theirs:
            return pairs_of(ours, theirs, self.count)
        return Pairs(_places(ours, self.count), _places(theirs, self.count), "place")

    def in_channels(self, channels: Literal[1, 3]) -> "ImageSet":
        """Return the set with all images grey (1) or RGB (3), and none with opacity."""
        if self.shape[0] == channels:
            return self
        read, whole, made = self.read, self.whole, "grey" if channels == 1 else "RGB"
        return replace(
            self,
            shape=(channels, *self.shape[1:]),
            read=lambda: (in_channels(part, channels) for part in read()),
            whole=None if whole is None else replace(whole, read=_converted(whole.read, channels)),
            origin=replace(
                self.origin,
                converted=made if colours_of(self.shape[0]) != channels else "",
                composed=has_opacity(self.shape[0]),
            ),
        )


def _converted(
    read: Callable[[Tensor], Iterable[Tensor]], channels: Literal[1, 3]
) -> Callable[[Tensor], Iterable[Tensor]]:
    return lambda rows: (in_channels(part, channels) for part in read(rows))


def _places(whole: Whole | None, count: int) -> Tensor:
    return torch.arange(count) if whole is None else chosen(whole, count)


def at_once(shape: tuple[int, int, int]) -> int:
    """Return how many images (C, H, W) are read at once."""
    return max(1, min(AT_ONCE, MOST_BYTES // max(1, prod(shape))))


def _whole_number(read: Iterable[Tensor], count: int, shape: tuple[int, int, int]) -> Iterator[Tensor]:
    done = 0
    for part in blocks(read, at_once(shape)):
        done += len(part)
        yield part
    if done != count:
        raise DataError(
            f"{done:,} images came of {count:,} that were announced. Look at the files, or harvest again."
        )
