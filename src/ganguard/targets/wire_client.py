"""Requests to a gateway, repeated until it answers.

Pauses between attempts grow, or last as long as the gateway says. The idempotency key stays the same
throughout.
"""

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import httpx2 as httpx
from pydantic import TypeAdapter, ValidationError

from ganguard.base.errors import BudgetError, StepError, TargetError
from ganguard.base.settings import one_line
from ganguard.targets.wire import (
    ACCOUNT,
    IDEMPOTENCY_KEY,
    IMAGES,
    AccountAnswer,
    ConditionalAccount,
    ImagesRequest,
)

PATIENCE = 300.0  # seconds after which a request is given up, not counting waits for the rate limit
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between attempts, unless the gateway says how long
LONGEST_WAIT = 3600.0  # longest wait in seconds that a gateway may ask for, at once and in all
TIMEOUT = httpx.Timeout(30.0, read=300.0)  # seconds
LARGEST_PROBLEM = 65_536  # bytes
LARGEST_ACCOUNT = 16 << 20  # bytes: it lists all that a conditional target can be asked for
_ACCOUNT: TypeAdapter[AccountAnswer] = TypeAdapter(ConditionalAccount | AccountAnswer)
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class _Answer:
    status: int
    content: bytes
    retry_after: float | None

    def said(self) -> str:
        """Return the detail of a problem, or at least the status."""
        try:
            found = httpx.Response(self.status, content=self.content).json()
            return one_line(found["detail"], 300)
        except (ValueError, KeyError, TypeError):
            return f"status {self.status}"


@dataclass(frozen=True)
class _Failure:
    """The reason why there is no answer yet.

    Attributes:
        said: the reason.
        wait: seconds that the gateway asks to wait.
        rate: whether the account asks too fast.
    """

    said: str
    wait: float | None
    rate: bool = False


class WireClient:
    """Requests to one gateway by the holder of one key.

    Args:
        url: address of the gateway.
        key: the key.
        direct: bypass the proxies that the environment names.
        opened: makes an HTTP client; for tests.
        pause: waits for some seconds; for tests.
        now: returns the time in seconds; for tests.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        direct: bool,
        opened: Callable[[], AbstractContextManager[httpx.Client]] | None = None,
        pause: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._headers = url, {"Authorization": f"Bearer {key}"}
        self._pause, self._now = pause, now
        self._opened = opened or (lambda: httpx.Client(base_url=url, timeout=TIMEOUT, trust_env=not direct))

    def account(self) -> AccountAnswer:
        """Return the state of the account, and what is served. Raises TargetError or StepError."""
        content = self._asked("GET", ACCOUNT, None, {}, LARGEST_ACCOUNT)
        try:
            return _ACCOUNT.validate_json(content)
        except ValidationError:
            raise TargetError(
                f"{self._url}: must be a ganguard gateway of this version; got another answer. Check the "
                "address, and update the older of the two."
            ) from None

    def images(self, asked: ImagesRequest, key: str, *, most: int) -> bytes:
        """Return the answer to a request for images, of at most `most` bytes.

        Raises BudgetError if the account cannot pay, TargetError if the gateway refuses, StepError if it does
        not answer in time.
        """
        body = asked.model_dump_json(exclude_none=True).encode()
        headers = {IDEMPOTENCY_KEY: key, "Content-Type": "application/json"}
        return self._asked("POST", IMAGES, body, headers, most)

    def _asked(self, method: str, path: str, body: bytes | None, headers: dict[str, str], most: int) -> bytes:
        """Send a request until it is answered, and return the answer's content. Raises as `images` does."""
        pause, end = FIRST_PAUSE, self._now() + PATIENCE
        last = end + LONGEST_WAIT
        with self._opened() as client:
            while True:
                found = self._attempt(client, method, path, body, headers, most)
                if isinstance(found, bytes):
                    return found
                if self._now() >= end:
                    raise StepError(
                        f"{self._url}: gave up ({found.said}). Run the same command again: nothing is "
                        "bought twice."
                    )
                random_pause = pause * random.SystemRandom().uniform(0.5, 1.0)
                self._pause(random_pause if found.wait is None else found.wait)
                if found.rate:  # the gateway works, so this wait does not use up the patience
                    end = min(end + (found.wait or 0.0), last)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _attempt(
        self,
        client: httpx.Client,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
        most: int,
    ) -> "bytes | _Failure":
        """Return the content of an answer, or the reason why there is none. Raises an error that is final."""
        try:
            answer = _read(client, method, path, body, {**self._headers, **headers}, most)
        except httpx.TransportError as problem:
            return _Failure(one_line(problem, 200) or type(problem).__name__, None)
        if answer.status == 200:
            return answer.content
        if answer.status in _TRANSIENT:
            return _Failure(answer.said(), answer.retry_after, rate=answer.status == 429)
        error = BudgetError if answer.status == 402 else TargetError
        raise error(f"{self._url}: {answer.said()}")


def _read(
    client: httpx.Client, method: str, path: str, body: bytes | None, headers: dict[str, str], most: int
) -> _Answer:
    """Return an answer. Raises TargetError if it is larger than `most` bytes."""
    with client.stream(method, path, content=body, headers=headers) as response:
        content = bytearray()
        for part in response.iter_bytes():
            content += part
            if len(content) > max(most, LARGEST_PROBLEM):
                raise TargetError(f"the gateway's answer must be at most {most:,} bytes; it is larger.")
        return _Answer(response.status_code, bytes(content), _seconds(response.headers.get("Retry-After")))


def _seconds(text: str | None) -> float | None:
    """Return the seconds in a Retry-After header; None if there is no usable number."""
    return min(float(text), LONGEST_WAIT) if text and text.isdecimal() and len(text) < 10 else None
