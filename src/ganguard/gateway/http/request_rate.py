"""The rate of requests, whatever becomes of them: a token bucket for each account, and one for strangers."""

import time
from collections.abc import Callable

BURST, FEW = 2.0, 60  # at once: a minute's requests, but no more than in two seconds, or 60 if that is more
_MOST_BUCKETS = 10_000  # beyond this, buckets that are full are dropped


class RequestRate:
    """Token buckets that may be in debt.

    A request may go on if its account's bucket holds one. What it costs beyond that may leave a debt. A
    request that is refused costs one, too. Refused requests make no debt larger than a full bucket, so that
    an account that stops asking is soon served again.

    Args:
        now: a monotonic clock, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._buckets: dict[str, tuple[float, float]] = {}  # name -> (requests in it, time of that count)

    def ask(self, bucket: str, a_minute: int | None) -> float:
        """Take a request out of a bucket.

        Args:
            bucket: the bucket's name.
            a_minute: requests a minute at which it fills; None: no limit.

        Returns:
            0 if the request may go on; otherwise the seconds after which another one may.
        """
        if a_minute is None:
            return 0.0
        held = self._filled(bucket, a_minute)
        left = held - 1 if held >= 1 else max(held - 1, -_burst(a_minute))
        self._buckets[bucket] = (left, self._now())
        return 0.0 if held >= 1 else (1 - left) * 60 / a_minute

    def charge(self, bucket: str, a_minute: int | None, requests: int) -> None:
        """Take more out of a bucket for a request that went on."""
        if a_minute is not None:
            self._buckets[bucket] = (self._filled(bucket, a_minute) - requests, self._now())

    def _filled(self, bucket: str, a_minute: int) -> float:
        """Return the number of requests in a bucket now."""
        now, burst = self._now(), _burst(a_minute)
        if bucket not in self._buckets and len(self._buckets) >= _MOST_BUCKETS:
            recent = {name: held for name, held in self._buckets.items() if now - held[1] < 60}
            self._buckets = recent if len(recent) < _MOST_BUCKETS else {}
        held, since = self._buckets.get(bucket, (burst, now))
        return min(burst, held + (now - since) * a_minute / 60)


def _burst(a_minute: int) -> float:
    return min(float(a_minute), max(a_minute * BURST / 60, FEW))
