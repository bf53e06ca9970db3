"""The shards of a store, checked against what their names say: digests, ranges, indices and seeds."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ganguard.base.settings import one_line
from ganguard.data.parquet import read_shard
from ganguard.queries.store import list_shards


@dataclass(frozen=True)
class ShardProblem:
    """A shard that a store refuses.

    Attributes:
        file: the shard.
        what: what is wrong with it, without a full stop.
        remedy: what to do.
    """

    file: Path
    what: str
    remedy: str


@dataclass(frozen=True)
class ShardsCheck:
    """What the shards of a store hold, and what is wrong with them.

    Attributes:
        images: how many images their names say that they hold.
        seeds: every seed that the rows of a whole shard name.
        gaps: ranges of the image index before the last shard that no shard holds.
        problems: shards that are damaged, or that hold an image that another holds too.
    """

    images: int
    seeds: frozenset[int]
    gaps: tuple[range, ...]
    problems: tuple[ShardProblem, ...]


_REMOVE = "Remove it and run the same command again: its images are asked for again, which counts once."


def check_shards(directory: Path) -> ShardsCheck:
    """Check every shard below a store's directory. The store's description need not be there."""
    shards = list_shards(directory)
    gaps, problems = list[range](), list[ShardProblem]()
    for (_, held, file), (start, _, other) in pairwise([(0, 0, directory), *shards]):
        if start > held:
            gaps.append(range(held, start))
        elif start < held:
            remedy = f"Keep the one that belongs here, {file.name} or this, and remove the other."
            problems.append(ShardProblem(other, f"image {start} lies in two shards", remedy))
    seeds = set[int]()
    for start, stop, file in shards:
        named, what = _check_shard(file, start, stop)
        seeds |= named
        if what:
            problems.append(ShardProblem(file, what, _REMOVE))
    images = sum(stop - start for start, stop, _ in shards)
    return ShardsCheck(images, frozenset(seeds), tuple(gaps), tuple(problems))


def _check_shard(file: Path, start: int, stop: int) -> tuple[set[int], str]:
    """Return the seeds that the rows of a shard name, and what is wrong with it, "" if nothing is."""
    try:
        source, whole = read_shard(file)
        if not whole:
            return set(), "damaged: its bytes are not those that were stored"
        with pq.ParquetFile(source, page_checksum_verification=True) as opened:
            seeds = _seeds_of_rows(opened, start, stop)
    except (OSError, pa.ArrowException, KeyError) as problem:
        return set(), f"not a shard that can be read ({one_line(problem, 120)})"
    return (set(), f"its rows are not images {start} to {stop - 1}") if seeds is None else (seeds, "")


def _seeds_of_rows(opened: pq.ParquetFile, start: int, stop: int) -> set[int] | None:
    """Return the seeds that the rows name, or None if the rows are not the images start ... stop - 1."""
    if opened.metadata.num_rows != stop - start:
        return None
    seeds, held = set[int](), start
    for batch in opened.iter_batches(columns=["index", "seed"]):
        if batch["index"].to_pylist() != list(range(held, held + len(batch))):
            return None
        seeds.update(batch["seed"].to_pylist())
        held += len(batch)
    return seeds
