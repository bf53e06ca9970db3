"""What a harvest does about damage: it buys nothing unasked and nothing twice, and removes what killed
processes left."""

import fcntl
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import chain, combinations
from pathlib import Path

import pytest
import torch

from ganguard.base.cache import TEMPORARY
from ganguard.base.errors import BudgetError, DataError
from ganguard.queries import harvest as harvest_module
from ganguard.queries.harvest import harvest
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store

Ramp = Callable[..., object]
STAGES = [3, 5, 8, 20]  # images wanted, one after another: five shards in three cells of eight


@pytest.fixture(autouse=True)
def small_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harvest_module, "SHARD", 8)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.open_account("us", STAGES[-1])
        yield ledger


def _bought(tmp_path: Path, ramp: Ramp, ledger: Ledger, codes: str = "provider") -> tuple[object, Store]:
    """A target, and a store that was filled in stages."""
    target = meter(ramp(latent=codes == "client"), ledger, "us")
    store = Store(tmp_path / "store", "ramp", "us", 5, codes)
    for count in STAGES:
        harvest(target, store, count)
    return target, store


def _some(count: int) -> list[tuple[int, ...]]:
    return list(chain.from_iterable(combinations(range(count), size) for size in range(1, count + 1)))


@pytest.mark.parametrize("codes", ["provider", "client"])
def test_whatever_shards_are_removed_their_images_come_again_and_count_once(
    tmp_path: Path, ramp: Ramp, ledger: Ledger, codes: str
) -> None:
    target, store = _bought(tmp_path, ramp, ledger, codes)
    whole, files = store.read(20), [file for _, _, file in store.shards()]
    assert len(files) == 5
    for gone in _some(len(files)):
        for number in gone:
            files[number].unlink()
        assert torch.equal(harvest(target, store, 20), whole)
        assert [file for _, _, file in store.shards()] == files
        assert ledger.balance("us").reserved == ledger.balance("us").delivered == 20


def test_a_smaller_count_after_a_loss_asks_for_what_was_asked_for(
    tmp_path: Path, ramp: Ramp, ledger: Ledger
) -> None:
    target, store = _bought(tmp_path, ramp, ledger)
    for _, _, file in store.shards():
        file.unlink()
    for count in (1, 4, 6, 11, 20):
        assert torch.equal(harvest(target, store, count), ramp().sample(range(count), seed=5))
    assert ledger.balance("us").reserved == 20


def test_a_damaged_shard_is_not_bought_again_unasked(tmp_path: Path, ramp: Ramp, ledger: Ledger) -> None:
    _, store = _bought(tmp_path, ramp, ledger)
    whole, damaged = store.read(20), store.shards()[1][2]
    damaged.write_bytes(damaged.read_bytes()[:-1])
    inner = ramp()
    for _ in range(2):
        with pytest.raises(DataError, match=rf"{damaged.name}: damaged"):
            harvest(meter(inner, ledger, "us"), store, 20)
    assert inner.asked == []
    damaged.unlink()
    assert torch.equal(harvest(meter(inner, ledger, "us"), store, 20), whole)
    assert inner.asked == [range(3, 5)]


def test_shards_from_elsewhere_are_refused_before_anything_is_bought(
    tmp_path: Path, ramp: Ramp, ledger: Ledger
) -> None:
    _, store = _bought(tmp_path, ramp, ledger)
    store.write(4, ramp().sample(range(4, 6), seed=5), None)
    inner = ramp()
    with pytest.raises(DataError, match="image 4 lies in two shards"):
        harvest(inner, store, 30)
    assert inner.asked == []


def test_a_request_that_was_noted_and_never_paid_does_not_stand_in_the_way(
    tmp_path: Path, ramp: Ramp, ledger: Ledger
) -> None:
    """A process was killed between its note and its reservation; less is wanted now than it wanted, and can
    be paid."""
    ledger.open_account("us", 3)
    target, store = meter(ramp(), ledger, "us"), Store(tmp_path / "store", "ramp", "us", 5)
    store.create()
    (store.directory / "requests").mkdir()
    (store.directory / "requests" / "0000000000").write_text("0:8\n")
    assert len(harvest(target, store, 3)) == 3
    with pytest.raises(BudgetError, match="may buy 0 more"):
        harvest(target, store, 8)
    assert ledger.balance("us").reserved == 3


@pytest.mark.parametrize("note", [b"", b"\xff\xfe", b"0:0", b"a:b\n\n3:", b"9:2"])
def test_a_damaged_note_only_costs_what_it_knew(
    tmp_path: Path, ramp: Ramp, ledger: Ledger, note: bytes
) -> None:
    target, store = _bought(tmp_path, ramp, ledger)
    (store.directory / "requests" / "0000000000").write_bytes(note)
    store.shards()[0][2].unlink()
    assert len(harvest(target, store, 20)) == 20
    assert ledger.balance("us").reserved == 20


def _leave(store: Store, *names: str) -> list[Path]:
    paths = [store.directory / f"{name}.x{TEMPORARY}" for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def test_what_the_killed_left_is_removed_and_what_the_living_write_is_not(tmp_path: Path, ramp: Ramp) -> None:
    store = Store(tmp_path / "store", "ramp", "us", 5)
    left = _leave(store, ".store.json", "data/.0000000000-8", "data/.0000000002-8", "requests/.0000000000")
    living = _leave(store, "data/.0000000008-16", "data/.0000000015-16", "requests/.0000000008")
    (store.directory / "locks").mkdir()
    with (store.directory / "locks" / "0000000008").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        harvest(ramp(), store, 8)
        assert not any(path.exists() for path in left)
        assert all(path.exists() for path in living)
    harvest(ramp(), store, 16)
    assert list(tmp_path.rglob(f"*{TEMPORARY}")) == []


KILLED_AT_EVERY_SYNC = """
import os, signal, sys
from pathlib import Path
import torch
from ganguard.queries import harvest as module
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store

module.SHARD, folder = 8, Path(sys.argv[1])


class Target:
    identity, image_shape = "here", (1, 4, 4)

    def sample(self, indices, *, seed):
        numbers = torch.tensor(list(indices), dtype=torch.uint8)
        return numbers.view(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous()


def buy(place, moment):
    syncs = 0

    def sync(descriptor, sync=os.fsync):
        nonlocal syncs
        syncs += 1
        if syncs == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        sync(descriptor)

    os.fsync = sync
    ledger = Ledger(place / "ledger.sqlite")
    ledger.ensure_account("us", 8)
    images = module.harvest(meter(Target(), ledger, "us"), Store(place / "store", "here", "us", 0), 8)
    os._exit(0 if images[:, 0, 0, 0].tolist() == list(range(8)) and ledger.balance("us").reserved == 8 else 3)


def ended(place, moment):
    child = os.fork()
    if child == 0:
        buy(place, moment)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


moment, code = 0, None
while code != 0:
    moment += 1
    place = folder / str(moment)
    code = ended(place, moment)
    assert code in (0, -signal.SIGKILL), code
    assert ended(place, 0) == 0, moment
print(moment)
"""


def test_killed_at_any_sync_a_harvest_goes_on_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED_AT_EVERY_SYNC, str(tmp_path)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    assert int(ended.stdout) > 2 * 3  # store.json, a note and a shard, each synced with its directory
    assert list(tmp_path.rglob(f"*{TEMPORARY}")) == []
