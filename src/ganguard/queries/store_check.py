"""A store, checked against itself: its description, and its shards against what their names say."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ganguard.base.errors import DataError
from ganguard.base.findings import Findings
from ganguard.base.settings import one_line
from ganguard.data.parquet import read_shard
from ganguard.queries.store import DESCRIPTION, Store, list_shards

COUNTS_ONCE = "asked for again when they are wanted, which counts once."
_REMOVE = "Remove it and run the same command again: its images are asked for again, which counts once."


def check_store(
    directory: Path, found: Findings, belongs: Callable[[Store], bool] = lambda store: True
) -> dict[Store, int]:
    """Check a store's description and shards.

    Args:
        directory: where the store lies.
        found: gets what is found.
        belongs: whether the store that the description tells of may lie there.

    Returns:
        How many images the store's shards hold; nothing if its description cannot be relied on.
    """
    path = directory / DESCRIPTION
    if not path.exists():
        begun = "a purchase that was begun, without an image"
        what = "nothing says whose images these are" if list_shards(directory) else begun
        advice = "The next run that wants images from here writes store.json again."
        found.add("note", what, directory, advice)
        return {}
    before = len(found)
    images, seeds = check_shards(directory, found)
    whole = all(finding.severity != "wrong" for finding in found[before:])
    what = "damaged, or of another purchase: it says whose images these are"
    advice = "Remove it: the next run that wants images from here writes it again."
    with found.unless(DataError, what, path, advice):
        store = Store.open(directory)
        if not seeds <= {store.seed} or not belongs(store):
            raise DataError(what)
        if whole:
            found.add("ok", f"{images:,} images, bought by {store.account}", directory)
        return {store: images}
    return {}


def check_shards(directory: Path, found: Findings) -> tuple[int, set[int]]:
    """Check every shard below a store's directory. The store's description need not be there.

    Returns:
        How many images the names of the shards say that they hold, and every seed that the rows of a whole
        shard name.
    """
    shards = list_shards(directory)
    for (_, held, file), (start, _, other) in pairwise([(0, 0, directory), *shards]):
        if start > held:
            what = f"images {held} to {start - 1} are absent"
            found.add("note", what, directory, f"They are {COUNTS_ONCE}")
        elif start < held:
            advice = f"Keep the one that belongs here, {file.name} or this, and remove the other."
            found.add("wrong", f"image {start} lies in two shards", other, advice)
    seeds = set[int]()
    for start, stop, file in shards:
        with found.unless(DataError, "{problem}", file, _REMOVE):
            seeds |= _seeds_in(file, start, stop)
    return sum(stop - start for start, stop, _ in shards), seeds


def _seeds_in(file: Path, start: int, stop: int) -> set[int]:
    """Return the seeds that the rows of a shard name.

    Raises DataError, with what is wrong, if they are not the images start ... stop - 1 as they were stored.
    """
    seeds, held = set[int](), start
    try:
        source, whole = read_shard(file)
        if not whole:
            raise DataError("damaged: its bytes are not those that were stored")
        with pq.ParquetFile(source, page_checksum_verification=True) as opened:
            fits = opened.metadata.num_rows == stop - start
            for batch in opened.iter_batches(columns=["index", "seed"]) if fits else ():
                fits = fits and batch["index"].to_pylist() == list(range(held, held + len(batch)))
                seeds.update(batch["seed"].to_pylist())
                held += len(batch)
    except (OSError, pa.ArrowException, KeyError) as problem:
        raise DataError(f"not a shard that can be read ({one_line(problem, 120)})") from None
    if not fits:
        raise DataError(f"its rows are not images {start} to {stop - 1}")
    return seeds
