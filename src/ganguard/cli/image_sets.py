"""What `ganguard measure` takes for a set of images."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from ganguard.base.compute import Compute
    from ganguard.base.progress import Progress


def images_of(text: str, samples: int, size: int | None, compute: "Compute", progress: "Progress", seed: int) -> "Tensor":
    """At most `samples` images (N, C, H, W) uint8 of a data set, folder, harvest or checkpoint. Raises InputError."""
    from ganguard.architectures.checkpoint import DESCRIPTION
    from ganguard.cli.options import dataset_of
    from ganguard.data.dataset import load_dataset
    from ganguard.data.parquet import read_parquet
    from ganguard.queries.store import shards_of
    from ganguard.targets.checkpoint import CheckpointTarget

    path = Path(text)
    if (path / DESCRIPTION).is_file():
        return CheckpointTarget(checkpoint=text).load(compute).sample(range(samples), seed=seed)
    if shards := shards_of(path):
        return read_parquet([file for _, _, file in shards], samples)
    size = size if path.is_dir() else None  # --size is for the folders among both sets
    return load_dataset(dataset_of(text, size), progress).images[:samples]
