"""What is found in the shards of a store, whether or not its description is there."""

from pathlib import Path

import pytest
import torch

from ganguard.base.findings import Findings
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
    found = Findings()
    assert check_shards(store.directory, found) == (6, {7})
    assert found == []


def test_an_empty_store(tmp_path: Path) -> None:
    found = Findings()
    assert check_shards(tmp_path, found) == (0, set())
    assert found == []


def test_gaps(store: Store) -> None:
    store.shards()[0][2].unlink()
    _write(store, 8)
    found = Findings()
    assert check_shards(store.directory, found)[0] == 6
    assert [(finding.severity, finding.what) for finding in found] == [
        ("note", "images 0 to 2 are absent"),
        ("note", "images 6 to 7 are absent"),
    ]


def test_two_shards_with_one_image(store: Store) -> None:
    first, other = store.shards()[0][2], _write(store, 2, shade=9)
    found = Findings()
    check_shards(store.directory, found)
    assert (found[0].severity, found[0].where) == ("wrong", other)
    assert found[0].what == "image 2 lies in two shards"
    assert first.name in found[0].advice


def test_a_shard_that_is_not_as_it_was_stored(store: Store) -> None:
    file = store.shards()[1][2]
    file.write_bytes(file.read_bytes()[:-1])
    found = Findings()
    assert check_shards(store.directory, found) == (6, {7})
    assert [(finding.severity, finding.where, finding.what) for finding in found] == [
        ("wrong", file, "damaged: its bytes are not those that were stored")
    ]


@pytest.mark.parametrize("name", ["0000000003-0000000005", "0000000003-0000000007", f"0-{10**30}"])
def test_a_shard_of_other_images_than_its_name_says(store: Store, name: str) -> None:
    file = store.shards()[1][2]
    renamed = file.rename(file.with_name(f"{name}-{file.stem[-16:]}.parquet"))
    found = Findings()
    check_shards(store.directory, found)
    what = {finding.where: finding.what for finding in found}[renamed]
    assert what.startswith("its rows are not images ")


def test_the_seeds_of_all_rows_are_told(store: Store) -> None:
    other = Store(store.directory, "ramp", "us", 8)
    _write(other, 6)
    assert check_shards(store.directory, Findings())[1] == {7, 8}
