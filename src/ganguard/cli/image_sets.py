"""The sets of images that `ganguard measure` compares, by what names them."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganguard.base.compute import Compute
    from ganguard.base.progress import Progress
    from ganguard.comparison.image_sets import ImageSet
    from ganguard.targets.checkpoint import CheckpointTarget


def image_set(
    text: str, samples: int, size: int | None, compute: "Compute", progress: "Progress", seed: int
) -> "ImageSet":
    """Return at most `samples` images of a data set, folder, harvest or checkpoint.

    A checkpoint's images are made, and a harvest's are read, a part at a time.

    Args:
        text: names the set: the directory of a checkpoint or harvest, or a data set as for `dataset_of`.
        samples: the most images to take.
        size: side in pixels of data that can have any size; the others keep their own.
        compute: where a checkpoint runs.
        progress: told how far reading is.
        seed: of the codes that a checkpoint is asked for.

    Raises:
        InputError: if the text names no such set, or it cannot be read.
    """
    import torch

    from ganguard.base.images import shape_of
    from ganguard.cli.options import dataset_of, is_mapping, load_and_say
    from ganguard.comparison.image_sets import AT_ONCE, ImageSet
    from ganguard.data.splits import some_of
    from ganguard.queries.store import shards_of
    from ganguard.targets.checkpoint import CheckpointTarget

    if not is_mapping(text):
        if _is_checkpoint(text):
            return _of_checkpoint(CheckpointTarget(checkpoint=text), samples, compute, seed)
        if shards := shards_of(Path(text)):
            return _of_harvest(shards, samples)
    images = load_and_say(dataset_of(text, size if takes_size(text) else None), progress).images
    # Not the first ones: files often lie class by class.
    rows = some_of(torch.arange(len(images)), min(samples, len(images)), seed=0)
    return ImageSet(len(rows), shape_of(images), lambda: (images[part] for part in rows.split(AT_ONCE)))


def takes_size(text: str) -> bool:
    """Return whether a set can have images of any size, as a folder can, and data that is cut to size.

    A mapping cannot: it says its size itself. Raises InputError if there is no such set.
    """
    from ganguard.cli.options import dataset_of, is_mapping
    from ganguard.queries.store import list_shards

    if is_mapping(text) or _is_checkpoint(text) or list_shards(Path(text)):
        return False
    return "size" in type(dataset_of(text, None)).model_fields


def _is_checkpoint(text: str) -> bool:
    from ganguard.architectures.checkpoint import DESCRIPTION

    return (Path(text) / DESCRIPTION).is_file()


def _of_checkpoint(settings: "CheckpointTarget", samples: int, compute: "Compute", seed: int) -> "ImageSet":
    from ganguard.comparison.image_sets import AT_ONCE, ImageSet

    target, indices = settings.load(compute), range(samples)
    parts = [indices[start : start + AT_ONCE] for start in range(0, samples, AT_ONCE)]
    return ImageSet(samples, target.image_shape, lambda: (target.sample(part, seed=seed) for part in parts))


def _of_harvest(shards: list[tuple[int, int, Path]], samples: int) -> "ImageSet":
    """Return the first images of a harvest, which are read one shard at a time.

    shards: (first index, last index + 1, file) of each.
    """
    from ganguard.base.images import shape_of
    from ganguard.comparison.image_sets import ImageSet
    from ganguard.data.parquet import read_parquet

    wanted: list[tuple[Path, int]] = []
    left = samples
    for start, stop, file in shards:
        if (count := min(stop - start, left)) > 0:
            wanted.append((file, count))
            left -= count
    shape = shape_of(read_parquet([wanted[0][0]], 1))
    return ImageSet(
        sum(count for _, count in wanted),
        shape,
        lambda: (read_parquet([file], count) for file, count in wanted),
    )
