"""What a client may send: so many bytes, and not for ever."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ganguard.gateway.problems import ProblemError, answer

LONGEST_WAIT = 30.0  # seconds for the next piece of a body
BYTES_AN_ENTRY = 26  # of a code in JSON: 17 digits, a sign, an exponent and what stands between


class Limits:
    """Refuses bodies of more than `most` bytes (413), and those that do not come (408), before anything is made of them."""

    def __init__(self, app: ASGIApp, most: int, longest_wait: float = LONGEST_WAIT) -> None:
        self.app, self._most, self._wait = app, most, longest_wait

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        try:
            body = await self._body(receive)
        except ProblemError as refused:
            return await answer(refused)(scope, receive, send)
        if body is None:
            return None  # the client went away
        parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return parts.pop() if parts else await receive()

        return await self.app(scope, again, send)

    async def _body(self, receive: Receive) -> bytes | None:
        found = bytearray()
        while True:
            try:
                message = await asyncio.wait_for(receive(), self._wait)
            except TimeoutError:
                raise ProblemError(408, f"nothing came for {self._wait:g} seconds.") from None
            if message["type"] == "http.disconnect":
                return None
            found += message.get("body", b"")
            if len(found) > self._most:
                raise ProblemError(413, f"at most {self._most:,} bytes may be sent.")
            if not message.get("more_body"):
                return bytes(found)
