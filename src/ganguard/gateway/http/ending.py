"""The answer to requests that are still worked on when a gateway that is told to end has waited enough."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ganguard.gateway.http.problems import answer, closing


class Ending:
    """An ASGI application that answers requests with a 503 if the server cancels them as it ends.

    Args:
        app: the application that answers otherwise.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            if begun:
                return  # the server closes the connection: half an answer is not taken for a whole one
            await answer(closing())(scope, receive, send)
