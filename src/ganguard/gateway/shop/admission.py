"""Admission: fairly shared room for the images in progress, and a rate limit for each account."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager

from ganguard.gateway.refusals import AGAIN_AFTER, ProblemError

_MOST_BUCKETS = 10_000  # beyond this all buckets are dropped, which fills them


class Admission:
    """Room for images that are being made or sent, and token buckets that fill at each account's rate.

    No account may hold more room than stays free, except a single request that is alone. So one account that
    asks for all it can get holds half the room, two hold a third each, and the next account finds as much
    free as each of them holds. This is the rule of Choudhury & Hahne 1998, "Dynamic queue length thresholds
    for shared-memory packet switches", with alpha = 1.

    Args:
        most: images that may be in progress at once.
        now: a monotonic clock, in seconds.

    Attributes:
        inside: images in progress.
    """

    def __init__(self, most: int, now: Callable[[], float] = time.monotonic) -> None:
        self._most, self._now = most, now
        self._lock = threading.Lock()
        self._held: defaultdict[str, int] = defaultdict(int)  # account -> its images in progress
        self._buckets: dict[str, tuple[float, float]] = {}  # name -> (images in it, time of that count)
        self.inside = 0

    @contextmanager
    def room(self, account: str, images: int) -> Generator[None]:
        """Hold room for images while the body runs. Raises ProblemError (503) if there is not enough."""
        with self._lock:
            free, mine = self._most - self.inside - images, self._held[account] + images
            if free < 0 or (self.inside and mine > free):
                raise ProblemError(
                    503, "too many images are being made; nothing was spent.", retry_after=AGAIN_AFTER
                )
            self._add(account, images)
        try:
            yield
        finally:
            with self._lock:
                self._add(account, -images)

    def _add(self, account: str, images: int) -> None:
        self.inside += images
        self._held[account] += images
        if not self._held[account]:
            del self._held[account]

    def pace(self, bucket: str, images: int, a_minute: int | None) -> None:
        """Take images out of a bucket, which holds at most a minute's worth.

        Args:
            bucket: the bucket's name.
            images: images to take.
            a_minute: images per minute at which the bucket fills; None: no limit.

        Raises ProblemError: 429 if the bucket holds too few now, with the seconds until it holds enough; 403
        if it can never hold as many.
        """
        if a_minute is None:
            return
        if images > a_minute:
            raise ProblemError(
                403,
                f"this account may ask for at most {a_minute} images a minute; got {images} in one request.",
            )
        with self._lock:
            held = self._filled(bucket, a_minute)
            enough = held >= images
            self._buckets[bucket] = (held - images if enough else held, self._now())
        if not enough:
            raise ProblemError(
                429,
                f"at most {a_minute} images a minute; {int(held)} may be asked for now. Nothing was spent.",
                retry_after=(images - held) * 60 / a_minute,
                left=(None, None, int(held)),
            )

    def give_back(self, bucket: str, images: int, a_minute: int | None) -> None:
        """Put images back into a bucket that were taken out but not bought."""
        if a_minute is not None:
            with self._lock:
                self._buckets[bucket] = (
                    min(float(a_minute), self._filled(bucket, a_minute) + images),
                    self._now(),
                )

    def _filled(self, bucket: str, a_minute: int) -> float:
        """Return the number of images in a bucket now."""
        now = self._now()
        held, since = self._buckets.get(bucket, (float(a_minute), now))
        if len(self._buckets) >= _MOST_BUCKETS:
            self._buckets.clear()
        return min(float(a_minute), held + (now - since) * a_minute / 60)
