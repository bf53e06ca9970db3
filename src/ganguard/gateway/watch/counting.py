"""Middleware that counts the responses of /v1/images by status.

It wraps the whole application, so that requests refused by a limit or a key check are counted too.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ganguard.gateway.watch.telemetry import Telemetry
from ganguard.targets.wire import IMAGES


class Counted:
    """An ASGI application whose /v1/images responses are counted as they start."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self.app, self._telemetry = app, telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._telemetry.answered(message["status"])
            await send(message)

        ours = scope["type"] == "http" and scope["path"] == IMAGES
        await self.app(scope, receive, counted if ours else send)
