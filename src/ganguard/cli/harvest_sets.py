"""Harvests as the sets of images that `ganguard measure` compares."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganguard.base.labels import Labels
    from ganguard.comparison.image_sets import ImageSet


def of_harvest(directory: Path, shards: list[tuple[int, int, Path]], samples: int) -> "ImageSet":
    """Return the first images of a harvest, which are read a few at a time.

    shards: (first index, last index + 1, file) of each.
    """
    import torch

    from ganguard.base.images import shape_of
    from ganguard.comparison.image_sets import ImageSet, Origin
    from ganguard.comparison.pairing import Whole
    from ganguard.data.parquet import read_parquet, stream_parquet

    wanted: list[tuple[Path, int]] = []
    numbers: list[int] = []
    for start, stop, file in shards:
        if (count := min(stop - start, samples - len(numbers))) > 0:
            wanted.append((file, count))
            numbers += range(start, start + count)

    def parts(_: torch.Tensor) -> Iterator[torch.Tensor]:
        for file, count in wanted:
            yield from stream_parquet(file, count)

    whole = Whole("index", len(numbers), parts, numbers=numbers, origin=_seed_of(directory))
    shape = shape_of(read_parquet([wanted[0][0]], 1))
    return ImageSet(
        len(numbers),
        shape,
        lambda: whole.read(torch.arange(len(numbers))),
        whole,
        Origin("harvest"),
        _conditions(wanted),
    )


def _conditions(shards: list[tuple[Path, int]]) -> "Labels | None":
    """Return what the images of a harvest were asked for; None if its target takes no conditions.

    shards: the files, and how many images of each are measured.
    """
    from ganguard.base.labels import Labels
    from ganguard.data.parquet import has_column, read_texts

    if not has_column(shards[0][0], "condition"):
        return None
    asked: list[str] = []
    for file, count in shards:
        asked += read_texts(file, "condition")[:count]
    return Labels.of_names(asked)


def _seed_of(directory: Path) -> str:
    """Return the seed that a harvest was bought under, in words; empty if it does not say."""
    from ganguard.base.errors import DataError
    from ganguard.queries.store import Store

    try:
        return f"seed {Store.open(directory).seed}"
    except DataError:
        return ""
