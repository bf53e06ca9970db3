"""The real images that a known step chose, written and read back."""

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from ganguard.base.cache import tensor_digest, write_tensors

_FILE = "known.safetensors"


def write_known(directory: Path, own: Tensor, judged: Tensor) -> str:
    """Write the chosen images, and return their digest."""
    images = {"own": own, "judged": judged}
    write_tensors(directory / _FILE, images)
    return tensor_digest(images)


def read_known(directory: Path) -> tuple[Tensor, Tensor]:
    """Return the chosen images, (m, C, H, W) uint8: those to train with, and those held out for the judge."""
    tensors = load_file(directory / _FILE)
    return tensors["own"], tensors["judged"]
