"""Admission: fairly shared room for the images in progress, and a rate limit for each account."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from ganguard.gateway.refusals import AGAIN_AFTER, ProblemError
from ganguard.gateway.shop.share import Share

_MOST_BUCKETS = 10_000  # beyond this all buckets are dropped, which fills them

Bucket = tuple[str, str]
"""An account, and what it does: no account's name can name another bucket."""


class Room:
    """What an order holds of the memory; `shrink` gives back what it needs no more."""

    def __init__(self, size: int, give_back: Callable[[int], None]) -> None:
        self.size, self._give_back = size, give_back

    def shrink(self, size: int) -> None:
        """Hold at most `size` bytes from now on."""
        if size < self.size:
            self._give_back(self.size - size)
            self.size = size


class Admission:
    """Room for images that are being made or sent, and token buckets that fill at each account's rate.

    Room is counted in images and in bytes of memory. Of neither may an account hold more than stays free,
    except a single request that is alone. So one account that asks for all it can get holds half the room,
    two hold a third each, and the next account finds as much free as each of them holds (see `Share`).

    Args:
        most_images: images that may be in progress at once.
        most_bytes: bytes of memory that they may take.
        now: a monotonic clock, in seconds.
    """

    def __init__(self, most_images: int, most_bytes: int, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._lock = now, threading.Lock()
        self._images, self._bytes = Share(most_images), Share(most_bytes)
        self._buckets: dict[Bucket, tuple[float, float]] = {}  # -> (images in it, time of that count)

    @property
    def inside(self) -> int:
        """The images in progress."""
        return self._images.inside

    @property
    def occupied(self) -> int:
        """The bytes that images in progress take."""
        return self._bytes.inside

    @contextmanager
    def room(self, account: str, images: int, size: int) -> Generator[Room]:
        """Hold room for images, which take `size` bytes, while the body runs.

        Raises ProblemError (503) if there is not enough.
        """
        with self._lock:
            if not (self._images.fits(account, images) and self._bytes.fits(account, size)):
                raise ProblemError(
                    503,
                    "too many images are being made or sent; nothing more was spent.",
                    kind="no-room",
                    retry_after=AGAIN_AFTER,
                )
            self._images.add(account, images)
            self._bytes.add(account, size)
        held = Room(size, lambda part: self._free(account, 0, part))
        try:
            yield held
        finally:
            self._free(account, images, held.size)

    def _free(self, account: str, images: int, size: int) -> None:
        with self._lock:
            self._images.add(account, -images)
            self._bytes.add(account, -size)

    def pace(self, bucket: Bucket, images: int, a_minute: int | None) -> None:
        """Take images out of a bucket, which holds at most a minute's worth.

        Args:
            bucket: the bucket.
            images: images to take; 0 only looks for a debt.
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
                f"at most {a_minute} images a minute; {max(0, int(held))} may be asked for now. "
                "Nothing more was spent.",
                kind="rate-exceeded",
                retry_after=(images - held) * 60 / a_minute,
                left=(None, None, max(0, int(held))),
            )

    def owe(self, bucket: Bucket, images: int, a_minute: int) -> None:
        """Take images out of a bucket that may become a debt, of at most a minute's worth."""
        with self._lock:
            left = self._filled(bucket, a_minute) - images
            self._buckets[bucket] = (max(left, -float(a_minute)), self._now())

    def give_back(self, bucket: Bucket, images: int, a_minute: int | None) -> None:
        """Put images back into a bucket that were taken out but not bought."""
        if a_minute is not None:
            with self._lock:
                self._buckets[bucket] = (
                    min(float(a_minute), self._filled(bucket, a_minute) + images),
                    self._now(),
                )

    def _filled(self, bucket: Bucket, a_minute: int) -> float:
        """Return the number of images in a bucket now."""
        now = self._now()
        held, since = self._buckets.get(bucket, (float(a_minute), now))
        if len(self._buckets) >= _MOST_BUCKETS:
            self._buckets.clear()
        return min(float(a_minute), held + (now - since) * a_minute / 60)
