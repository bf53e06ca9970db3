"""What a client may send: with a key that holds, so many bytes, and not for ever."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ganguard.base.errors import GanguardError
from ganguard.gateway.http.problems import answer, unable
from ganguard.gateway.refusals import ProblemError

LONGEST_WAIT = 60.0  # seconds for a body, all of it
BYTES_AN_ENTRY = 26  # of a code in JSON: 17 digits, a sign, an exponent and what stands between
HELD = "ganguard.held"  # what is to be given up once the answer is sent, an ExitStack in a request's scope

Allowed = Callable[[str, str, bytes], Awaitable[int]]


class Limits:
    """Refuses bodies of callers who may send none, and those that are too large (413; before a byte of them
    is read, where they say how long they are) or do not come (408), before anything is made of them.

    allowed: method, path and Authorization header to the bytes that may be sent; it raises ProblemError
    before any is read.
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
            raise ProblemError(408, f"the request did not come within {self._wait:g} seconds.") from None


def _too_large(most: int) -> ProblemError:
    return ProblemError(413, f"at most {most:,} bytes may be sent.")


def _whole(send: Send) -> Send:
    """Returns from the last piece of an answer only once it has left this process: the server waits, before
    it sends another piece, until what it has is gone."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body") and message.get("body"):
            await send({**message, "more_body": True})
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    return sent
