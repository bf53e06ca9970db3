"""Readiness: 503 while nothing can be sold, within a bound whatever hangs, and 200 again afterwards."""

import os
import resource
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from ganguard.base.errors import StepError
from ganguard.gateway.shop import readiness
from ganguard.gateway.shop.readiness import CLOSING, FULL, HANGS, LOCKED_OR_GONE

Start = Callable[..., Any]
BOUND = 10.0  # seconds: no answer hangs, and a busy machine may be slow


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "PATIENCE", 0.3)
    monkeypatch.setattr(readiness, "LONGEST", 0.8)
    monkeypatch.setattr(readiness, "FRESH", 0.1)


def _asked(us: Any) -> tuple[int, str]:
    """The status and the detail, which come within the bound."""
    begun = time.monotonic()
    answer = us.client.get("/readyz")
    assert time.monotonic() - begun < BOUND
    if answer.status_code == 503:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"]
    return answer.status_code, answer.json().get("detail", "")


def _ready_again(us: Any) -> None:
    """It is, soon, without a restart; and it sells."""
    ends = time.monotonic() + 10
    while _asked(us)[0] != 200:
        assert time.monotonic() < ends
        time.sleep(0.1)
    assert us.buy(us.key(), count=1).status_code == 200


@contextmanager
def _locked(state: Path) -> Generator[None]:
    with closing(sqlite3.connect(state / "ledger.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_a_locked_ledger(gateway: Start, state: Path, caplog: pytest.LogCaptureFixture) -> None:
    us = gateway()
    assert _asked(us) == (200, "")
    time.sleep(0.2)
    with _locked(state):
        for _ in range(3):
            assert _asked(us) == (503, LOCKED_OR_GONE)
            time.sleep(0.15)
        assert us.client.get("/healthz").status_code == 200
    _ready_again(us)
    said = [record.message for record in caplog.records if "ready" in record.message]
    assert ["locked" in line for line in said] == [True, False]  # once, and once that it is over


def test_a_ledger_that_is_locked_for_a_moment_is_no_trouble(gateway: Start, state: Path) -> None:
    us = gateway()
    with closing(
        sqlite3.connect(state / "ledger.sqlite", isolation_level=None, check_same_thread=False)
    ) as other:
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.1, other.execute, ["ROLLBACK"]).start()
        assert _asked(us) == (200, "")


def test_a_disk_that_takes_no_more(gateway: Start) -> None:
    us = gateway()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        assert _asked(us) == (503, FULL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    _ready_again(us)


@pytest.fixture
def small_disk(state: Path) -> Iterator[Path]:
    """A disk of 4 MB in the place of the gateway's directory."""
    state.mkdir(0o700)
    mounting = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(state)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("only root may mount a disk")
    yield state
    subprocess.run(["umount", "--lazy", str(state)], check=True)


@pytest.mark.parametrize("used", ["new", "with a log that is written over"])
def test_a_full_disk(gateway: Start, small_disk: Path, used: str) -> None:
    us = gateway()
    key = us.key()
    us.buy(key, count=1)
    if used != "new":
        with closing(sqlite3.connect(small_disk / "ledger.sqlite")) as other:
            other.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    with (small_disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while filler.write(bytes(4096)):
            pass
    assert _asked(us) == (503, FULL)
    time.sleep(0.2)
    assert _asked(us) == (503, FULL)
    (small_disk / "filler").unlink()
    _ready_again(us)


def test_a_directory_that_is_gone_is_not_called_full(gateway: Start, state: Path) -> None:
    us = gateway()
    state.rename(state.with_name("away"))
    assert _asked(us) == (503, LOCKED_OR_GONE)
    state.with_name("away").rename(state)
    _ready_again(us)


def test_a_ledger_that_is_gone(gateway: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    us = gateway()

    def fail(*_: object) -> None:
        raise StepError("/secret/ledger.sqlite: gone")

    with monkeypatch.context() as broken:
        broken.setattr(us.service._databases.readiness._database, "transaction", fail)
        assert _asked(us) == (503, LOCKED_OR_GONE)
    _ready_again(us)


def test_postgres_that_hangs(gateway: Start, postgres: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_LEDGER", postgres.database())
    us = gateway(ledger="env:GATEWAY_LEDGER")
    assert _asked(us) == (200, "")
    time.sleep(0.2)
    with postgres.hung():
        found = [_asked(us) for _ in range(4)]
        assert {status for status, _ in found} == {503}
        assert {detail for _, detail in found} <= {HANGS, LOCKED_OR_GONE}
    _ready_again(us)


def test_however_many_ask_there_is_one_probe_at_a_time(
    gateway: Start, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    us = gateway()
    probes, inside, most = [0], [0], [0]
    probed = us.service._databases.readiness._write

    def count() -> None:
        probes[0], inside[0] = probes[0] + 1, inside[0] + 1
        most[0] = max(most[0], inside[0])
        try:
            probed()
        finally:
            inside[0] -= 1

    monkeypatch.setattr(us.service._databases.readiness, "_write", count)
    monkeypatch.setattr(readiness, "FRESH", 60.0)
    with ThreadPoolExecutor(40) as many:
        with _locked(state):
            found = list(many.map(lambda _: _asked(us), range(200)))
        assert set(found) == {(503, LOCKED_OR_GONE)}
    assert (probes, most) == ([1], [1])


def test_a_probe_that_never_ends_is_the_only_one(gateway: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    us, over, begun = gateway(), threading.Event(), [0]

    def hang() -> None:
        begun[0] += 1
        over.wait(30)

    with monkeypatch.context() as broken:
        broken.setattr(us.service._databases.readiness, "_write", hang)
        with ThreadPoolExecutor(20) as many:
            found = list(many.map(lambda _: _asked(us), range(60)))
        assert set(found) == {(503, HANGS)}
        assert begun == [1]
        over.set()
    _ready_again(us)


def test_it_waits_behind_no_sale(gateway: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    us, over = gateway(), threading.Event()
    key = us.key()

    def hang(latents: object) -> Any:
        over.wait(30)
        return torch.zeros(64, 1, 8, 8, dtype=torch.uint8)

    monkeypatch.setattr(us.service.batching.inner, "generate", hang)
    with ThreadPoolExecutor(60) as many:
        sales = [many.submit(us.buy, key, count=1) for _ in range(60)]
        time.sleep(0.3)
        assert _asked(us) == (200, "")
        over.set()
        assert all(sale.result().status_code for sale in sales)


def test_a_gateway_that_is_closing(gateway: Start) -> None:
    us = gateway()
    us.service.close()
    assert _asked(us) == (503, CLOSING)
