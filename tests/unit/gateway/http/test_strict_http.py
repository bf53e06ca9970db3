"""Requests that two parties could understand in two ways are refused, and their connections closed."""

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import h11
import pytest

from ganguard.gateway.http.request_rate import RequestRate
from ganguard.gateway.http.strict_http import BYTES_A_CHUNK, FEW_CHUNKS, StrictConnection
from ganguard.gateway.http.unambiguous import Unambiguous, ambiguity

Start = Callable[..., Any]
POST = b"POST /v1/images HTTP/1.1\r\nHost: x\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
REFUSED = {
    "a length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "a length of 0 and chunks": GET + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "the same length twice": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a list of lengths": POST + b"Content-Length: 2, 2\r\n\r\n{}",
    "a length with a sign": POST + b"Content-Length: +2\r\n\r\n{}",
    "a length in another base": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "an empty length": POST + b"Content-Length:\r\n\r\n{}",
    "another coding": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "no coding": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a control before the coding": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a folded header": GET + b"A: b\r\n c\r\n\r\n",
    "a header folded with a tab": GET + b"A: b\r\n\tc\r\n\r\n",
    "a folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "line feeds alone": b"GET /healthz HTTP/1.1\nHost: x\n\n",
    "one line feed alone": b"GET /healthz HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
    "a line feed at the end": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\n",
    "a carriage return alone": b"GET /healthz HTTP/1.1\r\nHost: x\rA: b\r\n\r\n",
    "a carriage return within": GET + b"A: b\rc\r\n\r\n",
    "a space before the colon": POST + b"Content-Length : 2\r\n\r\n{}",
    "a tab before the colon": POST + b"Content-Length\t: 2\r\n\r\n{}",
    "no colon": GET + b"Content-Length\r\n\r\n",
    "no name": GET + b": x\r\n\r\n",
    "chunks in HTTP 1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP 0.9": b"GET /healthz HTTP/0.9\r\n\r\n",
    "HTTP 1.2": b"GET /healthz HTTP/1.2\r\nHost: x\r\n\r\n",
    "HTTP 2.0": b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n",
    "a zero in a value": GET + b"A: b\0c\r\n\r\n",
    "a control in a value": GET + b"A: b\x01c\r\n\r\n",
    "a zero in a name": GET + b"A\0: b\r\n\r\n",
    "a zero in a path": b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n",
    "two hosts": GET + b"Host: y\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two authorizations": GET + b"Authorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n",
    "the same authorization twice": GET + b"Authorization: Bearer a\r\nAuthorization: Bearer a\r\n\r\n",
    "two idempotency keys": POST + b"Idempotency-Key: a\r\nIdempotency-key: b\r\n\r\n",
    "two content types": POST + b"Content-Type: application/json\r\nContent-Type: text/plain\r\n\r\n",
    "a chunk's extension": CHUNKED + b"2;a=b\r\n{}\r\n0\r\n\r\n",
    "a blank after a chunk's size": CHUNKED + b"2 \r\n{}\r\n0\r\n\r\n",
    "a chunk's size with a sign": CHUNKED + b"+2\r\n{}\r\n0\r\n\r\n",
    "a chunk's size in Python": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk's size of nine digits": CHUNKED + b"000000002\r\n{}\r\n0\r\n\r\n",
    "a chunk's size with a line feed": CHUNKED + b"2\n{}\r\n0\r\n\r\n",
    "a chunk without an end": CHUNKED + b"2\r\n{}0\r\n\r\n",
    "a trailer": CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
    "a trailer in hexadecimal": CHUNKED + b"0\r\nabc\r\n\r\n",
    "a hundred headers": GET + b"a: b\r\n" * 100 + b"\r\n",
    "blanks": GET + b"A:" + b" " * 65 + b"b\r\n\r\n",
}
ACCEPTED = {
    "nothing more": GET + b"\r\n",
    "a length": POST + b"Content-Length: 2\r\n\r\n{}",
    "chunks": CHUNKED + b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    "chunks in capitals": POST + b"Transfer-Encoding: Chunked\r\n\r\nA\r\n{        }\r\n00\r\n\r\n",
    "HTTP 1.0": b"GET /healthz HTTP/1.0\r\n\r\n",
    "letters beyond ASCII": GET + b"A: \xc3\xa9\t \xff\r\n\r\n",
    "many headers": GET + b"a: b\r\n" * 90 + b"\r\n",
}


async def plain(scope: Any, receive: Any, send: Any) -> None:
    """An application that reads the body and answers with the path."""
    while (await receive()).get("more_body"):
        pass
    body = scope["path"].encode()
    length = str(len(body)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def port(at_a_socket: Callable[[Any], AbstractContextManager[int]]) -> Iterator[int]:
    with at_a_socket(Unambiguous(plain)) as found:
        yield found


def answers(port: int, content: bytes) -> bytes:
    """What comes back until the other side closes; a TimeoutError if it does not."""
    found = b""
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(content)
        try:
            while part := client.recv(65_536):
                found += part
        except ConnectionResetError:  # bytes were left unread
            pass
    return found


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_has_two_meanings_is_refused_and_ends_the_connection(port: int, name: str) -> None:
    found = answers(port, REFUSED[name] + SMUGGLED)
    assert found.startswith(b"HTTP/1.1 400 ")
    assert found.count(b"HTTP/1.1 ") == 1
    head, _, body = found.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower()
    assert b"connection: close" in head.lower()
    assert json.loads(body)["status"] == 400


@pytest.mark.parametrize("name", list(ACCEPTED))
def test_what_has_one_meaning_is_accepted(port: int, name: str) -> None:
    last = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    found = answers(port, ACCEPTED[name] + last)
    assert found.startswith(b"HTTP/1.1 200 ")
    assert found.endswith(b"/last") or b"HTTP 1.0" in name.encode()


@pytest.mark.parametrize("name", list(REFUSED))
def test_how_the_bytes_arrive_makes_no_difference(name: str) -> None:
    """One byte at a time."""
    with pytest.raises(h11.RemoteProtocolError):
        events(StrictConnection(16_384), [bytes([one]) for one in REFUSED[name] + SMUGGLED], strict=True)


def events(conn: StrictConnection, pieces: list[bytes], *, strict: bool = False) -> list[Any]:
    """The events of one request; with `strict`, what the middleware refuses raises as well."""
    found: list[Any] = []
    for piece in pieces:
        conn.receive_data(piece)
        while (event := conn.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            found.append(event)
            if strict and isinstance(event, h11.Request) and ambiguity(list(event.headers)):
                raise h11.RemoteProtocolError("ambiguous")
    return found


def test_a_body_may_come_in_chunks_of_any_size_but_not_in_ever_so_many() -> None:
    def chunks(size: int, number: int) -> bytes:
        return CHUNKED + b"%x\r\n%s\r\n" % (size, b"a" * size) * number + b"0\r\n\r\n"

    for size, number in [(1, FEW_CHUNKS), (BYTES_A_CHUNK, 500), (100_000, 3)]:
        found = events(StrictConnection(16_384), [chunks(size, number)])
        assert sum(len(event.data) for event in found if isinstance(event, h11.Data)) == size * number
        assert isinstance(found[-1], h11.EndOfMessage)
    for size, number in [(1, FEW_CHUNKS + 1), (BYTES_A_CHUNK // 2, 1000)]:
        with pytest.raises(h11.RemoteProtocolError, match="chunks"):
            events(StrictConnection(16_384), [chunks(size, number)])


BLANKS = b" " * 15_000
SLOW = {
    "blanks before a control": GET + b"A:" + BLANKS + b"\x0b\r\n\r\n",
    "tabs before a control": GET + b"A:" + b"\t" * 15_000 + b"\x0b\r\n\r\n",
    "blanks in a chunk's extension": CHUNKED + b"2;" + BLANKS + b"\nb\r\n{}\r\n",
    "blanks in a trailer": CHUNKED + b"0\r\nA: " + BLANKS + b"\x0b\r\n\r\n",
    "many headers": GET + b"a:b\r\n" * 3000 + b"\r\n",
    "many chunks": CHUNKED + b"1\r\na\r\n" * 40_000 + b"0\r\n\r\n",
}


@pytest.mark.parametrize("name", list(SLOW))
def test_what_h11_takes_long_for_never_reaches_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """h11 took up to 0.8 s for each of these, on the event loop."""
    read = list[int]()
    taken = h11.Connection.next_event

    def counted(self: h11.Connection) -> Any:
        read.append(1)
        return taken(self)

    monkeypatch.setattr(h11.Connection, "next_event", counted)
    with pytest.raises(h11.RemoteProtocolError) as raised:
        events(StrictConnection(16_384), [SLOW[name]])
    assert raised.value.args[0].endswith(".")  # in our words, not in h11's
    assert len(read) < 2 * FEW_CHUNKS + 10


def test_strangers_fill_no_log(port: int, caplog: pytest.LogCaptureFixture) -> None:
    upgrade = GET + b"Connection: upgrade, close\r\nUpgrade: websocket\r\n\r\n"
    with caplog.at_level(logging.DEBUG):
        for _ in range(20):
            answers(port, b"hello\r\n\r\n")
            answers(port, upgrade)
            answers(port, CHUNKED + b"zz\r\n")
    lines = [
        record.getMessage() for record in caplog.records if record.name.startswith(("uvicorn", "ganguard"))
    ]
    assert len(lines) <= 3, lines
    assert [record for record in caplog.records if record.exc_info] == []


def test_many_malformed_requests_are_answered_later(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a flood of them costs little: each connection gets one answer a second."""
    monkeypatch.setattr(RequestRate, "ask", lambda self, bucket, a_minute: 0.3)
    begun = time.monotonic()
    assert answers(port, b"hello\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert time.monotonic() - begun >= 0.3
