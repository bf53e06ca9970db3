"""The sets of images that `ganguard measure` compares, by what names them."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganguard.base.compute import Compute
    from ganguard.base.progress import Progress
    from ganguard.comparison.foreign import Foreign
    from ganguard.comparison.image_sets import ImageSet
    from ganguard.data.dataset import DatasetSettings
    from ganguard.data.npz import NpzImages
    from ganguard.targets.load import TargetSettings


def image_set(
    text: str,
    samples: int,
    size: str | None,
    compute: "Compute",
    progress: "Progress",
    seed: int,
    given: "TargetSettings | None" = None,
) -> "ImageSet":
    """Return at most `samples` images of a data set, folder, NumPy archive, harvest or target.

    A target's images are made, and a harvest's and an archive's are read, a part at a time.

    Args:
        text: names the set: the directory of a checkpoint or harvest, an .npz file, or a data set as for
            `dataset_of`.
        samples: the most images to take.
        size: side in pixels, or WIDTHxHEIGHT, of data that can have any size; the others keep their own.
        compute: where a target runs.
        progress: told how far reading is.
        seed: of the images that a target is asked for.
        given: the target that the text names, if it names one; see `given_targets`.

    Raises:
        InputError: if the text names no such set, or it cannot be read.
    """
    from ganguard.cli.harvest_sets import of_harvest
    from ganguard.cli.options import dataset_of, is_mapping
    from ganguard.cli.target_sets import of_target
    from ganguard.data.npz import NpzImages, opened_npz
    from ganguard.queries.store import shards_of
    from ganguard.targets.checkpoint import CheckpointTarget
    from ganguard.targets.images import ImagesTarget

    if isinstance(given, ImagesTarget):  # the images themselves, each once
        return _of_dataset(given.images, samples, progress)
    if given is not None:
        return of_target(given, samples, compute, seed)
    if not is_mapping(text):
        if _is_checkpoint(text):
            return of_target(CheckpointTarget(checkpoint=text), samples, compute, seed)
        if shards := shards_of(Path(text)):
            return of_harvest(Path(text), shards, samples)
        if is_npz(text) and isinstance(found := opened_npz(Path(text)), NpzImages):
            return _of_archive(found, samples)
    settings = dataset_of(text, size if takes_size(text) else None)
    return _of_dataset(settings, samples, progress)


def compared_set(
    text: str,
    samples: int,
    size: str | None,
    compute: "Compute",
    progress: "Progress",
    seed: int,
    given: "TargetSettings | None" = None,
) -> "ImageSet | Foreign":
    """Return what a text names: images as `image_set` does, or the statistics that an .npz file holds."""
    from ganguard.comparison.foreign import Foreign
    from ganguard.data.npz import NpzMoments, opened_npz

    if is_npz(text) and isinstance(found := opened_npz(Path(text)), NpzMoments):
        return Foreign.of(text, found)
    return image_set(text, samples, size, compute, progress, seed, given)


def takes_size(text: str) -> bool:
    """Return whether a set can have images of any size, as a folder can, and data that is cut to size.

    A mapping cannot: it says its size itself. Raises InputError if there is no such set.
    """
    from ganguard.cli.options import dataset_of, is_mapping, names_target
    from ganguard.queries.store import list_shards

    if is_mapping(text) or names_target(text):
        return False
    if _is_checkpoint(text) or is_npz(text) or list_shards(Path(text)):
        return False
    return "size" in type(dataset_of(text, None)).model_fields


def is_npz(text: str) -> bool:
    """Return whether a text is the path of a NumPy archive."""
    return text.lower().endswith(".npz") and Path(text).is_file()


def _is_checkpoint(text: str) -> bool:
    from ganguard.architectures.checkpoint import DESCRIPTION

    return (Path(text) / DESCRIPTION).is_file()


def _of_dataset(settings: "DatasetSettings", samples: int, progress: "Progress") -> "ImageSet":
    from ganguard.base.images import shape_of
    from ganguard.cli.options import load_and_say
    from ganguard.comparison.image_sets import ImageSet, Origin, at_once
    from ganguard.comparison.pairing import Whole, chosen

    real = load_and_say(settings, progress)
    images, shape = real.images, shape_of(real.images)
    whole = Whole(
        "place" if real.names is None else "name",
        len(images),
        lambda rows: (images[part] for part in rows.split(at_once(shape))),
        real.names or (),
    )
    rows = chosen(whole, min(samples, whole.count))
    origin = Origin(
        settings.kind,
        getattr(settings, "size", None),
        getattr(settings, "crop", None),
        real.stray,
        real.skipped.count if real.skipped else 0,
        real.made_rgb,
        orient=getattr(settings, "orient", None),
    )
    return ImageSet(len(rows), shape, lambda: whole.read(rows), whole, origin, real.labels_of(rows))


def _of_archive(archive: "NpzImages", samples: int) -> "ImageSet":
    from ganguard.comparison.image_sets import ImageSet, Origin
    from ganguard.comparison.pairing import Whole, chosen

    whole = Whole("place", archive.count, archive.read)
    rows = chosen(whole, min(samples, archive.count))
    return ImageSet(len(rows), archive.shape, lambda: archive.read(rows), whole, Origin("npz"))
