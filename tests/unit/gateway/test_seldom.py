"""Lines that strangers can provoke are written once a minute, and say how many were left out."""

import asyncio
import errno
import logging
import socket
import sys

import pytest

from ganguard.gateway import seldom
from ganguard.gateway.seldom import MOST_LINES, PROVOKED, Seldom, quiet


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def record(said: str, *parts: object, failed: bool = False) -> logging.LogRecord:
    try:
        raise ValueError("x")
    except ValueError:
        trace = sys.exc_info() if failed else None
    return logging.LogRecord("strangers", logging.ERROR, __file__, 1, said, parts, trace)


def test_a_line_is_written_once_a_minute_and_others_are_counted() -> None:
    clock = Clock()
    passing = Seldom(clock).filter
    assert passing(record("refused %s", "a"))
    assert passing(record("refused %s", "b"))
    assert passing(record("refused a", failed=True))
    assert [passing(record("refused %s", "a")) for _ in range(1000)] == [False] * 1000
    clock.now += 61
    last = record("refused %s", "a")
    assert passing(last)
    assert last.getMessage() == "refused a (1,000 more such lines were left out)"
    assert not passing(record("refused a"))


def test_so_are_many_different_lines() -> None:
    clock = Clock()
    passing = Seldom(clock).filter
    assert sum(passing(record(f"refused {number}")) for number in range(10 * MOST_LINES)) == MOST_LINES
    clock.now += 61
    assert passing(record("refused at last"))


def test_a_server_without_descriptors_says_so_in_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = Seldom()
    monkeypatch.setattr(seldom, "_SELDOM", fresh)
    monkeypatch.setattr(PROVOKED, "filters", [fresh])
    monkeypatch.setattr(logging.getLogger("asyncio"), "filters", [])

    async def flood() -> None:
        loop = asyncio.get_running_loop()
        quiet(loop)
        for _ in range(1000):
            problem = OSError(errno.EMFILE, "Too many open files")
            said = "socket.accept() out of system resource"
            loop.call_exception_handler({"message": said, "exception": problem})
        for _ in range(1000):
            loop.call_exception_handler({"message": "data_received() failed", "exception": ValueError("x")})

    asyncio.run(flood())
    assert len(caplog.records) == 2
    first, second = caplog.records
    assert "Too many open files" in first.getMessage() and first.exc_info is None
    assert second.exc_info


def test_listening_again_after_the_end_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """A second after it had no descriptors, asyncio listens again, at a socket that may be closed by then."""

    async def ends() -> None:
        loop = asyncio.get_running_loop()
        quiet(loop)
        closed = socket.socket()
        closed.close()
        loop.call_soon(loop._start_serving, asyncio.Protocol, closed)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]
        await asyncio.sleep(0)
        loop.call_soon(lambda: int("another fault"))
        await asyncio.sleep(0)

    asyncio.run(ends())
    assert ["another fault" in (record.exc_text or str(record.exc_info)) for record in caplog.records] == [
        True
    ]
