"""Files that are far larger than anything that is read of them: each is refused, or taken for damaged, in
little memory."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from ganguard.audit.engine.cache import read_step
from ganguard.audit.outcome.directory import read_assembled, take
from ganguard.audit.spec.reading import read_spec
from ganguard.base.errors import DataError, SpecError
from ganguard.base.findings import Findings
from ganguard.base.settings import TooLarge, read_bounded
from ganguard.data import parquet
from ganguard.data.parquet import read_parquet, shard_name
from ganguard.queries.store import Store
from ganguard.queries.store_check import check_store

HUGE, MOST = 300 << 20, 64 << 20  # bytes: of the file, and of memory
SHARD = shard_name(0, 10, b"other bytes")


def huge(path: Path) -> Path:
    """A file of nothing but zeros, which take no room on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(HUGE)
    return path


def refused(error: type[Exception], said: str, call: Callable[[], object]) -> None:
    with pytest.raises(error, match=said):
        call()


def doctored(directory: Path) -> None:
    findings = Findings()
    assert check_store(directory, findings) == {}
    assert all(finding.severity == "wrong" for finding in findings)


DOORS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "spec": (
        "a.yaml",
        lambda d: refused(SpecError, "bytes; at most 100,000", lambda: read_spec(str(d / "a.yaml"), [])),
    ),
    "store": (
        "store.json",
        lambda d: refused(DataError, "not the description", Store(d, "t", "a", 0).create),
    ),
    "shard": (SHARD, lambda d: refused(DataError, "damaged: its SHA-256", lambda: read_parquet([d / SHARD]))),
    "owner": (
        "audit.json",
        lambda d: refused(SpecError, "not what an audit writes", lambda: take(d, "mine")),
    ),
    "assembled": (".assembled", lambda d: refused(AssertionError, "None", lambda: _none(read_assembled(d)))),
    "step": (
        "step.json",
        lambda d: refused(ValueError, "larger than 16,777,216 bytes", lambda: read_step(d)),
    ),
    "doctored store": ("store.json", doctored),
}


def _none(value: object) -> None:
    if value is None:
        raise AssertionError("None")


@pytest.mark.parametrize("door", DOORS)
def test_a_huge_file_costs_little_memory(tmp_path: Path, door: str) -> None:
    name, look = DOORS[door]
    huge(tmp_path / name)
    tracemalloc.start()
    try:
        look(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()


def test_a_huge_shard_of_a_store_costs_the_doctor_little_memory(tmp_path: Path) -> None:
    Store(tmp_path, "t", "a", 0).create()
    huge(tmp_path / "data" / SHARD)
    tracemalloc.start()
    try:
        check_store(tmp_path, found := Findings())
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()
    assert found[0].what == "damaged: its bytes are not those that were stored"


def test_a_large_shard_is_read_as_a_small_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    store, images = Store(tmp_path, "t", "a", 0), torch.arange(40, dtype=torch.uint8).view(10, 1, 2, 2)
    store.create()
    file = store.write(0, images, None)
    monkeypatch.setattr(parquet, "MOST_HELD", 10)
    assert torch.equal(store.read(10), images)
    check_store(tmp_path, found := Findings())
    assert found[0].severity == "ok"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match="damaged: its SHA-256"):
        store.read(10)


def test_a_file_that_grows_while_it_is_read_is_bounded_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(bytes(11))
    assert read_bounded(tmp_path / "a", 11) == bytes(11)
    with pytest.raises(TooLarge, match="larger than 10 bytes"):
        read_bounded(tmp_path / "a", 10)
    with pytest.raises(TooLarge):
        read_bounded(Path("/dev/zero"), 10)
