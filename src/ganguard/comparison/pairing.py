"""Which image of one set belongs to which of another, for numbers of pairs."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import torch
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.base.settings import one_line
from ganguard.data.encoded import named_as_image
from ganguard.data.splits import some_of

By = Literal["name", "place", "index", "code"]
How = Literal["name", "name without its ending", "place", "index", "code"]
_SAID: dict[By, str] = {
    "name": "are known by their names",
    "place": "are known only by their place in a file",
    "index": "are known by their index in a purchase",
    "code": "are made here, of codes drawn here",
}


@dataclass(frozen=True)
class Whole:
    """All images of a set, of which some are measured, and how one of them is told from another.

    Attributes:
        by: "name" for files; "place" for rows of a file without names; "index" for a harvest, whose image i
            is what its target makes of its seed and i; "code" for a generator that runs here, which makes the
            images of both sets from the same codes if they are to be pairs.
        count: how many images there are.
        read: returns the images at given places, (n,) int64, in their order and in parts.
        names: name of each image, if they are known by name.
        numbers: index of each image, if they are known by index.
        origin: what must be equal for equal indices or codes to mean the same.
    """

    by: By
    count: int
    read: Callable[[Tensor], Iterable[Tensor]]
    names: tuple[str, ...] = ()
    numbers: Sequence[int] = ()
    origin: str = ""


@dataclass(frozen=True)
class Pairs:
    """Places of images in two sets, (n,) int64 each, the i-th of one with the i-th of the other.

    how: by what they were found.
    """

    in_a: Tensor
    in_b: Tensor
    how: How


def chosen(whole: Whole, count: int) -> Tensor:
    """Return the places of `count` images of a set, (count,) int64.

    They are drawn, since files often lie class by class, but for a harvest: there they are the first. Two
    sets of equal names give images of equal names.
    """
    if whole.by in ("index", "code"):
        return torch.arange(count)
    rows = some_of(torch.arange(whole.count), count, seed=0)
    return torch.tensor(_by_rank(whole.names))[rows] if whole.names else rows


def pairs_of(a: Whole, b: Whole, count: int) -> Pairs:
    """Return `count` pairs of images. Raises MetricError if it is not known which images are pairs."""
    if a.by != b.by:
        raise MetricError(
            f"which images are pairs is not known: those of A {_SAID[a.by]}, those of B {_SAID[b.by]}. Write "
            "both sets as folders of images, with one name for the two images of a pair."
        )
    if a.by == "name":
        return _by_name(a, b, count)
    if a.origin != b.origin:
        raise MetricError(
            f"A and B have no pairs of images: A has {a.origin}, B has {b.origin}, so images of one "
            f"{a.by} are not of one code. Give sets that were made from the same codes."
        )
    if a.by == "index":
        for place, (one, other) in enumerate(zip(a.numbers, b.numbers, strict=False)):
            if one != other and place < count:
                raise MetricError(
                    f"A and B are harvests of different images: A has image {min(one, other)} and B has not, "
                    "or the other way round. Harvest what is absent, or lower --samples."
                )
    fewest = min(a.count, b.count)
    rows = chosen(Whole(a.by, fewest, a.read), count)
    return Pairs(rows, rows, a.by)


def _by_name(a: Whole, b: Whole, count: int) -> Pairs:
    """Return pairs of equal names; if the endings alone differ, of names that are equal without them."""
    how: How = "name"
    if set(a.names) != set(b.names):
        short = [[_key(name) for name in whole.names] for whole in (a, b)]
        if set(short[0]) != set(short[1]) or any(len(set(keys)) < len(keys) for keys in short):
            raise MetricError(_different(a.names, b.names))
        how = "name without its ending"
    for side, whole in (("A", a), ("B", b)):
        name, times = Counter(whole.names).most_common(1)[0]
        if times > 1:
            raise MetricError(
                f"{side} holds {times} images of the name {one_line(name, 120)}, so which images are pairs "
                "is not known. Give each image of a set a name of its own."
            )
    return Pairs(chosen(a, count), chosen(b, count), how)


def _different(a: Sequence[str], b: Sequence[str]) -> str:
    """Return the message about two sets of names that differ, with the first name that only one of them
    has."""
    first, side = min(
        [(name, "A") for name in set(a) - set(b)] + [(name, "B") for name in set(b) - set(a)],
        key=lambda found: (_rank(found[0]), found[1]),
    )
    other = "B" if side == "A" else "A"
    return (
        f"A and B must be pairs of images of equal names: {side} has {one_line(first, 120)}, and {other} has "
        f"none of that name (names in A alone: {len(set(a) - set(b)):,}; in B alone: "
        f"{len(set(b) - set(a)):,}). Give the two images of a pair one name, and remove those without a "
        "partner."
    )


def _by_rank(names: Sequence[str]) -> list[int]:
    """Return the places of the names in their order without endings."""
    return sorted(range(len(names)), key=lambda place: _rank(names[place]))


def _rank(name: str) -> tuple[str, str]:
    return _key(name), name


def _key(name: str) -> str:
    """Return a name without the ending of an image file, in one of the forms that Unicode has for it."""
    path = PurePosixPath(name)
    bare = str(path.with_suffix("")) if named_as_image(path) else name
    return unicodedata.normalize("NFC", bare)
