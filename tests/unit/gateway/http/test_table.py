"""Health, and clients with a key, get through whoever holds the connections."""

import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from ganguard.base.errors import SpecError
from ganguard.gateway.http import descriptors
from ganguard.gateway.http.connection import Connection
from ganguard.gateway.http.descriptors import ConnectionRoom, connection_room, fitting
from ganguard.gateway.http.table import Table

Start = Callable[..., Any]
Serve = Callable[..., AbstractContextManager[int]]
MOST, BEYOND = 6, 3
HOLD = b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"


class One:
    """A connection that notes its end."""

    ended = False

    def end(self) -> None:
        self.ended = True


def test_the_oldest_stranger_makes_room_then_the_oldest_idle_one_and_never_a_busy_one() -> None:
    table = Table(4, 2)
    ones = [One() for _ in range(4)]
    assert all(table.join(one) for one in ones)
    with table.working(ones[0]):
        pass  # known, and idle from now on
    with table.working(ones[1]):
        for _ in range(2):
            assert table.join(One())
        assert [one.ended for one in ones] == [False, False, True, True]
        with ExitStack() as busy:
            for one in list(table._strangers):
                busy.enter_context(table.working(one))
            last = One()
            assert table.join(last)
            assert ones[0].ended  # no stranger was left
            busy.enter_context(table.working(last))
            beyond = [One() for _ in range(3)]
            assert not any(table.join(one) for one in beyond)
            assert [one.ended for one in beyond] == [True, False, False]
        assert len(table) == 4
        assert table.join(One())
    assert not ones[1].ended


def test_a_connection_that_is_closed_leaves_its_place_once() -> None:
    table = Table(2, 1)
    ones = [One(), One()]
    for one in ones:
        table.join(one)
    with table.working(ones[0]):
        table.leave(ones[0])
        assert table.join(One())
    assert len(table) == 2
    table.leave(ones[0])
    table.leave(One())
    assert len(table) == 2
    assert not ones[1].ended


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Hold a request as one of a valid key, until its client goes; answer any other one."""
    if scope["path"] == "/hold":
        with scope["ganguard.working"]():
            while (await receive())["type"] != "http.disconnect":
                pass
        return
    if scope["path"] == "/large":
        body = bytes(4_000_000)
    else:
        while (await receive()).get("more_body"):
            pass
        body = b"OK"
    length = str(len(body)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})


class Hasty(Connection):
    """With little patience beyond the table."""

    longest_headers_beyond = 0.3


@pytest.fixture
def connect(at_a_socket: Serve) -> Iterator[Callable[..., socket.socket]]:
    """Connect to a server with a small table, and send something."""
    with ExitStack() as running:
        port = running.enter_context(at_a_socket(application, Hasty, most=MOST, beyond=BEYOND))

        def open_one(content: bytes = b"") -> socket.socket:
            client = running.enter_context(closing(socket.create_connection(("127.0.0.1", port), 10)))
            client.sendall(content)
            return client

        yield open_one


def asked(client: socket.socket, path: str, method: str = "GET") -> bytes:
    """The whole answer to a request."""
    client.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    said = client.recv(65_536)
    while b"\r\n\r\n" not in said:
        said += client.recv(65_536)
    head, _, body = said.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while method == "GET" and len(body) < length:
        body += client.recv(65_536)
    return head + b"\r\n\r\n" + body


PROVOKED = {
    "who send nothing": b"",
    "with slow headers": b"GET / HTTP/1.1\r\nHost: x\r\n",
    "with slow bodies": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
    "with slow chunks": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n",
    "who read no answer": b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
    "who are idle": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", list(PROVOKED))
def test_strangers_who_hold_every_connection_are_let_go(
    connect: Callable[..., socket.socket], name: str
) -> None:
    for _ in range(3 * (MOST + BEYOND)):
        connect(PROVOKED[name])
    for path in ("/healthz", "/readyz", "/v1/account"):
        assert asked(connect(), path).startswith(b"HTTP/1.1 200")


def busy(connect: Callable[..., socket.socket]) -> list[socket.socket]:
    """Clients with a key who hold the whole table."""
    held = [connect(HOLD) for _ in range(MOST)]
    time.sleep(0.3)
    return held


def test_clients_with_a_key_are_not_let_go_and_health_is_served_beyond_them(
    connect: Callable[..., socket.socket],
) -> None:
    held = busy(connect)
    for _ in range(20):
        for path in ("/healthz", "/readyz"):
            assert asked(connect(), path).startswith(b"HTTP/1.1 200")
    other = connect()
    said = asked(other, "/v1/account")
    assert said.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 2" in said.lower()
    assert b"connection: close" in said.lower()
    assert other.recv(1) == b""
    for client in held:
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(1)
    held.pop().close()
    time.sleep(0.3)
    assert asked(connect(), "/v1/account").startswith(b"HTTP/1.1 200")


def test_who_says_nothing_beyond_the_table_makes_room(connect: Callable[..., socket.socket]) -> None:
    busy(connect)
    silent = [connect() for _ in range(3 * BEYOND)]
    assert asked(connect(), "/healthz").startswith(b"HTTP/1.1 200")
    assert silent[-1].recv(1) == b""  # its time for headers is short


def test_a_connection_beyond_the_table_is_closed_after_one_answer(
    connect: Callable[..., socket.socket],
) -> None:
    busy(connect)
    client = connect()
    assert asked(client, "/healthz").startswith(b"HTTP/1.1 200")
    assert client.recv(1) == b""


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_an_answer_waits_for_no_acknowledgement(family: socket.AddressFamily) -> None:
    """Two writes an answer: without TCP_NODELAY the second took 40 ms on a kept connection."""
    from ganguard.gateway.http.serving import listening_socket, server_of

    options, made = list[int](), threading.Event()

    class Noted(Connection):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            accepted = transport.get_extra_info("socket")
            options.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            made.set()

    with listening_socket("127.0.0.1" if family == socket.AF_INET else "::1", 0) as opened:
        server = server_of(application, connection=Noted)
        server.config.lifespan = "off"
        thread = threading.Thread(target=server.run, args=([opened],))
        thread.start()
        with socket.create_connection(opened.getsockname()[:2], 10) as client:
            assert asked(client, "/").startswith(b"HTTP/1.1 200")
        server.should_exit = True
        thread.join(20)
    assert made.wait(10)
    assert options == [1]


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/docs", "/openapi.json", "/v1/account", "/metrics", "/"]
)
def test_head_is_answered_as_get_is(gateway: Start, path: str) -> None:
    from ganguard.targets.wire import Scopes

    us = gateway()
    headers = {"Authorization": f"Bearer {us.key('operator', 0, Scopes(admin=True))}"}
    get, head = (us.client.request(method, path, headers=headers) for method in ("GET", "HEAD"))
    assert (head.status_code, get.status_code) == (200, 200)
    assert head.content == b""
    assert head.headers["content-type"] == get.headers["content-type"]
    assert us.client.head("/nothing").status_code == 404
    assert us.client.head("/v1/images").status_code == 405
    assert us.client.head("/metrics").status_code == 401


def test_head_at_a_socket_sends_no_body(served: tuple[Any, int]) -> None:
    _, port = served
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        said = asked(client, "/healthz", "HEAD")
        assert said.startswith(b"HTTP/1.1 200")
        assert said.endswith(b"\r\n\r\n")
        assert b"content-length: 18" in said.lower()
        assert asked(client, "/healthz").endswith(b'{"status":"alive"}')


def test_readiness_waits_for_no_other_requests(
    served: tuple[Any, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ninety requests hang in the ledger: twice as many as there are threads for ordinary routes."""
    from ganguard.queries.ledger import Ledger

    us, port = served
    key, go_on, hanging = us.key(), threading.Event(), threading.Semaphore(0)
    balance = Ledger.balance

    def hang(self: Ledger, account: str) -> Any:
        hanging.release()
        go_on.wait(30)
        return balance(self, account)

    monkeypatch.setattr(Ledger, "balance", hang)
    head = f"GET /v1/account HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
    with ExitStack() as opened:
        for _ in range(90):
            client = opened.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            client.sendall(head)
        for _ in range(40):
            assert hanging.acquire(timeout=20)
        for path in ("/healthz", "/readyz"):
            with socket.create_connection(("127.0.0.1", port), 5) as client:
                assert asked(client, path).startswith(b"HTTP/1.1 200")
        go_on.set()


def test_the_limit_on_open_files_bounds_the_connections(caplog: pytest.LogCaptureFixture) -> None:
    assert fitting(ConnectionRoom().descriptors) == ConnectionRoom()
    assert caplog.messages == []
    for descriptors_ in (200, 256, 400, 959):
        found = fitting(descriptors_)
        assert 16 <= found.most <= 512 and found.beyond >= 8 and found.accepted >= 4
        assert found.descriptors <= descriptors_
    assert ["only" in line for line in caplog.messages] == [True] * 3
    with pytest.raises(SpecError, match="LimitNOFILE"):
        fitting(150)


def test_the_soft_limit_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [256, 100_000]
    monkeypatch.setattr(resource, "getrlimit", lambda which: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda which, wanted: limits.__setitem__(0, wanted[0]))
    assert connection_room() == ConnectionRoom()
    assert limits == [ConnectionRoom().descriptors, 100_000]
    limits[:] = [50_000, 100_000]
    assert connection_room() == ConnectionRoom()
    assert limits == [50_000, 100_000]  # never lowered
    limits[:] = [resource.RLIM_INFINITY, resource.RLIM_INFINITY]
    assert connection_room() == ConnectionRoom()
    assert descriptors.OTHERS > 100


FLOOD = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (220, 220))
from ganguard.gateway.http import descriptors
if sys.argv[2] == "careless":  # as if the limit fitted
    descriptors.fitting = lambda most: descriptors.ConnectionRoom()
sys.argv = ["ganguard", "serve", sys.argv[1]]
from ganguard.cli.main import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["bounded", "careless"])
def test_a_flood_of_connections_writes_few_lines_and_leaves_health(
    tmp_path: Path, generator: Path, limit: str
) -> None:
    spec, log = tmp_path / "gateway.yaml", tmp_path / "log"
    values = {"target": {"checkpoint": str(generator)}, "directory": str(tmp_path / "state"), "port": 0}
    spec.write_text(yaml.safe_dump(values))
    command = [sys.executable, "-c", FLOOD, str(spec), limit]
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as server,
        ExitStack() as opened,
    ):
        try:
            assert server.stdout
            port = int(server.stdout.readline().strip().rpartition(":")[2])
            for _ in range(1000):
                client = opened.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
            time.sleep(2)
            if limit == "bounded":
                with socket.create_connection(("127.0.0.1", port), 5) as client:
                    assert asked(client, "/healthz").startswith(b"HTTP/1.1 200")
            opened.close()
            time.sleep(2)
            with socket.create_connection(("127.0.0.1", port), 5) as client:
                assert asked(client, "/healthz").startswith(b"HTTP/1.1 200")
        finally:
            server.terminate()
            server.wait(60)
    lines = log.read_text().splitlines()
    assert 1 <= len(lines) <= 6, lines[:20]
    assert "Traceback" not in log.read_text()
