"""What `ganguard measure` takes for a set of images."""

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
    """At most `samples` images of a data set, folder, harvest or checkpoint; what a checkpoint makes, or a
    harvest holds, is made or read a part at a time. size: of data that may have any; others keep their own.
    Raises InputError."""
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
    rows = some_of(
        torch.arange(len(images)), min(samples, len(images)), seed=0
    )  # not the first: files lie class by class
    return ImageSet(len(rows), shape_of(images), lambda: (images[part] for part in rows.split(AT_ONCE)))


def takes_size(text: str) -> bool:
    """Whether a set may have images of any size: a folder, or data that is cut to size; a mapping says its
    own. Raises InputError for no such set."""
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
    """Of what its shards hold, by their names; one is read at a time."""
    from ganguard.base.images import shape_of
    from ganguard.comparison.image_sets import ImageSet
    from ganguard.data.parquet import read_parquet

    wanted: list[tuple[Path, int]] = []
    for start, stop, file in shards:
        if (more := min(stop - start, samples)) > 0:
            wanted.append((file, more))
            samples -= more
    shape = shape_of(read_parquet([wanted[0][0]], 1))
    return ImageSet(
        sum(count for _, count in wanted),
        shape,
        lambda: (read_parquet([file], count) for file, count in wanted),
    )
