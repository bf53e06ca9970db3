"""Asking a gateway until it answers: pauses that grow, or as long as it says, and the same idempotency key
all along."""

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import httpx2 as httpx
from pydantic import ValidationError

from ganguard.base.errors import BudgetError, StepError, TargetError
from ganguard.base.settings import one_line
from ganguard.targets.wire import ACCOUNT, IDEMPOTENCY_KEY, IMAGES, AccountAnswer, ImagesRequest

PATIENCE = 300.0  # seconds of attempts, after which a request is given up; waiting for a rate comes on top
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between attempts, unless the gateway says how long
LONGEST_WAIT = 3600.0  # seconds that a gateway may ask to wait, at once and in all
TIMEOUT = httpx.Timeout(30.0, read=300.0)  # seconds
LARGEST_PROBLEM = 65_536  # bytes
_TRANSIENT = frozenset({408, 425, 500, 502, 503, 504})


@dataclass(frozen=True)
class _Answer:
    status: int
    content: bytes
    retry_after: float | None

    def said(self) -> str:
        """The detail of a problem, or as much as is known."""
        try:
            found = httpx.Response(self.status, content=self.content).json()
            return one_line(found["detail"], 300)
        except (ValueError, KeyError, TypeError):
            return f"status {self.status}"


@dataclass(frozen=True)
class _Failure:
    """Why there is no answer yet. wait: seconds that the gateway asks for; rate: because the account asks too
    fast."""

    said: str
    wait: float | None
    rate: bool = False


class WireClient:
    """Requests to one gateway by the holder of one key. direct: not through the proxies that the environment
    names.

    opened, pause, now: how clients are made and how time passes; for tests.
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
        """Where the account stands, and what is served. Raises TargetError, StepError."""
        content = self._asked("GET", ACCOUNT, None, {}, LARGEST_PROBLEM)
        try:
            return AccountAnswer.model_validate_json(content)
        except ValidationError:
            raise TargetError(
                f"{self._url}: what answers there is no gateway of ganguard's, or of another version."
            ) from None

    def images(self, asked: ImagesRequest, key: str, *, most: int) -> bytes:
        """The answer to a request of images, of at most so many bytes. Raises BudgetError where the account
        cannot pay, TargetError where the gateway refuses, StepError where it does not answer in time."""
        body = asked.model_dump_json(exclude_none=True).encode()
        headers = {IDEMPOTENCY_KEY: key, "Content-Type": "application/json"}
        return self._asked("POST", IMAGES, body, headers, most)

    def _asked(self, method: str, path: str, body: bytes | None, headers: dict[str, str], most: int) -> bytes:
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
                self._pause(
                    pause * random.SystemRandom().uniform(0.5, 1.0) if found.wait is None else found.wait
                )
                if found.rate:  # waiting for one is no failure
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
        """The content of an answer, or why there is none. Raises what is final."""
        try:
            answer = _read(client, method, path, body, {**self._headers, **headers}, most)
        except httpx.TransportError as problem:
            return _Failure(one_line(problem, 200) or type(problem).__name__, None)
        if answer.status == 200:
            return answer.content
        rate = answer.status == 429 and answer.retry_after is not None
        if answer.status in _TRANSIENT or rate:
            return _Failure(answer.said(), answer.retry_after, rate)
        error = BudgetError if answer.status == 429 else TargetError
        raise error(f"{self._url}: {answer.said()}")


def _read(
    client: httpx.Client, method: str, path: str, body: bytes | None, headers: dict[str, str], most: int
) -> _Answer:
    with client.stream(method, path, content=body, headers=headers) as response:
        content = bytearray()
        for part in response.iter_bytes():
            content += part
            if len(content) > max(most, LARGEST_PROBLEM):
                raise TargetError(
                    f"the gateway's answer is larger than the {most:,} bytes that were asked for."
                )
        return _Answer(response.status_code, bytes(content), _seconds(response.headers.get("Retry-After")))


def _seconds(text: str | None) -> float | None:
    """What Retry-After says in seconds; None where it says nothing of use."""
    return min(float(text), LONGEST_WAIT) if text and text.isdecimal() and len(text) < 10 else None
