"""Requests to an API that is not ganguard's: which may be sent again, and which may have been charged.

An API of this sort knows no idempotency key. A status that says that nothing was made (429, 503) and a
connection that failed before the request was sent cost nothing. Anything else that is no answer (another
status from 500 on, a connection that broke, no answer in time) may have been charged.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx2 as httpx

from ganguard.base.errors import BudgetError, StepError, TargetError
from ganguard.base.settings import one_line
from ganguard.targets.api.request import FilledRequest

LARGEST_ANSWER = 256 << 20  # bytes: an image of 8192x6144 pixels in base64
LONGEST_WAIT = 3600.0  # seconds that an API may ask to wait
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between attempts, unless the API says how long
_NOTHING_MADE = frozenset({425, 429, 503})
_NOT_YET = frozenset({202, 204, 404, 408, 425, 429})
_NO_MONEY = ("insufficient_quota", "billing", "credit", "payment")  # in what OpenAI and others answer


@dataclass(frozen=True)
class Free:
    """No answer, and nothing was bought.

    Attributes:
        said: why.
        busy: whether the API works, and takes no request now.
        wait: seconds that it asks to wait.
    """

    said: str
    busy: bool = False
    wait: float = 0.0


@dataclass(frozen=True)
class Lost:
    """No answer, and an image may have been bought: why."""

    said: str


class Refused(TargetError):
    """The API refuses a request for good. Nothing was bought."""


class ApiClient:
    """An HTTP client for one API.

    Args:
        name: calls the API in messages: its address.
        key: replaced wherever the API repeats it; "" if none is sent.
        timeout: seconds until an answer must come.
        direct: bypass the proxies that the environment names.
        pause: waits for some seconds; for tests.
    """

    def __init__(
        self,
        name: str,
        key: str,
        timeout: float,
        *,
        direct: bool,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name, self._key, self.pause = name, key, pause
        # No connection is kept: on one that the API has closed meanwhile, a request would seem to be lost.
        limits = httpx.Limits(max_keepalive_connections=0)
        wait = httpx.Timeout(30.0, read=timeout)
        self._client = httpx.Client(timeout=wait, limits=limits, trust_env=not direct)

    def send(self, request: FilledRequest) -> bytes | Free | Lost:
        """Send a request once, and return the answer, or why there is none.

        Raises Refused if the API refuses for good, BudgetError if it asks for money.
        """
        try:
            status, content, headers = _read(self._client, request)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as problem:
            raise Refused(f"{self.name}: no request can be made of it ({self.safe(problem)}).") from None
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as problem:
            return Free(self.safe(problem) or type(problem).__name__)
        except (httpx.TransportError, httpx.DecodingError) as problem:
            return Lost(self.safe(problem) or type(problem).__name__)
        return self._judged(status, content, headers)

    def _judged(self, status: int, content: bytes, headers: httpx.Headers) -> bytes | Free | Lost:
        if 200 <= status < 300:
            return content
        said = f"status {status}: {self.safe(content.decode(errors='replace'))}"
        if status == 402 or (status == 429 and any(word in said.lower() for word in _NO_MONEY)):
            raise BudgetError(f"{self.name}: the API wants to be paid first ({said}). Nothing was bought.")
        if status in _NOTHING_MADE:
            return Free(said, True, _seconds(headers.get("Retry-After")))
        if status >= 500 or status == 408:
            return Lost(said)
        advice = {401: " Check key_env.", 403: " Check key_env.", 404: " Check the address and the model."}
        if 300 <= status < 400:
            raise Refused(
                f"{self.name}: it sends elsewhere (status {status}), and a key is not sent there. Give the "
                "address that it leads to."
            )
        raise Refused(f"{self.name}: the API refuses ({said}).{advice.get(status, '')}")

    def look(self, request: FilledRequest) -> bytes | Free | Refused:
        """Send a request that buys nothing once, and return the answer; Free if there is none yet; Refused
        if there will be none."""
        try:
            status, content, headers = _read(self._client, request)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as problem:
            return Refused(f"no request can be made of it ({self.safe(problem)}).")
        except httpx.HTTPError as problem:
            return Free(self.safe(problem) or type(problem).__name__)
        if status == 200:
            return content
        said = f"status {status}: {self.safe(content.decode(errors='replace'))}"
        # Some APIs know a job only a moment after they have named it.
        if status >= 500 or status in _NOT_YET:
            return Free(said, True, _seconds(headers.get("Retry-After")))
        return Refused(f"the API refuses ({said}).")

    def fetch(self, url: str, most: int) -> bytes:
        """Return what lies at the address in an answer. The key is not sent there.

        Raises StepError if it cannot be fetched.
        """
        said = ""
        for attempt in range(3):
            if attempt:
                self.pause(FIRST_PAUSE * 2**attempt)
            try:
                asked = FilledRequest("GET", url, {}, None, None, None)
                status, content, _ = _read(self._client, asked, most)
            except (httpx.HTTPError, httpx.InvalidURL) as problem:
                said = self.safe(problem) or type(problem).__name__
                continue
            if status == 200:
                return content
            said = f"status {status}"
        raise StepError(
            f"{self.name}: the image cannot be fetched from the address in the answer ({said}). Run the same "
            "again soon: such addresses expire."
        )

    def safe(self, said: object, longest: int = 300) -> str:
        """Return one line of what was said, without the key."""
        text = str(said)
        return one_line(text.replace(self._key, "$KEY") if self._key else text, longest)


def _read(
    client: httpx.Client, request: FilledRequest, most: int = LARGEST_ANSWER
) -> tuple[int, bytes, httpx.Headers]:
    """Return status, content and headers of an answer. Raises httpx's DecodingError if it is larger
    than `most` bytes."""
    with client.stream(
        request.method, request.url, headers=request.headers, follow_redirects=False, **request.content()
    ) as response:
        content = bytearray()
        for part in response.iter_bytes():
            content += part
            if len(content) > most:
                raise httpx.DecodingError(f"the answer is larger than {most:,} bytes")
        return response.status_code, bytes(content), response.headers


def _seconds(text: str | None) -> float:
    """Return the seconds of a Retry-After header, which may be a date (RFC 9110, section 10.2.3); 0 without
    one."""
    if not text:
        return 0.0
    try:
        wait = (
            float(text) if text.strip().isdecimal() else parsedate_to_datetime(text).timestamp() - time.time()
        )
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(wait, 0.0), LONGEST_WAIT)
