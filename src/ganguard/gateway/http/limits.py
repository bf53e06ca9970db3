"""Limits on request bodies: only with a valid key, up to a size, within a time, and so many at once."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ganguard.base.errors import GanguardError
from ganguard.gateway.http.problems import answer, unable
from ganguard.gateway.http.shares import Shares
from ganguard.gateway.refusals import ProblemError

LONGEST_WAIT = 60.0  # seconds for a whole body
BYTES_AN_ENTRY = 26  # per entry of a code in JSON: 17 digits, a sign, an exponent and separators
LARGEST_UNREAD = 4096  # bytes of a body that no route reads
LARGEST_BODY = 32 << 20  # bytes, however many codes a key may send
MOST_BYTES = 128 << 20  # bytes of all bodies that are read, or whose requests are worked on
ACCOUNT = "ganguard.account"  # the key, in a request's scope, of the account that asks
HELD = "ganguard.held"  # the key, in a request's scope, of an ExitStack that closes once the answer is sent

# (method, path, Authorization header) -> bytes; 0 if the route reads no body
Allowed = Callable[[str, str, bytes], Awaitable[int]]


class Limits:
    """Middleware that reads a request's body before the application sees it, or refuses the request.

    It refuses bodies that the client may not send (by what `allowed` raises), that are too large (413; unread
    if Content-Length says so), that do not arrive in time (408), or for which there is no room now (503). It
    leaves a body alone that no route reads.

    Args:
        app: the application.
        allowed: the bytes that a request may send, by method, path and Authorization header; it may raise
            ProblemError, before any byte of the body is read.
        longest_wait: seconds in which the whole body must arrive.
    """

    def __init__(self, app: ASGIApp, allowed: Allowed, longest_wait: float = LONGEST_WAIT) -> None:
        self.app, self._allowed, self._wait = app, allowed, longest_wait
        self._room = Shares(MOST_BYTES, "too many bodies are being read; nothing more was spent.")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        with ExitStack() as held:
            try:
                again = await self._read(scope, receive, held)
            except ProblemError as refused:
                return await answer(refused)(scope, receive, send)
            except GanguardError as problem:
                return await unable(problem)(scope, receive, send)
            if again is not None:  # otherwise the client went away
                await self.app({**scope, HELD: held}, again, _whole(send))

    async def _read(self, scope: Scope, receive: Receive, held: ExitStack) -> Receive | None:
        """Read a request's body, if its route does, and hold room for it.

        Returns:
            A `receive` that gives the body again; None if the client disconnects.

        Raises ProblemError (408, 413, 503), and what `allowed` raises.
        """
        headers = dict(scope["headers"])
        most = await self._allowed(scope["method"], scope["path"], headers.get(b"authorization", b""))
        said = int(headers.get(b"content-length", b"0"))  # h11 lets only numbers through
        if said > (most or LARGEST_UNREAD):
            raise _too_large(most or LARGEST_UNREAD)
        if not most:
            return receive
        held.enter_context(
            self._room.hold(scope.get(ACCOUNT, ""), said if b"content-length" in headers else most)
        )
        body = await self._body(receive, most)
        parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return parts.pop() if parts else await receive()

        return None if body is None else again

    async def _body(self, receive: Receive, most: int) -> bytes | None:
        """Return the body; None if the client disconnects. Raises ProblemError (408, 413)."""
        found = bytearray()
        try:
            async with asyncio.timeout(self._wait):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    found += message.get("body", b"")
                    if len(found) > most:
                        raise _too_large(most)
                    if not message.get("more_body"):
                        return bytes(found)
        except TimeoutError:
            raise ProblemError(408, f"the body did not arrive within {self._wait:g} seconds.") from None


def _too_large(most: int) -> ProblemError:
    return ProblemError(413, f"at most {most:,} bytes may be sent.")


def _whole(send: Send) -> Send:
    """Return a `send` that returns from an answer's last piece only once that piece has left this process.

    The server waits before each piece until the piece before it is gone, so an empty last piece is added.
    """

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body") and message.get("body"):
            await send({**message, "more_body": True})
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    return sent
