"""Connections: so many at once, headers that come in time, and answers that are read in time."""

import asyncio
from typing import ClassVar

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from ganguard.gateway.http.problems import answer
from ganguard.gateway.refusals import AGAIN_AFTER, ProblemError

MOST = 512  # connections; who comes beyond is told to come again
BEYOND = 64  # of those that are told; yet more are closed without a word


class Connection(H11Protocol):
    """A connection of uvicorn's, which has no bound of its own for either: whoever sends a request's headers
    bit by bit, or does not read its answer, is cut off. (h11 bounds the size of headers, 16 KiB; `Limits`
    bounds bodies.)"""

    longest_headers: ClassVar[float] = 20.0  # seconds
    longest_answer: ClassVar[float] = 120.0  # seconds
    most: ClassVar[int] = MOST + BEYOND

    _headers_end: asyncio.TimerHandle | None = None
    _answer_ends: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless there are too many."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # an answer is unread until all of it has left
        if len(self.connections) > self.most:
            transport.abort()
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        """Bytes of a request."""
        super().data_received(data)
        self._await_headers()

    def send_400_response(self, msg: str) -> None:
        """Bytes that are no HTTP: say so, or end the connection where an answer has begun."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        """An answer waits to be read."""
        super().pause_writing()
        self._answer_ends = self._answer_ends or self.loop.call_later(
            self.longest_answer, self.transport.abort
        )

    def resume_writing(self) -> None:
        """It was read."""
        super().resume_writing()
        self._answer_ends = _ended(self._answer_ends)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._headers_end, self._answer_ends = _ended(self._headers_end), _ended(self._answer_ends)
        super().connection_lost(exc)

    def _await_headers(self) -> None:
        """Time runs from the first byte, or from the connection, until a request is at work. It runs too for
        who goes on to send what was refused already."""
        if self.cycle and not self.cycle.response_complete:
            self._headers_end = _ended(self._headers_end)
        else:
            self._headers_end = self._headers_end or self.loop.call_later(
                self.longest_headers, self.transport.abort
            )


def _ended(timer: asyncio.TimerHandle | None) -> None:
    if timer:
        timer.cancel()


class ConnectionLimit:
    """An application that answers 503 while there are more than `most` connections. connections: uvicorn's
    own set of them."""

    def __init__(self, app: ASGIApp, most: int = MOST) -> None:
        self.app, self._most = app, most
        self.connections: set[object] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or len(self.connections) <= self._most:
            return await self.app(scope, receive, send)
        refused = ProblemError(503, "too many connections; nothing was spent.", retry_after=AGAIN_AFTER)
        refused.headers["Connection"] = "close"
        return await answer(refused)(scope, receive, send)
