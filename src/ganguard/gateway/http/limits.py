"""Limits on request bodies: only with a valid key, up to a size, and within a time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ganguard.base.errors import GanguardError
from ganguard.gateway.http.problems import answer, unable
from ganguard.gateway.refusals import ProblemError

LONGEST_WAIT = 60.0  # seconds for a whole body
BYTES_AN_ENTRY = 26  # per entry of a code in JSON: 17 digits, a sign, an exponent and separators
HELD = "ganguard.held"  # the key, in a request's scope, of an ExitStack that closes once the answer is sent

Allowed = Callable[[str, str, bytes], Awaitable[int]]  # (method, path, Authorization header) -> bytes


class Limits:
    """Middleware that reads a request's body before the application sees it, or refuses the request.

    It refuses bodies that the client may not send (by what `allowed` raises), that are too large (413; unread
    if Content-Length says so), or that do not arrive in time (408).

    Args:
        app: the application.
        allowed: the bytes that a request may send, by method, path and Authorization header; it may raise
            ProblemError, before any byte of the body is read.
        longest_wait: seconds in which the whole body must arrive.
    """

    def __init__(self, app: ASGIApp, allowed: Allowed, longest_wait: float = LONGEST_WAIT) -> None:
        self.app, self._allowed, self._wait = app, allowed, longest_wait

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        try:
            headers = dict(scope["headers"])
            most = await self._allowed(scope["method"], scope["path"], headers.get(b"authorization", b""))
            if int(headers.get(b"content-length", b"0")) > most:  # h11 lets only numbers through
                raise _too_large(most)
            body = await self._body(receive, most)
        except ProblemError as refused:
            return await answer(refused)(scope, receive, send)
        except GanguardError as problem:
            return await unable(problem)(scope, receive, send)
        if body is None:
            return None  # the client went away
        parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return parts.pop() if parts else await receive()

        with ExitStack() as held:
            return await self.app({**scope, HELD: held}, again, _whole(send))

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
