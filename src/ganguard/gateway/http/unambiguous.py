"""Requests must be understood in one way: what is said twice is refused (RFC 9112, section 6.3)."""

from starlette.types import ASGIApp, Receive, Scope, Send

from ganguard.gateway.http.problems import answer
from ganguard.gateway.refusals import ProblemError

# Every header of which the gateway, or what it stands on, reads one.
ONCE = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"expect",
        b"host",
        b"idempotency-key",
        b"transfer-encoding",
    }
)


class Unambiguous:
    """Middleware that answers an ambiguous request with a 400, and closes its connection."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = ambiguity(scope["headers"]) if scope["type"] == "http" else ""
        if not fault:
            return await self.app(scope, receive, send)
        refused = ProblemError(400, fault)
        refused.headers["Connection"] = "close"
        return await answer(refused)(scope, receive, send)


def ambiguity(headers: list[tuple[bytes, bytes]]) -> str:
    """Return what is ambiguous in a request's headers, whose names are in lower case; "" if nothing is."""
    seen = set[bytes]()
    for name, _ in headers:
        if name in ONCE and name in seen:
            return f"{name.decode()}: this header must be sent once; it came twice."
        seen.add(name)
    if {b"content-length", b"transfer-encoding"} <= seen:
        return "Content-Length and Transfer-Encoding: must not be sent both. Send one of them."
    return ""
