"""The real images that a known step chose, written and read back."""

import json
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from ganguard.base.cache import write_json, write_tensors
from ganguard.base.labels import Labels, labelled_digest

_FILE, _CLASSES = "known.safetensors", "classes.json"


def write_known(directory: Path, own: Tensor, judged: Tensor, labels: Labels | None = None) -> str:
    """Write the chosen images, and the classes of those to train with, and return their digest."""
    tensors = {"own": own, "judged": judged}
    if labels is not None:
        tensors["labels"] = labels.numbers
        write_json(directory / _CLASSES, labels.names)
    write_tensors(directory / _FILE, tensors)
    return labelled_digest(tensors, classes=labels.names if labels else ())


def read_known(directory: Path) -> tuple[Tensor, Tensor]:
    """Return the chosen images, (m, C, H, W) uint8: those to train with, and those held out for the judge."""
    tensors = load_file(directory / _FILE)
    return tensors["own"], tensors["judged"]


def read_known_labels(directory: Path) -> Labels | None:
    """Return the classes of the images to train with; None if the data set has none."""
    numbers = load_file(directory / _FILE).get("labels")
    return None if numbers is None else Labels(numbers, tuple(json.loads((directory / _CLASSES).read_text())))
