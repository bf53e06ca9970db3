"""Decode the real images once, and split them."""

from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from ganguard.audit.steps.call import Digests, StepCall
from ganguard.base.cache import tensor_digest, write_tensors
from ganguard.base.grids import TILES, save_grid
from ganguard.data.dataset import load_dataset, parse_dataset
from ganguard.data.splits import split
from ganguard.results.skipped import write_skipped


@dataclass(frozen=True)
class Real:
    """The real step's output: images (N, C, H, W) uint8, labels (N,) or None, row indices of the two splits,
    groups (N,) or None."""

    images: Tensor
    labels: Tensor | None
    train: Tensor
    reference: Tensor
    groups: Tensor | None = None


def run_real(call: StepCall) -> Digests:
    """Decode the real images once, and split them."""
    settings = {key: value for key, value in call.settings.items() if key != "fingerprint"}
    real = load_dataset(parse_dataset(settings), call.progress)
    splits = split(real)
    tensors = {"images": real.images, "train": splits.train, "reference": splits.reference}
    tensors |= {
        name: part for name, part in (("labels", real.labels), ("groups", real.groups)) if part is not None
    }
    write_tensors(call.directory / "real.safetensors", tensors)
    save_grid(real.images[splits.train[:TILES]], call.directory)
    if real.skipped:
        write_skipped(call.directory, real.skipped.count, real.skipped.listed)
    return {"result": tensor_digest(tensors)}


def load_real(directory: Path) -> Real:
    """Read a real step's output."""
    tensors = load_file(directory / "real.safetensors")
    return Real(
        tensors["images"],
        tensors.get("labels"),
        tensors["train"],
        tensors["reference"],
        tensors.get("groups"),
    )
