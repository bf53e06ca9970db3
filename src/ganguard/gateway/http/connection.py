"""Limits on connections: their number, and the time for sending headers and for reading answers."""

import asyncio
from typing import ClassVar

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from ganguard.gateway.http.problems import answer
from ganguard.gateway.refusals import AGAIN_AFTER, ProblemError

MOST = 512  # connections that are served; on further ones requests are refused with a 503
BEYOND = 64  # such further connections; any more are closed without an answer


class Connection(H11Protocol):
    """A uvicorn connection that is closed if the client sends headers, or reads an answer, too slowly.

    uvicorn itself limits neither. (h11 limits the size of headers to 16 KiB; `Limits` limits the size of
    bodies, and the time for sending them.)

    Attributes:
        longest_headers: seconds in which a request's headers must arrive.
        longest_answer: seconds in which an answer must be read.
        most: connections beyond which new ones are closed at once.
    """

    longest_headers: ClassVar[float] = 20.0
    longest_answer: ClassVar[float] = 120.0
    most: ClassVar[int] = MOST + BEYOND

    _headers_end: asyncio.TimerHandle | None = None
    _answer_ends: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, unless there are too many."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # an answer counts as unread until all of it is sent
        if len(self.connections) > self.most:
            transport.abort()
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        """Take in bytes of a request."""
        super().data_received(data)
        self._await_headers()

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are not HTTP with a 400, or close the connection if an answer has begun."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        """Start the answer's timer: the client has not read all that was sent."""
        super().pause_writing()
        self._answer_ends = self._answer_ends or self.loop.call_later(
            self.longest_answer, self.transport.abort
        )

    def resume_writing(self) -> None:
        """Stop the answer's timer: the client has read all that was sent."""
        super().resume_writing()
        self._answer_ends = _ended(self._answer_ends)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop both timers."""
        self._headers_end, self._answer_ends = _ended(self._headers_end), _ended(self._answer_ends)
        super().connection_lost(exc)

    def _await_headers(self) -> None:
        """Run the headers' timer whenever no request is being worked on.

        It starts with the connection, or with the first byte after an answer, and stops once the application
        works on a request. So it also ends connections whose clients go on sending a body that was refused.
        """
        if self.cycle and not self.cycle.response_complete:
            self._headers_end = _ended(self._headers_end)
        else:
            self._headers_end = self._headers_end or self.loop.call_later(
                self.longest_headers, self.transport.abort
            )


def _ended(timer: asyncio.TimerHandle | None) -> None:
    """Cancel a timer if there is one, and return None in its place."""
    if timer:
        timer.cancel()


class ConnectionLimit:
    """An ASGI application that answers every request with a 503 while there are too many connections.

    Args:
        app: the application that answers otherwise.
        most: connections that are not too many.

    Attributes:
        connections: the open connections, uvicorn's own set.
    """

    def __init__(self, app: ASGIApp, most: int = MOST) -> None:
        self.app, self._most = app, most
        self.connections: set[object] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or len(self.connections) <= self._most:
            return await self.app(scope, receive, send)
        refused = ProblemError(503, "too many connections; nothing was spent.", retry_after=AGAIN_AFTER)
        refused.headers["Connection"] = "close"
        return await answer(refused)(scope, receive, send)
