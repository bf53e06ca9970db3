"""Requests as the routes read them: HEAD as GET, and nothing that no route reads."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE = "/"  # the operator's page
LONGEST_QUERY = 400  # bytes: an account's name of 80 characters, escaped, and a page's number


class Plain:
    """Middleware that answers HEAD as it answers GET, without the body, and drops queries and cookies.

    FastAPI would parse them for each request, which takes 8 ms for the longest. No route reads a cookie, and
    only the operator's page a query, which is short.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = [header for header in scope["headers"] if header[0] != b"cookie"]
        query = scope["query_string"] if scope["path"] == PAGE else b""
        plain = {**scope, "headers": headers, "query_string": query[:LONGEST_QUERY]}
        if scope["method"] != "HEAD":
            return await self.app(plain, receive, send)

        async def without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        return await self.app({**plain, "method": "GET"}, receive, without_body)
