"""What one client does costs the others little: health answers in time, and honest sales keep their pace.

Run as `ganguard serve`, in a process of its own. The bounds are several times what a quiet machine needs.
"""

import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml

from ganguard.base.settings import parse
from ganguard.gateway.private_files import keep_private
from ganguard.gateway.shop.keys import Keys
from ganguard.gateway.spec import GatewaySpec
from ganguard.queries.ledger import Ledger
from ganguard.queries.ledger_database import Database
from ganguard.targets.wire import Scopes

pytestmark = pytest.mark.slow
CLIENTS = 8
SECONDS = 1.5
LONGEST_HEALTH = 0.25  # seconds in which 19 of 20 checks must be answered
SLOWER = 3.0  # times that an honest client may take as long
WIDTH, MOST = 5, 12_000  # so that a body may have 1.5 MB

Server = tuple[int, dict[str, str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, generator: Path) -> Iterator[Server]:
    """A gateway: its port, and the key of each account. Each test has an account of its own."""
    folder = tmp_path_factory.mktemp("hostile")
    values = {
        "target": {"checkpoint": str(generator)},
        "directory": str(folder / "state"),
        "port": 0,
        "most_images": MOST,
        "batching": {"most_waiting": 2 * MOST},
    }
    (folder / "gateway.yaml").write_text(yaml.safe_dump(values))
    spec = parse(GatewaySpec, values, "spec")
    keep_private(spec)
    place = spec.place()
    database = Database(place)
    anything = Scopes(send_latents=True, most_images=MOST)
    keys = {
        name: Keys(database).create(name, "default", Scopes() if name == "not allowed" else anything)[0]
        for name in ("honest", *BODIES, *REFUSALS)
    }
    database.close()
    with Ledger(place) as ledger:
        for name in keys:
            ledger.open_account(name, 0 if name == "no budget" else 10**9)
    command = [sys.executable, "-c", "from ganguard.cli.main import main; main()", "serve"]
    command.append(str(folder / "gateway.yaml"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield int(process.stdout.readline().strip().rpartition(":")[2]), keys
        finally:
            process.terminate()
            process.wait(60)


def request(
    key: str, body: bytes = b"", path: str = "/v1/images", method: str = "POST", more: str = ""
) -> bytes:
    said = f"Authorization: Bearer {key}\r\n" if key else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n{said}Content-Type: application/json\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def chunked(key: str, pieces: bytes) -> bytes:
    head = f"POST /v1/images HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
    return f"{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + pieces


def answer(client: socket.socket) -> int:
    """The status of the next answer, once all of it is there."""
    said = b""
    while b"\r\n\r\n" not in said:
        if not (part := client.recv(65_536)):
            raise ConnectionError
        said += part
    head, _, body = said.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        if not (part := client.recv(65_536)):
            raise ConnectionError
        body += part
    return int(head.split(b" ")[1])


@contextmanager
def flood(port: int, content: bytes) -> Iterator[Counter[int]]:
    """Some clients that send a request again and again, on kept connections; gives the answers' statuses."""
    statuses, ended = Counter[int](), threading.Event()

    def ask() -> None:
        while not ended.is_set():
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as client:
                while not ended.is_set():
                    client.sendall(content)
                    statuses[answer(client)] += 1

    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(0.5)
    try:
        yield statuses
    finally:
        ended.set()
        for client in clients:
            client.join(30)


def times(port: int, content: bytes, seconds: float = SECONDS) -> list[float]:
    """How long a client waits for each of its answers, all of which are 200."""
    found = list[float]()
    with socket.create_connection(("127.0.0.1", port), 30) as client:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            begun = time.perf_counter()
            client.sendall(content)
            assert answer(client) == 200
            found.append(time.perf_counter() - begun)
            time.sleep(0.01)
    return found


CODE = b"[" + b",".join(repr(random.Random(0).gauss(0, 1)).encode() for _ in range(WIDTH)) + b"]"
N = 1_500_000  # bytes
BODIES: dict[str, Callable[[str], bytes]] = {
    "unknown names": lambda key: request(
        key, b"{" + b",".join(b'"k%d":%d' % (n, n) for n in range(95_000)) + b"}"
    ),
    "wrong types": lambda key: request(key, b'{"latents":[' + b'["x"],' * 250_000 + b'["x"]]}'),
    "numbers as codes": lambda key: request(key, b'{"latents":[' + b"1," * 700_000 + b"1]}"),
    "one endless code": lambda key: request(key, b'{"latents":[[' + b"1," * 700_000 + b"1]]}"),
    "empty codes": lambda key: request(key, b'{"latents":[' + b"[]," * 490_000 + b"[]]}"),
    "nesting": lambda key: request(key, b'{"latents":' + b"[" * N),
    "a name a hundred thousand times": lambda key: request(
        key, b"{" + b'"count":1,' * 140_000 + b'"count":1}'
    ),
    "a long name": lambda key: request(key, b'{"' + b"a" * N + b'":1}'),
    "a long text": lambda key: request(key, b'{"count":"' + b"a" * N + b'"}'),
    "a long number": lambda key: request(key, b'{"count":' + b"9" * N + b"}"),
    "NaN": lambda key: request(key, b'{"latents":[' + (CODE + b",") * 11_000 + b"[NaN]]}"),
    "what is valid and refused": lambda key: request(
        key, b'{"seed":1,"latents":[' + (CODE + b",") * 11_000 + CODE + b"]}"
    ),
    "what is valid": lambda key: request(
        key, b'{"format":"npz","latents":[' + (CODE + b",") * 11_000 + CODE + b"]}"
    ),
    "compressed": lambda key: request(key, b"\x1f\x8b" * 100_000, more="Content-Encoding: gzip\r\n"),
    "chunks of one byte": lambda key: chunked(key, b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n"),
    "chunks of a stranger": lambda key: chunked("gg_x", b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n"),
    "a body of GET": lambda key: request(key, b" " * 4000, "/v1/account", "GET"),
    "blanks": lambda key: b"GET / HTTP/1.1\r\nHost: x\r\nA:" + b" " * 15_000 + b"\x0b\r\n\r\n",
    "cookies": lambda key: request(
        key, path="/v1/account", method="GET", more=f"Cookie: {'a=b;' * 3900}\r\n"
    ),
    "a query": lambda key: request("", path=f"/healthz?{'a=b&' * 3900}", method="GET"),
    "headers": lambda key: b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a:b\r\n" * 3000 + b"\r\n",
}
REFUSALS: dict[str, Callable[[str], bytes]] = {
    "invalid": lambda key: request(key, b'{"count": 0}'),
    "not allowed": lambda key: request(key, b'{"count": 1, "seed": 1}'),
    "no budget": lambda key: request(key, b'{"count": 1}'),
    "no route": lambda key: request(key, path="/nothing", method="GET"),
    "no key": lambda key: request("", b'{"count": 1}'),
    "a wrong key": lambda key: request(f"gg_{'0' * 16}_{'0' * 64}", b'{"count": 1}'),
    "health": lambda key: request("", path="/healthz", method="GET"),
    "the documents": lambda key: request("", path="/docs", method="GET"),
}


@pytest.mark.parametrize("name", list(BODIES))
def test_health_answers_whatever_is_sent(server: Server, name: str) -> None:
    port, keys = server
    with flood(port, BODIES[name](keys[name])):
        found = times(port, request("", path="/healthz", method="GET"))
    assert statistics.quantiles(found, n=20)[-1] <= LONGEST_HEALTH, sorted(found)[-10:]


@pytest.mark.parametrize("name", list(REFUSALS))
def test_an_honest_client_keeps_its_pace_while_others_are_refused(server: Server, name: str) -> None:
    port, keys = server
    honest = request(keys["honest"], b'{"count": 1, "format": "npz"}')
    times(port, honest, 0.5)
    quiet = statistics.median(times(port, honest))
    with flood(port, REFUSALS[name](keys[name])) as statuses:
        busy = statistics.median(times(port, honest))
    assert busy <= SLOWER * quiet + 0.01, (quiet, busy, statuses)
    assert statuses.keys() <= {401, 402, 403, 404, 422, 429, 200}


def test_a_kept_connection_waits_for_no_acknowledgement(server: Server) -> None:
    """Without TCP_NODELAY each answer took 40 ms more than a new connection's."""
    port, _ = server
    assert statistics.median(times(port, request("", path="/healthz", method="GET"), 1.0)) < 0.03
