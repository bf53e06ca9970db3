"""The cost of the gateway over loopback, for 64 clients at once and for one alone.

    python benchmarks/gateway.py [images|requests|alone|memory [COUNT]] ...

images: SNGAN of 64x64 pixels, 4 images a request as NPZ. Printed are images a second beside those of
`target.sample` in a loop, both with one thread for each core. The clients run on the same cores: their
processor time is subtracted, as if they ran elsewhere.
requests: digits of 8x8, one image a request. Printed are requests a second beside those of a route that does
nothing (a valid key asks for what is not there: more than a hundred checks of /healthz a second are slowed
down), and how long they take.
alone: one client asks for one digit after the other. Printed are the medians of a request, of the route that
does nothing, and of what a request cannot do without: a micro-batch of the bare generator and two durable
transactions.
memory: COUNT requests (100,000 by default). Printed is the resident memory of the server along the way.
"""

import contextlib
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import yaml

from ganguard.architectures.checkpoint import save_checkpoint
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.base.compute import Compute, cores
from ganguard.base.seeds import seeded_weights
from ganguard.base.settings import parse
from ganguard.gateway.private_files import keep_private
from ganguard.gateway.shop.keys import Keys
from ganguard.gateway.spec import GatewaySpec
from ganguard.queries.ledger import Ledger
from ganguard.queries.ledger_database import Database
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.wire import Scopes

CLIENTS = 64
BUDGET = 10**9
SECONDS = 15.0  # of each measurement
A_REQUEST = 4  # large images in a request


def checkpoint_of(side: int, channels: int, folder: Path) -> Path:
    """Save an untrained SNGAN, which is as fast as a trained one."""
    architecture = parse_architecture({"kind": "sngan"})
    with seeded_weights(0):
        networks = build_networks(architecture, (channels, side, side))
    return save_checkpoint(
        folder / f"sngan {side}", networks, architecture, (channels, side, side), {"steps": 0}
    )


class Client:
    """One connection, and the request that it repeats."""

    def __init__(self, address: str, key: str, body: dict[str, object] | None) -> None:
        self._connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=120)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._body = None if body is None else json.dumps(body)
        self.seconds: list[float] = []

    def ask(self) -> None:
        begun = time.perf_counter()
        method, path = ("GET", "/nothing") if self._body is None else ("POST", "/v1/images")
        self._connection.request(method, path, self._body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != (404 if self._body is None else 200):
            raise RuntimeError(f"{answer.status}: {content[:200]!r}")
        self.seconds.append(time.perf_counter() - begun)

    def go_on(self, until: float) -> None:
        while time.perf_counter() < until:
            self.ask()

    def close(self) -> None:
        self._connection.close()


@contextlib.contextmanager
def serving(checkpoint: Path, folder: Path, threads: int) -> Iterator[tuple[str, list[str], int]]:
    """Serve a checkpoint; yield the address, a key for each client, and the server's process."""
    state = folder / f"state of {checkpoint.parent.name} {threads}"
    values = {
        "target": {"checkpoint": str(checkpoint)},
        "directory": str(state),
        "port": 0,
        "classes": {"default": {"requests_a_minute": None}},
        "compute": {"threads": threads},
    }
    spec, parsed = folder / "gateway.yaml", parse(GatewaySpec, values, "spec")
    spec.write_text(yaml.safe_dump(values))
    keep_private(parsed)
    place = parsed.place()
    database = Database(place)
    held, scopes = Keys(database), Scopes()
    keys = [held.create(f"client {n}", "default", scopes)[0] for n in range(CLIENTS)]
    database.close()
    with Ledger(place) as ledger:
        for n in range(CLIENTS):
            ledger.open_account(f"client {n}", BUDGET)
    command = [sys.executable, "-c", "from ganguard.cli.main import main; main()", "serve", str(spec)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        address = (server.stdout or sys.stdin).readline().removeprefix("Serving ").strip()
        try:
            yield address, keys, server.pid
        finally:
            server.terminate()
            server.wait(120)


def load(
    address: str, keys: list[str], body: dict[str, object] | None, seconds: float = SECONDS
) -> tuple[list[float], float, float]:
    """Send requests from all clients at once.

    Returns:
        Seconds of every request, seconds in all, and seconds of the clients' processor time.
    """
    clients = [Client(address, key, body) for key in keys]
    with ThreadPoolExecutor(len(keys)) as at_once:
        begun, worked = time.perf_counter(), time.process_time()
        for one in [at_once.submit(client.go_on, begun + seconds) for client in clients]:
            one.result()
        took, spent = time.perf_counter() - begun, time.process_time() - worked
    for client in clients:
        client.close()
    return [second for client in clients for second in client.seconds], took, spent


def bare(checkpoint: Path, threads: int) -> float:
    """Return the images a second of the generator alone."""
    target = CheckpointTarget(checkpoint=str(checkpoint)).load(Compute(threads=threads))
    target.sample(range(256), seed=0)
    begun, made = time.perf_counter(), 0
    while time.perf_counter() - begun < SECONDS:
        target.sample(range(made, made + 256), seed=0)
        made += 256
    return made / (time.perf_counter() - begun)


def tell(what: str, requests: list[float], took: float) -> None:
    cuts = statistics.quantiles(requests, n=100)
    print(
        f"{what}: {len(requests) / took:8.1f} requests/s, p50 {cuts[49] * 1e3:7.1f} ms, p99 "
        f"{cuts[98] * 1e3:7.1f} ms",
        flush=True,
    )


def images(folder: Path) -> None:
    checkpoint, threads = checkpoint_of(64, 3, folder), cores()
    before = bare(checkpoint, threads)
    with serving(checkpoint, folder, threads) as (address, keys, _):
        load(address, keys, {"count": A_REQUEST, "format": "npz"}, 3.0)
        requests, took, spent = load(address, keys, {"count": A_REQUEST, "format": "npz"})
    rate = (before + bare(checkpoint, threads)) / 2
    made, without = len(requests) * A_REQUEST, took - spent / cores()
    tell(f"64x64 SNGAN, {A_REQUEST} images a request", requests, took)
    print(
        f"  {made / took:.1f} images/s; bare generator, before and after: {rate:.1f}; ratio "
        f"{made / took / rate:.2f}"
    )
    print(
        f"  {made / without:.1f} images/s without the {spent:.1f} s of the clients; ratio "
        f"{made / without / rate:.2f}"
    )


def requests(folder: Path) -> None:
    with serving(checkpoint_of(8, 1, folder), folder, 1) as (address, keys, _):
        load(address, keys, {"count": 1, "format": "npz"}, 2.0)
        nothing, took = load(address, keys, None)[:2]
        tell("a route that does nothing", nothing, took)
        digits, took_too = load(address, keys, {"count": 1, "format": "npz"})[:2]
        tell("one digit a request      ", digits, took_too)
        print(f"  ratio {len(digits) / took_too / (len(nothing) / took):.2f}")


def median_of(do: Callable[[int], object], times: int = 300) -> float:
    """Return the median seconds of do(0), do(1), ..."""
    seconds: list[float] = []
    for number in range(times):
        begun = time.perf_counter()
        do(number)
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def alone(folder: Path) -> None:
    checkpoint = checkpoint_of(8, 1, folder)
    target = CheckpointTarget(checkpoint=str(checkpoint)).load(Compute(threads=1))
    torch.set_num_threads(1)
    made = median_of(lambda n: target.sample(range(n, n + 1), seed=0))
    with Ledger(folder / "alone.sqlite") as ledger:
        ledger.open_account("alone", BUDGET)
        reserved = median_of(lambda n: ledger.reserve(f"{n}", "alone", 1, "one digit"))
        recorded = median_of(lambda n: ledger.commit(f"{n}"))
    torch.set_num_threads(cores())
    with serving(checkpoint, folder, 1) as (address, keys, _):
        load(address, keys[:1], {"count": 1, "format": "npz"}, 2.0)
        nothing, took = load(address, keys[:1], None)[:2]
        tell("one client, a route that does nothing", nothing, took)
        digits, took_too = load(address, keys[:1], {"count": 1, "format": "npz"})[:2]
        tell("one client, one digit a request      ", digits, took_too)
    digit, none = statistics.median(digits), statistics.median(nothing)
    print(
        f"  bare micro-batch {made * 1e3:.1f} ms, two durable transactions {(reserved + recorded) * 1e3:.1f} "
        f"ms, nothing {none * 1e3:.1f} ms"
    )
    print(f"  ratio of medians: {digit / none:.1f} to the route that does nothing, ", end="")
    print(f"{digit / (made + reserved + recorded + none):.2f} to the sum of these")


def memory(folder: Path, count: int) -> None:
    with serving(checkpoint_of(8, 1, folder), folder, 1) as (address, keys, server):
        done, next_look = 0, 0
        while done < count:
            done += len(load(address, keys, {"count": 1, "format": "npz"}, 3.0)[0])
            if done >= next_look:
                status = Path(f"/proc/{server}/status").read_text()
                resident = int(status.partition("VmRSS:")[2].split()[0]) / 1024
                print(f"  {done:8,} requests   {resident:7.1f} MiB", flush=True)
                next_look = done + count // 10


def main() -> None:
    wanted = sys.argv[1:] or ["images", "requests", "alone", "memory"]
    count = next((int(part) for part in wanted if part.isdecimal()), 100_000)
    torch.set_num_threads(cores())
    with tempfile.TemporaryDirectory() as folder:
        for part in wanted:
            if part == "images":
                images(Path(folder))
            elif part == "requests":
                requests(Path(folder))
            elif part == "alone":
                alone(Path(folder))
            elif part == "memory":
                memory(Path(folder), count)


if __name__ == "__main__":
    main()
