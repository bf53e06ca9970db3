"""Write and read the files of a step that gives a copy: its queries, and how its images are drawn."""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from ganguard.base.cache import write_json
from ganguard.base.compute import Compute
from ganguard.base.seeds import derived_seed
from ganguard.base.settings import NonNegative, Settings, read_json
from ganguard.queries.store import DESCRIPTION, Store
from ganguard.targets.checkpoint import CheckpointTarget

_FILE = "substitute.json"


class SubstituteFile(Settings):
    """The content of substitute.json: how many queries the copy was made from."""

    queries: NonNegative


def write_queries(directory: Path, queries: int) -> None:
    """Write how many queries the copy of a step was made from."""
    write_json(directory / _FILE, SubstituteFile(queries=queries).model_dump())


def queries_of(directory: Path) -> int:
    """Return how many queries the copy of a step was made from."""
    return SubstituteFile.model_validate(read_json(directory / _FILE)).queries


def draws_of(directory: Path, samples: int, compute: Compute, *, seed: int) -> Callable[[int], Tensor]:
    """Return the function from a draw to images (samples, C, H, W) uint8 of the copy of a step.

    Images of a found copy were drawn before: each draw takes the next of them.
    """
    if (directory / DESCRIPTION).is_file():
        found = Store.open(directory)
        return lambda draw: found.read((draw + 1) * samples)[draw * samples :]
    copy = CheckpointTarget(checkpoint=str(directory / "checkpoint")).load(compute)
    return lambda draw: copy.sample(range(samples), seed=derived_seed(seed, "measured", str(draw)))
