"""Who may come in now: a bounded number of images at once, a share of it for each account, and a rate for
each account."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager

from ganguard.gateway.refusals import AGAIN_AFTER, ProblemError

_MOST_BUCKETS = 10_000


class Admission:
    """Room for `most` images that are being made or sent, and buckets of images that fill at each account's
    rate.

    Nobody may hold more room than what stays free, but who is alone with one request. So one account that
    asks for all it can get holds half, two hold a third each, and whoever comes next finds as much free as
    each of them holds. (Choudhury & Hahne 1998, "Dynamic queue length thresholds for shared-memory packet
    switches", with alpha = 1.)
    """

    def __init__(self, most: int, now: Callable[[], float] = time.monotonic) -> None:
        self._most, self._now = most, now
        self._lock = threading.Lock()
        self._held: defaultdict[str, int] = defaultdict(int)  # account → images inside
        self._buckets: dict[str, tuple[float, float]] = {}  # its name → images in it, and when that was so
        self.inside = 0

    @contextmanager
    def room(self, account: str, images: int) -> Generator[None]:
        """Room for so many images in the body. Raises ProblemError (503) where there is none, before anything
        is reserved."""
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
        """Take images out of a bucket, which holds a minute's worth. Raises ProblemError (429) where it holds
        fewer, and says when it will not; None: no limit."""
        if a_minute is None:
            return
        if images > a_minute:
            raise ProblemError(
                403,
                f"this account may ask for at most {a_minute} images a minute; asked for {images} at once.",
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
        """Put back what was taken for images that were not bought after all."""
        if a_minute is not None:
            with self._lock:
                self._buckets[bucket] = (
                    min(float(a_minute), self._filled(bucket, a_minute) + images),
                    self._now(),
                )

    def _filled(self, bucket: str, a_minute: int) -> float:
        """What a bucket holds now."""
        now = self._now()
        held, since = self._buckets.get(bucket, (float(a_minute), now))
        if len(self._buckets) >= _MOST_BUCKETS:
            self._buckets.clear()
        return min(float(a_minute), held + (now - since) * a_minute / 60)
