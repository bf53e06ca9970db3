"""Who may come in now: a bounded number of images at once, and a rate for each account."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from ganguard.gateway.problems import AGAIN_AFTER, ProblemError

_MOST_BUCKETS = 10_000


class Admission:
    """Room for `most` images that are being made, and buckets of images that fill at each account's rate."""

    def __init__(self, most: int, now: Callable[[], float] = time.monotonic) -> None:
        self._most, self._now = most, now
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}  # account → images in it, and when that was so
        self.inside = 0

    @contextmanager
    def room(self, images: int) -> Generator[None]:
        """Room for so many images in the body. Raises ProblemError (503) where there is none, before anything is reserved."""
        with self._lock:
            if self.inside + images > self._most:
                raise ProblemError(503, "too many images are being made; nothing was spent.", retry_after=AGAIN_AFTER)
            self.inside += images
        try:
            yield
        finally:
            with self._lock:
                self.inside -= images

    def pace(self, account: str, images: int, a_minute: int | None) -> None:
        """Take images out of an account's bucket, which holds a minute's worth. Raises ProblemError (429) where it holds fewer,
        and says when it will not."""
        if a_minute is None:
            return
        if images > a_minute:
            raise ProblemError(403, f"this account may ask for at most {a_minute} images a minute; asked for {images} at once.")
        with self._lock:
            now = self._now()
            held, since = self._buckets.get(account, (float(a_minute), now))
            held = min(float(a_minute), held + (now - since) * a_minute / 60)
            enough = held >= images
            if len(self._buckets) >= _MOST_BUCKETS:
                self._buckets.clear()
            self._buckets[account] = (held - images if enough else held, now)
        if not enough:
            wait = (images - held) * 60 / a_minute
            raise ProblemError(
                429,
                f"at most {a_minute} images a minute; {int(held)} may be asked for now. Nothing was spent.",
                retry_after=wait,
            )
