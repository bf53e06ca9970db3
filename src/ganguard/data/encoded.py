"""What all formats of image files share: encoded images are decoded by many threads, cropped, and kept in
their order.

A format says how its bytes and labels are found, as `Found`; this module makes `RealImages` from them.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path, PurePath
from typing import Literal, NamedTuple

import PIL
import torch
from pydantic import field_validator
from torch import Tensor

from ganguard.base.cache import code_version, content_key
from ganguard.base.codecs import images_a_task, too_little_memory
from ganguard.base.compute import cores
from ganguard.base.errors import DataError
from ganguard.base.images import has_opacity, in_channels
from ganguard.base.progress import Progress
from ganguard.base.settings import absolute
from ganguard.data.crops import prepare
from ganguard.data.dataset import RealImages
from ganguard.data.image_cache import cached_images, keep_images, worth_keeping
from ganguard.data.opacity import decode_with, shows
from ganguard.data.pictures import Pictures
from ganguard.data.room import room
from ganguard.data.skips import Skips

_NETPBM = (".ppm", ".pgm", ".pbm", ".pnm")
SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".avif", ".tif", ".tiff", *_NETPBM}
)
# Image formats that cannot be read. Such a file counts as a bad image; it is not silently passed over.
UNREAD = frozenset({".heic", ".heif", ".jp2", ".jxl"})
AHEAD = 4  # tasks per thread that are handed out before their results are taken; it bounds the memory in use


class EncodedImages(Pictures):
    """Base of the settings of image files at a path.

    Attributes:
        path: the file or folder that holds the images, kept as an absolute path.
    """

    path: str

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str) -> str:
        return absolute(path)

    def place(self) -> str:
        """Return the path."""
        return self.path


@dataclass(frozen=True)
class Encoded:
    """One image before it is decoded.

    Attributes:
        name: its name in messages.
        read: returns its bytes or its file. Any thread may call it; it raises DataError.
        label: its class.
        key: its name within the set, or None.
    """

    name: str
    read: Callable[[], bytes | Path]
    label: int | str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Found:
    """What a format found. Its labels are all numbers, all texts, or all None.

    Attributes:
        images: the images, in order.
        count: the most images that there can be.
        names: names of the labels that are numbers.
    """

    images: Iterable[Encoded]
    count: int
    names: Mapping[int, str] = field(default_factory=dict[int, str])


Opens = Callable[[], AbstractContextManager[Found]]


def load_encoded(settings: Pictures, fingerprint: str, opens: Opens, progress: Progress) -> RealImages:
    """Return the images that `opens` finds, from the cache if they were decoded before. Raises DataError."""
    key = content_key(
        files=fingerprint,
        settings=settings.model_dump(mode="json", exclude={"pool"}),  # it comes after decoding
        pillow=PIL.__version__,
        code=code_version("ganguard.data", "ganguard.base.codecs", "ganguard.base.images"),
    )
    if (kept := cached_images(key)) is not None:
        progress(len(kept.images), len(kept.images), "decoded before")
        return kept
    try:
        with opens() as found:
            return _decode(settings, found, key, progress, settings.channels)
    except _ColourAfterGrey:
        with opens() as found:
            return _decode(settings, found, key, progress, 3)


class _ColourAfterGrey(Exception):
    """An image has colour, after others of its set were taken for grey.

    Decoding then starts again. A set in one of the two forms, which most are, is decoded once, and no header
    is read for nothing.
    """


def _decode(
    settings: Pictures, found: Found, key: str, progress: Progress, channels: Literal[1, 3] | None
) -> RealImages:
    skips, labels, names = Skips(settings.on_bad_image), list[int | str | None](), list[str | None]()
    made_rgb = see_through = 0
    decoded = decoded_images(settings, found.images, skips, channels)
    first = next(decoded, None)
    if first is None:
        raise DataError(
            f"{settings.place()}: none of its {skips.count:,} images can be read. {skips.reason()}"
        )
    shape = tuple(first[1].shape)

    def images() -> Iterator[Tensor]:
        nonlocal made_rgb, see_through
        for encoded, image, was in chain([first], decoded):
            labels.append(encoded.label)
            names.append(encoded.key)
            made_rgb += was.grey and len(image) >= 3
            see_through += was.see_through
            yield image
            progress(min(len(labels) + skips.count, found.count), found.count, "decoding")

    def described(pixels: Tensor) -> RealImages:
        classes, numbers = _classes(labels, found.names)
        known = tuple(name for name in names if name is not None and "\0" not in name)
        return RealImages(
            pixels,
            numbers,
            classes,
            skipped=skips.record(),
            names=known if len(known) == len(names) else None,
            made_rgb=made_rgb,
            decided=shows(see_through, len(pixels)),
        )

    if worth_keeping(found.count, shape):
        return keep_images(key, shape, images(), described, settings.place())
    held, pixels = 0, room(found.count, shape, settings.place())
    for image in images():
        pixels[held] = image
        held += 1
    progress(found.count, found.count, "decoding")
    return described(pixels[:held])


class Was(NamedTuple):
    """What an image's file was.

    Attributes:
        grey: whether it is grey.
        see_through: whether it has transparent pixels, and nobody said what to do about them.
    """

    grey: bool
    see_through: bool


Decoded = tuple[Encoded, Tensor, Was]
"""An image, its pixels (C, H, W) uint8, and what its file was."""


def decoded_images(
    settings: Pictures, images: Iterable[Encoded], skips: Skips, channels: Literal[1, 3] | None
) -> Iterator[Decoded]:
    """Yield each good image, in order, decoded by as many threads as there are cores.

    Raises DataError, and _ColourAfterGrey if the channels are not given and an image has colour after the
    first one had none.

    Args:
        settings: how the images are read.
        images: the images, in order.
        skips: receives the bad images.
        channels: 1 or 3; None takes the first good image's.
    """
    waiting, read = iter(images), partial(_pixels, settings=settings, kept=settings.keeps_opacity())
    first = _first_good(read, waiting, skips, channels)
    if first is None:
        return
    yield first
    shape, name = first[1].shape, first[0].name
    depth: Literal[1, 3] | None = channels or (3 if shape[0] >= 3 else None)

    def task(some: list[Encoded]) -> list[_Pixels | DataError]:
        return [read(encoded, channels=depth) for encoded in some]

    for encoded, found in _ahead(task, waiting, images_a_task(shape)):
        if isinstance(found, DataError):
            skips.note(encoded.name, found)
            continue
        pixels, was = found
        if pixels.shape[1:] != shape[1:]:
            raise DataError(
                f"{encoded.name}: {pixels.shape[2]}x{pixels.shape[1]} pixels, but {Path(name).name} has "
                f"{shape[2]}x{shape[1]}. Set `size` (`--size`) to crop and resize them all."
            )
        if has_opacity(len(pixels)) != has_opacity(shape[0]):
            raise DataError(
                f"{encoded.name}: {len(pixels)} channels, but {Path(name).name} has {shape[0]}. Set `alpha`, "
                "which decides about all."
            )
        if pixels.shape[0] != shape[0]:
            raise _ColourAfterGrey
        yield encoded, pixels, was


def _first_good(
    read: Callable[..., "_Pixels | DataError"],
    waiting: Iterator[Encoded],
    skips: Skips,
    channels: Literal[1, 3] | None,
) -> Decoded | None:
    for encoded in waiting:
        found = read(encoded, channels=channels)
        if not isinstance(found, DataError):
            return encoded, *found
        skips.note(encoded.name, found)
    return None


_Pixels = tuple[Tensor, Was]
Task = Callable[[list[Encoded]], list[_Pixels | DataError]]


def _ahead(
    task: Task, waiting: Iterator[Encoded], at_once: int
) -> Iterator[tuple[Encoded, _Pixels | DataError]]:
    """Yield the results of a task for each image, in order. A pool of threads does the work, and runs only so
    far ahead."""
    given = deque[tuple[list[Encoded], Future[list[_Pixels | DataError]]]]()
    with ThreadPoolExecutor(cores()) as pool:
        try:
            while True:
                while len(given) < AHEAD * cores() and (some := list(islice(waiting, at_once))):
                    given.append((some, pool.submit(task, some)))
                if not given:
                    return
                some, future = given.popleft()
                yield from zip(some, future.result(), strict=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # an error about one file need not wait for the others
            raise


def _pixels(
    encoded: Encoded, settings: Pictures, kept: bool, channels: Literal[1, 3] | None
) -> _Pixels | DataError:
    """Return the pixels of an image after cropping and resizing, and what its file was; or what is wrong
    with the image.

    Args:
        encoded: the image.
        settings: how it is read.
        kept: whether its opacity is kept.
        channels: 1 makes it grey, 3 makes it RGB, None leaves it as its file is.

    Raises DataError if the image can be read but does not fit. Raises another InputError, or StepError, if
    the reading failed, which says nothing about the image.
    """
    try:
        wanted = 1 if channels == 1 else None
        image, see_through = decode_with(
            settings.alpha, encoded.read(), encoded.name, wanted, orient=settings.orient, kept=kept
        )
    except DataError as problem:
        return problem
    except MemoryError:
        raise too_little_memory(encoded.name) from None
    pixels, grey = prepare(image, settings.crop, settings.size, encoded.name), len(image) < 3
    coloured = in_channels(pixels[None], len(pixels) + 2)[0] if grey and channels == 3 else pixels
    return coloured, Was(grey, see_through)


def _classes(
    labels: list[int | str | None], names: Mapping[int, str]
) -> tuple[tuple[str, ...], Tensor | None]:
    """Return the names of the classes in order, and each image's class number (N,). Both are empty, () and
    None, if there are fewer than two classes or some image has no label."""
    found = {label for label in labels if label is not None}
    known = sorted(found, key=lambda label: (isinstance(label, str), label))
    if len(known) < 2 or None in labels:
        return (), None
    numbers = {label: number for number, label in enumerate(known)}
    classes = tuple(names.get(label, str(label)) if isinstance(label, int) else label for label in known)
    return classes, torch.tensor([numbers[label] for label in labels if label is not None])


def named_as_image(path: PurePath) -> bool:
    """Return whether a file is an image by the ending of its name, whether or not its format can be read."""
    return path.suffix.lower() in SUFFIXES | UNREAD
