"""Clients that are slow, many, or unknown."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from ganguard.gateway.http.connection import Connection
from ganguard.gateway.refusals import ProblemError
from ganguard.gateway.shop import keys as keys_file
from ganguard.gateway.shop.keys import AsyncKeys, Key, Keys
from ganguard.queries.ledger_database import Database
from ganguard.targets.wire import Scopes

Start = Callable[..., Any]
Connect = Callable[[], socket.socket]
LARGE = 64 << 20  # bytes: more than a kernel takes off a process's hands
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


class Hasty(Connection):
    """With little patience."""

    longest_headers = 0.5
    longest_answer = 0.5


@pytest.fixture
def serving(at_a_socket: Start) -> Iterator[Callable[..., Connect]]:
    """Serve an application as `ganguard serve` does; what comes back connects to it."""
    with ExitStack() as running:

        def start(app: Any, kind: type[Connection] = Hasty) -> Connect:
            port = running.enter_context(at_a_socket(app, kind))
            return lambda: running.enter_context(closing(socket.create_connection(("127.0.0.1", port), 10)))

        yield start


def ends(client: socket.socket) -> bool:
    """Whether the other side closes within ten seconds, after whatever it says."""
    try:
        while client.recv(65_536):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


def cut_off(client: socket.socket, piece: bytes) -> bool:
    """Whether who goes on to send is cut off within ten seconds."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            client.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            return True
        time.sleep(0.05)
    return False


async def well(scope: Any, receive: Any, send: Any) -> None:
    """An application without anything behind it."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"OK"})


@pytest.mark.parametrize("before", [b"", GET], ids=["at once", "after a request"])
def test_headers_that_trickle_end(serving: Callable[..., Connect], before: bytes) -> None:
    client = serving(well)()
    client.sendall(before)
    if before:
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")
    assert cut_off(client, b"G")


def test_a_malformed_chunk_after_the_answer_ends_the_connection(
    serving: Callable[..., Connect], caplog: pytest.LogCaptureFixture
) -> None:
    client = serving(well, Connection)()
    client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert client.recv(65_536).startswith(b"HTTP/1.1 200")
    client.sendall(b"zz\r\n")
    assert ends(client)
    assert [record for record in caplog.records if record.exc_info] == []


def test_a_malformed_chunk_before_the_answer_is_told(serving: Callable[..., Connect]) -> None:
    client = serving(well, Connection)()
    client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    assert client.recv(65_536).startswith(b"HTTP/1.1 400")


def test_who_says_nothing_is_let_go(serving: Callable[..., Connect]) -> None:
    assert ends(serving(well)())


def test_an_answer_that_is_not_read_ends_and_frees_what_it_held(serving: Callable[..., Connect]) -> None:
    sent = threading.Event()

    async def large(scope: Any, receive: Any, send: Any) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", str(LARGE).encode())],
            }
        )
        await send({"type": "http.response.body", "body": bytes(LARGE), "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        sent.set()

    client = serving(large)()
    client.sendall(GET)
    assert sent.wait(10)
    read = 0
    with suppress(ConnectionResetError):
        while part := client.recv(1 << 20):
            read += len(part)
    assert read < LARGE


def test_nothing_is_read_of_a_body_whose_sender_is_unknown(
    gateway: Start, serving: Callable[..., Connect]
) -> None:
    us = gateway()
    forged = f"gg_{'0' * 16}_{'0' * 64}"
    client = serving(us.client.app)()
    client.sendall(f"POST /v1/images HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {forged}\r\n".encode())
    client.sendall(b"Content-Length: 1000000000\r\n\r\n")
    assert client.recv(65_536).startswith(b"HTTP/1.1 401")
    assert cut_off(client, bytes(100_000))


def test_a_body_is_as_large_as_its_key_allows(gateway: Start) -> None:
    us = gateway()
    most = 4096 + 26 * 5 * 64
    for scopes, fits in [
        (Scopes(), 4096),
        (Scopes(send_latents=True), most),
        (Scopes(send_latents=True, most_images=1), 4226),
    ]:
        headers = {"Authorization": f"Bearer {us.key(scopes=scopes)}", "Content-Type": "application/json"}
        content = b'{"count": 1}'
        assert us.client.post("/v1/images", content=content.ljust(fits), headers=headers).status_code == 200
        assert (
            us.client.post("/v1/images", content=content.ljust(fits + 1), headers=headers).status_code == 413
        )


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[Keys]:
    database = Database(tmp_path / "ledger.sqlite")
    yield Keys(database)
    database.close()


def stranger(number: int) -> str:
    return f"gg_{number:016x}_{'0' * 64}"


def test_made_up_keys_do_not_keep_good_ones_waiting(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    text, key = keys.create("us", "default", Scopes())
    assert keys.check(text) == key
    monkeypatch.setattr(keys_file, "FRESH", 0.0)  # so that the good key is looked up as well
    monkeypatch.setattr(keys_file, "MOST_STRANGERS", 3)
    answered, look_up = threading.Event(), keys._looked_up

    def slowly(id_: str) -> tuple[Key | None, str]:
        if id_ != key.id:
            answered.wait(20)
        return look_up(id_)

    monkeypatch.setattr(keys, "_looked_up", slowly)

    async def crowd() -> None:
        async_keys = AsyncKeys(keys)
        async with anyio.create_task_group() as tasks:
            for number in range(keys_file.STRANGERS_AT_ONCE + 3):
                tasks.start_soon(async_keys.check, stranger(number))
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(ProblemError, match="too many unknown keys"):
                await async_keys.check(stranger(99))
            assert await async_keys.check(text) == key
            answered.set()

    anyio.run(crowd)


def test_an_unknown_key_is_looked_up_once_a_second(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    looked, reading = list[str](), keys._database.reading

    def counted(wanted: str) -> Any:
        looked.append(wanted)
        return reading(wanted)

    monkeypatch.setattr(keys_file, "FRESH", 1000.0)
    monkeypatch.setattr(keys._database, "reading", counted)
    for _ in range(5):
        assert keys.check(stranger(1)) is None
    assert len(looked) == 1


def test_made_up_keys_are_forgotten_before_good_ones(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_file, "_MOST_KNOWN", 10)
    text, _ = keys.create("us", "default", Scopes())
    keys.check(text)
    for number in range(50):
        keys.check(stranger(number))
        assert len(keys._known) <= 10
    assert keys.seen(text)[0]
    assert keys.seen("gg") == (False, True)


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(
    gateway: Start, serving: Callable[..., Connect]
) -> None:
    us = gateway()
    client = serving(us.client.app)()
    client.sendall(
        f"POST /v1/images HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {us.key(scopes=Scopes())}\r\n".encode()
    )
    client.sendall(b"Expect: 100-continue\r\nContent-Length: 4097\r\n\r\n")
    assert client.recv(65_536).startswith(b"HTTP/1.1 413")


def test_a_body_that_does_not_say_its_length_is_read_as_far_as_it_may_be(gateway: Start) -> None:
    us = gateway()
    headers = {"Authorization": f"Bearer {us.key(scopes=Scopes())}", "Content-Type": "application/json"}
    pieces = iter([b'{"count": 1}', b" " * 4084])
    assert us.client.post("/v1/images", content=pieces, headers=headers).status_code == 200
    pieces = iter([b'{"count": 1}', b" " * 4085])
    assert us.client.post("/v1/images", content=pieces, headers=headers).status_code == 413
