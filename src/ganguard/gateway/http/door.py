"""The door: who asks, how often, and how many requests of one account are worked on at once."""

import asyncio
from base64 import b64decode
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ganguard.base.errors import GanguardError
from ganguard.gateway.http.auth import Check, bearer
from ganguard.gateway.http.limits import ACCOUNT
from ganguard.gateway.http.problems import answer, unable
from ganguard.gateway.http.request_rate import RequestRate
from ganguard.gateway.http.shares import Shares
from ganguard.gateway.http.table import HEALTH
from ganguard.gateway.refusals import ProblemError
from ganguard.gateway.shop.keys import Key

STRANGERS_A_MINUTE = 6000  # requests without a valid key, of all clients together, that are answered at once
HEALTH_A_MINUTE = 6000  # checks of health, of all clients together, that are answered at once
LONGEST_PAUSE = 1.0  # seconds by which an answer is delayed to a client that asks too often
HEALTH_PAUSE = 0.02  # seconds by which health is delayed at most
MOST_AT_ONCE = 512  # requests with a valid key that are worked on at once
BYTES_A_REQUEST = 65_536  # a body counts as one more request for each so many bytes
WORKING = "ganguard.working"  # the key, in a request's scope, of what keeps its connection from being closed

_STRANGERS, _CHECKS = " strangers", " health"  # buckets: no account's name begins with a blank
Working = Callable[[], AbstractContextManager[None]]


class Door:
    """Middleware that finds a request's key, and bounds the requests of each account.

    A request beyond the rate is refused (429), the later the more there are, so that refusals cost little.
    The answers to requests without a valid key are delayed, too, if there are many; health by far less.

    Args:
        app: the application.
        check: finds the key that a text shows.
        a_minute: returns the requests a minute of a key's account; None: no limit.
    """

    def __init__(self, app: ASGIApp, check: Check, a_minute: Callable[[Key], int | None]) -> None:
        self.app, self._check, self._a_minute = app, check, a_minute
        self._rate = RequestRate()
        self._at_once = Shares(MOST_AT_ONCE, "too many requests are worked on; nothing more was spent.")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if scope["path"] in HEALTH:
            await _pause(min(self._rate.ask(_CHECKS, HEALTH_A_MINUTE), HEALTH_PAUSE))
            return await self.app(scope, receive, send)
        with ExitStack() as held:
            try:
                key = await self._key(scope)
                if key is not None:
                    receive = await self._let_in(key, receive, scope.get(WORKING, nullcontext), held)
                    scope = {**scope, ACCOUNT: key.account}
            except ProblemError as refused:
                return await answer(refused)(scope, receive, send)
            except GanguardError as problem:
                return await unable(problem)(scope, receive, send)
            return await self.app(scope, receive, send)

    async def _key(self, scope: Scope) -> Key | None:
        """Return the valid key that a request shows; None, after a pause if there are many, if it shows none.

        Raises ProblemError (503) if too many unknown keys are being looked up, and what the look-up raises.
        """
        shown = shown_key(next((value for name, value in scope["headers"] if name == b"authorization"), b""))
        try:
            if shown:
                return await self._check(shown)
        except ProblemError as refused:
            if refused.problem.status != 401:
                await _pause(self._rate.ask(_STRANGERS, STRANGERS_A_MINUTE))
                raise
        await _pause(self._rate.ask(_STRANGERS, STRANGERS_A_MINUTE))
        return None

    async def _let_in(self, key: Key, receive: Receive, working: Working, held: ExitStack) -> Receive:
        """Hold a place for a request until the stack closes; return a `receive` that counts its body.

        Raises ProblemError: 429 if the account asks too often, 503 if too many of its requests are worked on.
        """
        a_minute = self._a_minute(key)
        if wait := self._rate.ask(key.account, a_minute):
            await _pause(wait)
            said = f"this account may send at most {a_minute} requests a minute. Nothing more was spent."
            raise ProblemError(429, said, retry_after=wait, kind="request-rate")
        held.enter_context(self._at_once.hold(key.account, 1))
        held.enter_context(working())

        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            before, size = size, size + len(message.get("body", b""))
            if more := size // BYTES_A_REQUEST - before // BYTES_A_REQUEST:
                self._rate.charge(key.account, a_minute, more)
            return message

        return counted


async def _pause(seconds: float) -> None:
    if seconds:
        await asyncio.sleep(min(seconds, LONGEST_PAUSE))


def shown_key(header: bytes) -> str:
    """Return the key in an Authorization header, a bearer token or a basic one's password; "" if none.

    It reads both as FastAPI does for the routes: a key that only they found would have no rate.
    """
    scheme, _, shown = header.decode("latin-1").partition(" ")
    if scheme.lower() != "basic":
        return bearer(header)
    try:
        return b64decode(shown.strip()).decode("ascii").partition(":")[2]
    except ValueError:
        return ""
