"""The end of a gateway: what is still worked on is answered, and what hangs does not keep the process."""

import asyncio
import json
import os
import socket
import threading
import time
from contextlib import closing
from typing import Any

import pytest

from ganguard.gateway.http import serving
from ganguard.gateway.http.problems import under
from ganguard.gateway.http.serving import server_of
from ganguard.gateway.refusals import ProblemError

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def _hang(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.Event().wait()


async def _half(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    await asyncio.Event().wait()


@pytest.mark.parametrize("app", [_hang, _half])
def test_requests_that_are_cut_off_are_told_to_ask_again(app: Any, caplog: pytest.LogCaptureFixture) -> None:
    server = server_of(app)
    server.config.lifespan, server.config.timeout_graceful_shutdown = "off", 1
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        with closing(socket.create_connection(listening.getsockname(), 10)) as client:
            client.sendall(GET)
            time.sleep(0.3)
            server.should_exit = True
            answer = b""
            while piece := client.recv(65_536):
                answer += piece
        thread.join(20)
    if app is _half:
        assert answer.startswith(b"HTTP/1.1 200")
        return
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503")
    assert b"retry-after: " in head.lower()
    assert b"connection: close" in head.lower()
    assert "Ask again under the same idempotency key" in json.loads(body)["detail"]
    assert "Traceback" not in caplog.text


class _Told:
    """A server that is told to end, or not."""

    should_exit = False


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The exit codes with which the process would have ended."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(serving, "LONGEST_END", 0.2)
    return codes


def test_a_process_that_hangs_is_ended_with_one_line(
    ended: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    server: Any = _Told()
    thread = threading.Thread(target=serving._end_at_last, args=(server,))
    thread.start()
    time.sleep(0.5)
    assert ended == []  # nobody told it to
    server.should_exit = True
    thread.join(5)
    assert ended == [1]
    (line,) = [record.getMessage() for record in caplog.records]
    assert "not at an end after 0.2 seconds" in line
    assert "\n" not in line


def test_a_log_that_hangs_does_not_keep_it(ended: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    over, waited = threading.Event(), list[bool]()
    monkeypatch.setattr(serving.LOG, "error", lambda *_: waited.append(over.wait(60)))
    server: Any = _Told()
    server.should_exit = True
    serving._end_at_last(server)
    assert ended == [1]
    assert waited == []  # the log still hangs
    over.set()


def test_all_of_it_is_within_thirty_seconds() -> None:
    assert serving.PATIENCE < serving.LONGEST_END
    assert serving._LOOK_EVERY + serving.LONGEST_END + 1 < 30


def test_an_order_that_is_cut_off_names_its_key() -> None:
    with pytest.raises(ProblemError) as cut_off, under("a key of ours"):
        raise asyncio.CancelledError
    refused = cut_off.value
    assert refused.problem.status == 503
    assert refused.problem.idempotency_key == refused.headers["Idempotency-Key"] == "a key of ours"
    assert refused.headers["Connection"] == "close"
