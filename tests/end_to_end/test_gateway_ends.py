"""Told to end, a gateway ends within 30 seconds, whatever hangs, and its ledger is whole."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from postgres_server import postgres

from ganguard.base.settings import parse
from ganguard.gateway.shop.service import Service
from ganguard.gateway.spec import GatewaySpec
from ganguard.queries.ledger import Ledger
from ganguard.targets.wire import Scopes

__all__ = ["postgres"]
pytestmark = pytest.mark.slow
SERVES = """
import json, signal, sys, threading

from ganguard.base.settings import parse
from ganguard.gateway.http import serving
from ganguard.gateway.spec import GatewaySpec
from ganguard.targets.batching_target import BatchingTarget

told = json.loads(sys.argv[1])
serving.PATIENCE, serving.LONGEST_END = told["patience"]
if told["hangs"]:
    BatchingTarget._generate = lambda self, latents: threading.Event().wait()
signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command line hears it
serving.run(parse(GatewaySpec, told["spec"], "spec"), lambda address: print(address, flush=True))
"""
MANY = 50_000  # images, whose answer is larger than what a kernel takes off a process's hands
ROOM = {"most_images": MANY, "batching": {"most_waiting": 2 * MANY}}
USUAL, HASTY = (15, 27.0), (1, 2.0)  # seconds for requests, and for all


class Server:
    """A gateway in a process of its own, and a key to it."""

    def __init__(self, spec: dict[str, Any], patience: tuple[float, float], hangs: bool) -> None:
        service = Service(parse(GatewaySpec, spec, "spec"))
        service.ledger.open_account("us", 100_000)
        self._key, _ = service.keys.create("us", "default", Scopes(most_images=MANY))
        self.place = service.spec.place()
        service.close()
        told = json.dumps({"spec": spec, "patience": patience, "hangs": hangs})
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVES, told], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address.startswith("http://127.0.0.1:")

    def buy(self, count: int = 1, timeout: float = 60) -> int:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        body = json.dumps({"count": count}).encode()
        request = urllib.request.Request(f"{self.address}/v1/images", body, headers)
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return len(answer.read())

    def begin_to_buy(self) -> None:
        """Send a request that may never be answered, and give the gateway time to work on it."""

        def ask() -> None:
            with suppress(OSError):
                self.buy()

        threading.Thread(target=ask, daemon=True).start()
        time.sleep(0.7)

    def read_nothing(self) -> socket.socket:
        """Send a request, and read no answer."""
        host, port = self.address.removeprefix("http://").split(":")
        client = socket.create_connection((host, int(port)), 10)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        body = json.dumps({"count": MANY}).encode()
        head = f"POST /v1/images HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self._key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        time.sleep(10)  # while it is made
        return client

    def end(self, within: float) -> tuple[int, str]:
        """Tell it to end: the exit code, and what it said. It must end in time."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=within + 60)
        assert time.monotonic() - begun < within
        assert "Traceback" not in said
        return self.process.returncode, said


@pytest.fixture
def serve(tmp_path: Path, tiny_checkpoint: Callable[..., Path]) -> Iterator[Callable[..., Server]]:
    with ExitStack() as running:

        def start(
            *, patience: tuple[float, float] = USUAL, hangs: bool = False, ledger: str | None = None
        ) -> Server:
            checkpoint = tiny_checkpoint(tmp_path / "generator")
            spec = {"target": {"checkpoint": str(checkpoint)}, "directory": str(tmp_path / "state")}
            server = Server(spec | {"port": 0, "ledger": ledger, **ROOM}, patience, hangs)
            running.enter_context(server.process)
            running.callback(server.process.kill)
            return server

        yield start


def _require_whole(server: Server, reserved: int) -> None:
    with Ledger(server.place) as ledger:
        assert ledger.check({}).problems == ()
        assert ledger.balance("us").reserved == reserved
        ledger.ensure_account("them", 1)


@contextmanager
def _locked(state: Path) -> Generator[None]:
    with closing(sqlite3.connect(state / "ledger.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def test_a_generator_that_never_returns(serve: Callable[..., Server]) -> None:
    server = serve(patience=HASTY, hangs=True)
    server.begin_to_buy()
    code, said = server.end(within=10)
    assert code == 1
    assert said.count("not at an end after 2 seconds, since something hangs") == 1
    _require_whole(server, reserved=1)


def test_a_generator_that_never_returns_and_the_usual_patience(serve: Callable[..., Server]) -> None:
    server = serve(hangs=True)
    server.begin_to_buy()
    assert server.end(within=30)[0] == 1
    _require_whole(server, reserved=1)


def test_a_client_that_does_not_read(serve: Callable[..., Server]) -> None:
    server = serve()
    with closing(server.read_nothing()):
        begun = time.monotonic()
        assert server.end(within=30)[0] == 0
        assert time.monotonic() - begun > USUAL[0]  # it was waited for


def test_a_ledger_that_stays_locked(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve()
    assert server.buy()
    with _locked(tmp_path / "state"):
        server.begin_to_buy()
        assert server.end(within=30)[0] in (0, 1)
    _require_whole(server, reserved=1)


def test_postgres_that_hangs(
    serve: Callable[..., Server], postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_LEDGER", postgres.database())
    server = serve(ledger="env:GATEWAY_LEDGER")
    assert server.buy()
    with postgres.hung():
        server.begin_to_buy()
        assert server.end(within=30)[0] in (0, 1)
    with Ledger(server.place) as ledger:  # the last one may have been committed, or not
        assert ledger.check({}).problems == ()
        assert ledger.balance("us").reserved in (1, 2)


def test_a_full_disk(serve: Callable[..., Server], tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(0o700)
    mounting = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(state)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("only root may mount a disk")
    try:
        server = serve()
        assert server.buy()
        with (state / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while filler.write(bytes(4096)):
                pass
        server.begin_to_buy()
        assert server.end(within=30)[0] == 0
        (state / "filler").unlink()
        with Ledger(server.place) as ledger:
            assert ledger.check({}).problems == ()
    finally:
        subprocess.run(["umount", "--lazy", str(state)], check=True)


def test_a_log_that_nobody_reads_and_a_generator_that_never_returns(serve: Callable[..., Server]) -> None:
    """Its pipe is full, so that whoever logs waits for good."""
    server = serve(patience=HASTY, hangs=True)
    assert server.process.stderr is not None
    os.set_blocking(server.process.stderr.fileno(), False)
    with suppress(BlockingIOError):
        theirs = os.open(f"/proc/{server.process.pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
        while os.write(theirs, bytes(4096)):
            pass
    server.begin_to_buy()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(10) == 1
