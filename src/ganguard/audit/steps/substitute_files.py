"""Write and read the files of a step that gives a copy: its queries, and how its images are drawn."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ganguard.audit.steps.drawn import Drawn, drawn
from ganguard.base.cache import write_json
from ganguard.base.compute import Compute
from ganguard.base.seeds import derived_seed
from ganguard.base.settings import NonNegative, Settings, read_json
from ganguard.queries.store import DESCRIPTION, Store
from ganguard.targets.ask import Ask
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


def draws_of(
    directory: Path, samples: int, compute: Compute, ask: Ask, *, seed: int
) -> Callable[[int], Drawn]:
    """Return the function from a draw to `samples` images of the copy of a step.

    Images of a found copy were drawn before: each draw takes the next of them.
    """
    if (directory / DESCRIPTION).is_file():
        return partial(_found, Store.open(directory), samples)
    copy = CheckpointTarget(checkpoint=str(directory / "checkpoint")).load(compute)
    return lambda draw: drawn(copy, range(samples), ask, seed=derived_seed(seed, "measured", str(draw)))


def _found(store: Store, samples: int, draw: int) -> Drawn:
    first, stop = draw * samples, (draw + 1) * samples
    asked = store.asked(stop)
    names = None if asked is None else asked[first:]
    return Drawn.of_names(store.read(stop)[first:], names)
