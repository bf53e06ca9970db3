"""Limits on connections: their number, the form of requests, and the time for headers and for answers."""

import asyncio
import socket
from functools import partial
from typing import Any, ClassVar

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from ganguard.gateway.http.descriptors import ConnectionRoom
from ganguard.gateway.http.door import LONGEST_PAUSE, STRANGERS_A_MINUTE, WORKING
from ganguard.gateway.http.problems import answer
from ganguard.gateway.http.request_rate import RequestRate
from ganguard.gateway.http.strict_http import StrictConnection
from ganguard.gateway.http.table import HEALTH, Table
from ganguard.gateway.refusals import AGAIN_AFTER, ProblemError
from ganguard.gateway.seldom import PROVOKED

LONGEST_HEAD = 16_384  # bytes of a request's line and headers


class Connection(H11Protocol):
    """A uvicorn connection that is closed if the client sends headers, or reads an answer, too slowly.

    uvicorn itself limits neither. (`StrictConnection` limits the form and the size of headers; `Limits`
    limits the size of bodies, and the time for sending them.) If there are too many connections, `Table` says
    which one is closed, and a connection beyond the table gets health alone.

    Attributes:
        longest_headers: seconds in which a request's headers must arrive.
        longest_headers_beyond: the same, beyond the table.
        longest_answer: seconds in which an answer must be read.
        table: the connections of the server.
        faults: the rate of requests that are not HTTP.
    """

    longest_headers: ClassVar[float] = 20.0
    longest_headers_beyond: ClassVar[float] = 5.0
    longest_answer: ClassVar[float] = 120.0
    table: ClassVar[Table] = Table(ConnectionRoom.most, ConnectionRoom.beyond)
    faults: ClassVar[RequestRate] = RequestRate()

    _headers_end: asyncio.TimerHandle | None = None
    _answer_ends: asyncio.TimerHandle | None = None
    _beyond = _refused = False

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn: StrictConnection = StrictConnection(LONGEST_HEAD)
        self.logger = PROVOKED  # anybody can make uvicorn write a line
        self._inner: ASGIApp = self.app  # type: ignore[assignment]
        self.app = self._serve  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, and let another one go if there are too many."""
        super().connection_made(transport)
        # asyncio does so only for sockets that were made with IPPROTO_TCP. Without it, the second of two
        # writes waits for the client's acknowledgement, which takes 40 ms on a connection that is kept.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=0)  # an answer counts as unread until all of it is sent
        self._beyond = not self.table.join(self)
        self._await_headers()

    def end(self) -> None:
        """Close the connection without another word."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take in bytes of a request."""
        super().data_received(data)
        self._await_headers()

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are not HTTP with a 400, after a pause if there are many such answers."""
        if not self._refused:
            self._refused = True
            self.transport.pause_reading()
            wait = min(self.faults.ask("", STRANGERS_A_MINUTE), LONGEST_PAUSE)
            _ = self.loop.call_later(wait, self._refuse) if wait else self._refuse()

    def _refuse(self) -> None:
        """Send the 400, unless an answer has begun, and close the connection."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            said = answer(ProblemError(400, self.conn.fault or "the request must be well-formed HTTP."))
            headers = [*said.raw_headers, (b"connection", b"close")]
            for event in (
                h11.Response(status_code=400, headers=headers),
                h11.Data(data=bytes(said.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        if self.cycle and not self.cycle.response_complete:  # what the application says now would be too much
            self.cycle.disconnected = True
            self.cycle.message_event.set()
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
        """Stop both timers, and leave the table."""
        self._headers_end, self._answer_ends = _ended(self._headers_end), _ended(self._answer_ends)
        self.table.leave(self)
        super().connection_lost(exc)

    def _await_headers(self) -> None:
        """Run the headers' timer whenever no request is being worked on.

        It starts with the connection, or with the first byte after an answer, and stops once the application
        works on a request. So it also ends connections whose clients go on sending a body that was refused.
        """
        if self.cycle and not self.cycle.response_complete:
            self._headers_end = _ended(self._headers_end)
        else:
            longest = self.longest_headers_beyond if self._beyond else self.longest_headers
            self._headers_end = self._headers_end or self.loop.call_later(longest, self.transport.abort)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request: by the application, or, beyond the table, only if it asks for health."""
        if not self._beyond:
            return await self._inner({**scope, WORKING: partial(self.table.working, self)}, receive, send)
        if scope["path"] in HEALTH:
            await self._inner(scope, receive, send)
            return self.transport.close()
        refused = ProblemError(503, "too many connections; nothing more was spent.", retry_after=AGAIN_AFTER)
        refused.headers["Connection"] = "close"
        return await answer(refused)(scope, receive, send)


def _ended(timer: asyncio.TimerHandle | None) -> None:
    """Cancel a timer if there is one, and return None in its place."""
    if timer:
        timer.cancel()
