"""What is found in the shards of a store, whether or not its description is there."""

from pathlib import Path

import pytest
import torch

from ganguard.queries.store import Store
from ganguard.queries.store_check import check_shards


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two shards, of the images 0 to 2 and 3 to 5."""
    store = Store(tmp_path / "store", "ramp", "us", 7)
    for start in (0, 3):
        _write(store, start)
    return store


def _write(store: Store, start: int, shade: int = 0) -> Path:
    return store.write(start, torch.full((3, 1, 2, 2), shade, dtype=torch.uint8), None)


def test_sound_shards(store: Store) -> None:
    found = check_shards(store.directory)
    assert (found.images, found.seeds, found.gaps, found.problems) == (6, {7}, (), ())


def test_an_empty_store(tmp_path: Path) -> None:
    found = check_shards(tmp_path)
    assert (found.images, found.seeds, found.gaps, found.problems) == (0, frozenset(), (), ())


def test_gaps(store: Store) -> None:
    store.shards()[0][2].unlink()
    _write(store, 8)
    found = check_shards(store.directory)
    assert (found.images, found.gaps, found.problems) == (6, (range(3), range(6, 8)), ())


def test_two_shards_with_one_image(store: Store) -> None:
    first, other = store.shards()[0][2], _write(store, 2, shade=9)
    (problem, *_) = check_shards(store.directory).problems
    assert (problem.file, problem.what) == (other, "image 2 lies in two shards")
    assert first.name in problem.remedy


def test_a_shard_that_is_not_as_it_was_stored(store: Store) -> None:
    file = store.shards()[1][2]
    file.write_bytes(file.read_bytes()[:-1])
    found = check_shards(store.directory)
    assert [(problem.file, problem.what) for problem in found.problems] == [
        (file, "damaged: its bytes are not those that were stored")
    ]
    assert (found.images, found.seeds) == (6, {7})


@pytest.mark.parametrize("name", ["0000000003-0000000005", "0000000003-0000000007", f"0-{10**30}"])
def test_a_shard_of_other_images_than_its_name_says(store: Store, name: str) -> None:
    file = store.shards()[1][2]
    renamed = file.rename(file.with_name(f"{name}-{file.stem[-16:]}.parquet"))
    found = check_shards(store.directory)
    what = {problem.file: problem.what for problem in found.problems}[renamed]
    assert what.startswith("its rows are not images ")


def test_the_seeds_of_all_rows_are_told(store: Store) -> None:
    other = Store(store.directory, "ramp", "us", 8)
    _write(other, 6)
    assert check_shards(store.directory).seeds == {7, 8}
