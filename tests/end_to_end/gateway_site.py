"""Gateways in processes of their own, on one ledger, and the faults that can be put upon them."""

import multiprocessing
import os
import random
import resource
import shutil
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

import torch

from ganguard.base.settings import parse
from ganguard.gateway.http.serving import run
from ganguard.gateway.spec import GatewaySpec

PROCESSES = multiprocessing.get_context("forkserver")
SLACK = 8.0  # seconds after a fault in which an answer may still tell of it


def serve(
    values: dict[str, Any], variables: dict[str, str], pipe: Connection, jump: "Synchronized[float]"
) -> None:
    """Serve a gateway whose wall clock is ahead by `jump` seconds."""
    os.environ.update(variables)  # the fork server has those of its own start
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command line hears it
    torch.set_num_threads(1)
    right = time.time
    time.time = lambda: right() + jump.value
    run(parse(GatewaySpec, values, "spec"), pipe.send)


class Host:
    """One gateway process, which can be killed and started again at the same address."""

    def __init__(self, values: dict[str, Any]) -> None:
        PROCESSES.set_forkserver_preload(["ganguard.gateway.http.serving", "ganguard.targets.checkpoint"])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.values, self.jump = {**values, "port": self.port}, PROCESSES.Value("d", 0.0)
        self.kills = 0
        self.begin()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def begin(self) -> None:
        """Start the process, and wait until it serves."""
        ours, theirs = PROCESSES.Pipe()
        self._process = PROCESSES.Process(
            target=serve, args=(self.values, dict(os.environ), theirs, self.jump)
        )
        self._process.start()
        theirs.close()
        assert ours.poll(90)
        ours.recv()
        ours.close()

    def kill(self) -> None:
        """Kill the process at once."""
        self._process.kill()
        self._process.join()
        assert self._process.exitcode == -signal.SIGKILL
        self.kills += 1

    def end(self) -> None:
        """End the process as an operator does."""
        self._process.terminate()
        self._process.join(60)
        assert self._process.exitcode == 0
        self._process.close()


@dataclass
class Site:
    """Hosts that sell from one ledger.

    Attributes:
        hosts: the gateways.
        faults: what can be done to them, by name; each lasts as long as its context.
        windows: (name, begin, end) of each fault so far, in monotonic seconds; the end is infinite while the
            fault lasts.
    """

    hosts: list[Host]
    faults: dict[str, Callable[[random.Random], Any]]
    windows: list[list[Any]] = field(default_factory=list[list[Any]])

    def explains(self, begun: float, ended: float) -> bool:
        """Return whether a request from `begun` to `ended` met a fault, or what a fault left behind."""
        return any(begin <= ended and begun <= end + SLACK for _, begin, end in list(self.windows))

    def trouble(self, seed: int, until: threading.Event) -> None:
        """Put one fault after the other upon the hosts, and then none for a while, until the event is set."""
        draw = random.Random(seed)
        names = list(self.faults)
        while not until.is_set():
            draw.shuffle(names)
            for name in names:
                if until.is_set():
                    return
                window = [name, time.monotonic(), float("inf")]
                self.windows.append(window)
                with self.faults[name](draw):
                    pass
                window[2] = time.monotonic()
                until.wait(draw.uniform(0.5, 2.0))
            until.wait(draw.uniform(SLACK, 2 * SLACK))  # in which no failure has an excuse

    def end(self) -> None:
        for host in self.hosts:
            host.end()


def sqlite_site(values: dict[str, Any]) -> Site:
    """Return one host whose ledger is a file."""
    host = Host(values)
    ledger = Path(values["directory"]) / "ledger.sqlite"

    @contextmanager
    def locked(draw: random.Random) -> Generator[None]:
        """Hold the ledger's write lock."""
        other = sqlite3.connect(ledger, isolation_level=None, timeout=30)
        other.execute("BEGIN IMMEDIATE")
        time.sleep(draw.uniform(1.0, 6.0))
        yield
        other.execute("ROLLBACK")
        other.close()

    @contextmanager
    def full(draw: random.Random) -> Generator[None]:
        """Let no file of the host grow, as on a full disk."""
        before = resource.prlimit(host.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(host.pid, resource.RLIMIT_FSIZE, (0, before[1]))
        time.sleep(draw.uniform(1.0, 4.0))
        yield
        resource.prlimit(host.pid, resource.RLIMIT_FSIZE, before)

    faults = {"kill": killed([host]), "locked ledger": locked, "full disk": full, "clock": jumped([host])}
    return Site([host], faults)


def postgres_site(values: dict[str, Any], postgres: Any) -> Site:
    """Return two hosts whose ledger is one PostgreSQL database, named by the variable in `ledger`."""
    first = Host(values)
    directory = Path(f"{values['directory']} of the other")
    directory.mkdir(mode=0o700)
    shutil.copy(Path(values["directory"]) / "secret", directory / "secret")
    hosts = [first, Host({**values, "directory": str(directory)})]
    address = os.environ[values["ledger"].removeprefix("env:")]

    @contextmanager
    def locked(draw: random.Random) -> Generator[None]:
        """Hold the accounts' table."""
        import psycopg

        with psycopg.connect(address) as other:
            other.execute("LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE")
            time.sleep(draw.uniform(1.0, 6.0))
            yield

    @contextmanager
    def hung(draw: random.Random) -> Generator[None]:
        """Stop every process of the database."""
        with postgres.hung():
            time.sleep(draw.uniform(1.0, 12.0))
            yield

    faults = {"kill": killed(hosts), "locked ledger": locked, "hung database": hung, "clock": jumped(hosts)}
    return Site(hosts, faults)


def killed(hosts: list[Host]) -> Callable[[random.Random], Any]:
    """Return the fault that kills a host and starts it again."""

    @contextmanager
    def fault(draw: random.Random) -> Generator[None]:
        host = draw.choice(hosts)
        host.kill()
        yield
        host.begin()

    return fault


def jumped(hosts: list[Host]) -> Callable[[random.Random], Any]:
    """Return the fault that sets the wall clock of a host ahead or back by up to a day."""

    @contextmanager
    def fault(draw: random.Random) -> Generator[None]:
        host = draw.choice(hosts)
        host.jump.value = draw.uniform(-86_400.0, 86_400.0)
        yield
        time.sleep(draw.uniform(0.5, 2.0))
        host.jump.value = draw.choice([0.0, host.jump.value])

    return fault


@contextmanager
def ending(site: Site) -> Generator[Site]:
    """End a site's hosts, also after an error."""
    with ExitStack() as hosts:
        hosts.callback(site.end)
        yield site
