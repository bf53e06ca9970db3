"""Decode the real images once, and split them."""

from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from ganguard.audit.plan.ground_work import NoInputs, RealSettings
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.base.cache import write_json, write_tensors
from ganguard.base.grids import TILES, save_grid
from ganguard.base.labels import Labels, labelled_digest
from ganguard.base.settings import NonNegative, Settings, read_json
from ganguard.data.dataset import Skipped, load_dataset
from ganguard.data.splits import split
from ganguard.results.skipped import write_skipped

_IMAGES, _COUNTS = "real.safetensors", "counts.json"


@dataclass(frozen=True)
class Real:
    """Real images and their splits.

    Attributes:
        images: (N, C, H, W) uint8.
        labels: (N,), or None.
        train, reference: indices of the images of the two splits.
        groups: (N,) group of each image, or None; images of one group are in one split.
        classes: names of the classes, by their labels.
    """

    images: Tensor
    labels: Tensor | None
    train: Tensor
    reference: Tensor
    groups: Tensor | None = None
    classes: tuple[str, ...] = ()

    def labels_of(self, rows: Tensor) -> Labels | None:
        """Return the classes of the images `rows`; None if the data set has no classes."""
        return None if self.labels is None else Labels(self.labels[rows], self.classes)


class SplitCounts(Settings):
    """The content of counts.json: how many images each split holds, and the names of the classes."""

    train: NonNegative
    reference: NonNegative
    classes: tuple[str, ...] = ()


def run_real(call: StepCall[RealSettings, NoInputs[Path]]) -> Digests:
    """Decode the real images, split them, and write both."""
    real = load_dataset(call.settings.dataset, call.progress)
    splits = split(real)
    tensors = {"images": real.images, "train": splits.train, "reference": splits.reference}
    optional = {"labels": real.labels, "groups": real.groups}
    tensors |= {name: part for name, part in optional.items() if part is not None}
    write_tensors(call.directory / _IMAGES, tensors)
    counts = SplitCounts(train=len(splits.train), reference=len(splits.reference), classes=real.classes)
    write_json(call.directory / _COUNTS, counts.model_dump())
    save_grid(real.images[splits.train[:TILES]], call.directory)
    bad = real.skipped or Skipped(0, ())
    write_skipped(
        call.directory,
        bad.count,
        bad.listed,
        stray=real.stray,
        made_rgb=real.made_rgb,
        decided=real.decided,
    )
    return {"result": labelled_digest(tensors, classes=() if real.labels is None else real.classes)}


def load_real(directory: Path) -> Real:
    """Read the images and splits of a real step."""
    tensors = load_file(directory / _IMAGES)
    return Real(
        tensors["images"],
        tensors.get("labels"),
        tensors["train"],
        tensors["reference"],
        tensors.get("groups"),
        count_real(directory).classes if "labels" in tensors else (),
    )


def count_real(directory: Path) -> SplitCounts:
    """Read how many images each split of a real step holds. The images are not read."""
    return SplitCounts.model_validate(read_json(directory / _COUNTS))


REAL = Kind(
    run_real, code=("ganguard.base", "ganguard.data", "ganguard.results.skipped", "ganguard.audit.steps.real")
)
