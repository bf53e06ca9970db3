import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from ganguard.base.errors import BudgetError, DataError, TargetError
from ganguard.queries import harvest as harvest_module
from ganguard.queries.harvest import harvest
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store

Ramp = Callable[..., object]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harvest_module, "SHARD", 8)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.open_account("us", 100)
    yield ledger
    ledger.close()


def _store(tmp_path: Path, target: str = "ramp", **values: object) -> Store:
    return Store(tmp_path / "store", target, "us", 5, **values)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 24, 30])
def test_a_harvest_is_what_the_target_gives(tmp_path: Path, ramp: Ramp, count: int) -> None:
    assert torch.equal(harvest(ramp(), _store(tmp_path), count), ramp().sample(range(count), seed=5))


def test_the_clients_codes_are_sent_and_kept(tmp_path: Path, ramp: Ramp) -> None:
    store = _store(tmp_path, codes="client")
    images = harvest(ramp(latent=True), store, 10)
    assert torch.equal(images, ramp().sample(range(10), seed=5))
    import pyarrow.parquet as pq

    latents = [row for _, _, file in store.shards() for row in pq.read_table(file)["latent"].to_pylist()]
    assert latents == ramp(latent=True).draw_latents(range(10), seed=5).tolist()


def test_a_target_without_codes_is_refused_before_anything_is_written(tmp_path: Path, ramp: Ramp) -> None:
    with pytest.raises(TargetError, match="codes: provider"):
        harvest(ramp(), _store(tmp_path, codes="client"), 10)
    assert not (tmp_path / "store").exists()


def test_more_than_memory_holds_is_refused_before_anything_is_bought(tmp_path: Path, ramp: Ramp) -> None:
    inner = ramp()
    with pytest.raises(DataError, match=r"1,000,000,000,000,000 images of 4x4 pixels .* take 16,000,000 GB"):
        harvest(inner, _store(tmp_path), 10**15)
    assert inner.asked == []
    assert not (tmp_path / "store").exists()


def test_what_is_bought_is_not_listed_before(
    tmp_path: Path, ramp: Ramp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million cells take no memory; the first of them fails."""
    monkeypatch.setattr(harvest_module, "SHARD", 2)
    monkeypatch.setattr(harvest_module, "_buy", lambda *_, **__: next(iter(())))
    tracemalloc.start()
    with pytest.raises(StopIteration):
        harvest(ramp(), _store(tmp_path), 2_000_000)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(("less", "more"), [(3, 5), (3, 8), (8, 20), (13, 30), (16, 17)])
def test_a_smaller_purchase_is_a_prefix_and_only_the_rest_is_bought(
    tmp_path: Path, ramp: Ramp, ledger: Ledger, less: int, more: int
) -> None:
    inner = ramp()
    target, store = meter(inner, ledger, "us"), _store(tmp_path)
    first = harvest(target, store, less)
    whole = harvest(target, store, more)
    assert torch.equal(whole[:less], first)
    assert sorted(index for indices in inner.asked for index in indices) == list(range(more))
    assert ledger.balance("us").delivered == ledger.balance("us").reserved == more


def test_a_smaller_purchase_after_a_larger_one_is_free(tmp_path: Path, ramp: Ramp) -> None:
    inner = ramp()
    whole = harvest(inner, _store(tmp_path), 20)
    asked = len(inner.asked)
    assert torch.equal(harvest(inner, _store(tmp_path), 11), whole[:11])
    assert len(inner.asked) == asked


def _crash_on_write(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target: object, count: int) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            harvest(target, _store(tmp_path), count)


def test_a_crash_before_the_shard_is_stored_is_paid_for_once(
    tmp_path: Path, ramp: Ramp, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = meter(ramp(), ledger, "us")
    _crash_on_write(monkeypatch, tmp_path, target, 20)
    assert ledger.balance("us").reserved == 8
    harvest(target, _store(tmp_path), 20)
    assert ledger.balance("us").reserved == 20


def test_a_crash_inside_a_shard_is_paid_for_once_though_more_is_wanted_next(
    tmp_path: Path, ramp: Ramp, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three images are reserved and lost; five are wanted then. The three are asked for again under their own
    id."""
    target = meter(ramp(), ledger, "us")
    _crash_on_write(monkeypatch, tmp_path, target, 3)
    harvest(target, _store(tmp_path), 5)
    assert ledger.balance("us").reserved == 5


def test_what_the_account_can_pay_is_kept_when_it_runs_dry(
    tmp_path: Path, ramp: Ramp, ledger: Ledger
) -> None:
    ledger.open_account("us", 20)
    target = meter(ramp(), ledger, "us")
    with pytest.raises(BudgetError, match="may buy 4 more"):
        harvest(target, _store(tmp_path), 30)
    assert len(_store(tmp_path).read(16)) == 16
    ledger.open_account("us", 30)
    assert len(harvest(target, _store(tmp_path), 30)) == 30
    assert ledger.balance("us").reserved == 30


def test_another_targets_store_is_refused_before_anything_is_bought(tmp_path: Path, ramp: Ramp) -> None:
    harvest(ramp(), _store(tmp_path), 3)
    inner = ramp()
    with pytest.raises(DataError, match="holds another harvest"):
        harvest(inner, _store(tmp_path, target="another"), 3)
    assert inner.asked == []


def test_a_harvest_without_its_meter_still_is_deterministic(tmp_path: Path, ramp: Ramp) -> None:
    calls: list[tuple[int, int]] = []
    harvest(ramp(), _store(tmp_path), 20, lambda done, total, note="": calls.append((done, total)))
    assert calls[-1] == (20, 20)
    assert all(0 <= done <= total == 20 for done, total in calls)


HARVEST = """
import sys, time
from pathlib import Path
import torch
from ganguard.queries import harvest as module
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store

module.SHARD, folder = 8, Path(sys.argv[1])


class Slow:
    identity, image_shape = "slow", (1, 4, 4)

    def sample(self, indices, *, seed):
        with (folder / "asked").open("a") as log:
            log.write(f"{indices.start} {indices.stop}\\n")
        time.sleep(0.05)
        numbers = torch.tensor(list(indices), dtype=torch.uint8)
        return numbers.view(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous()


ledger = Ledger(folder / "ledger.db")
ledger.open_account("us", 70)
(folder / sys.argv[2]).touch()
while len(list(folder.glob("ready*"))) < 2:
    time.sleep(0.01)
images = module.harvest(meter(Slow(), ledger, "us"), Store(folder / "store", "slow", "us", 0), 70)
print(images[:, 0, 0, 0].tolist() == list(range(70)))
"""


@pytest.mark.slow
def test_two_processes_at_once_buy_each_image_once(tmp_path: Path) -> None:
    """Both begin together, and each gets all 70 images out of a budget that pays for 70."""
    command = [sys.executable, "-c", HARVEST, str(tmp_path)]
    racers = [subprocess.Popen([*command, f"ready{n}"], stdout=subprocess.PIPE, text=True) for n in range(2)]
    assert [racer.communicate(timeout=120)[0].strip() for racer in racers] == ["True", "True"]
    asked = [tuple(map(int, line.split())) for line in (tmp_path / "asked").read_text().splitlines()]
    assert sorted(index for start, stop in asked for index in range(start, stop)) == list(range(70))
