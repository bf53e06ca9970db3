"""Requests of many clients, merged into batches for one device.

One thread runs the target, and clients wait for it. Waiting requests are served in turns: each account gets
MICRO_BATCH rows a turn, until a batch is full or its first request has waited long enough. So no large
request holds up the other accounts, and 64 requests of one image cost as much as one request of 64. Merging
changes no image: the target inside runs in micro-batches of its own.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ganguard.base.errors import StepError
from ganguard.base.settings import Positive, Settings
from ganguard.targets.batching import MICRO_BATCH
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget, require_answer


class BatchingSettings(Settings):
    """How requests are merged into batches.

    Attributes:
        most_images: images in a batch. More than MICRO_BATCH, which the target makes at once, only delays
            answers that are ready.
        longest_wait: seconds that the first request of a batch waits for others to join.
        most_waiting: images that may wait; a client that asks for more is blocked until there is room.
    """

    most_images: Positive = MICRO_BATCH
    longest_wait: Annotated[float, Field(ge=0, le=10)] = 0.005
    most_waiting: Positive = 4096


@dataclass
class _Job:
    """A request in the queue.

    Attributes:
        rows: rows that are not taken yet.
        alone: makes the images of a request that cannot be merged, because the target takes no codes.
        made: images so far.
        answer: set to all images once they are made.
        missing: images that are still to come.
    """

    rows: Tensor
    alone: Callable[[], Tensor] | None = None
    made: list[Tensor] = field(default_factory=list[Tensor])
    answer: Future[Tensor] = field(default_factory=Future[Tensor])
    missing: int = 0

    def take(self, most: int) -> Tensor:
        """Return the next rows, at most `most`; all rows of a request that cannot be merged."""
        taken, self.rows = (self.rows, self.rows[:0]) if self.alone else (self.rows[:most], self.rows[most:])
        return taken

    def give(self, images: Tensor) -> None:
        """Add images of rows that were taken; the last of them complete the answer."""
        self.made.append(images)
        self.missing -= len(images)
        if not self.missing and not self.answer.done():
            self.answer.set_result(torch.cat(self.made))


class BatchingTarget:
    """A queue and a thread before a target. `of(account)` is the target as seen by that account.

    The thread runs until `close`, which finishes the waiting requests first.

    Args:
        inner: the target.
        settings: how requests are merged.
        observe: told the number of images in each batch.
    """

    def __init__(
        self,
        inner: BlackBoxTarget,
        settings: BatchingSettings,
        observe: Callable[[int], None] = lambda images: None,
    ) -> None:
        self.inner, self._settings, self._observe = inner, settings, observe
        self._changed = threading.Condition()
        self._waiting: OrderedDict[str, deque[_Job]] = OrderedDict()
        self._images, self._since, self._closed = 0, 0.0, False
        self._thread = threading.Thread(target=self._run, name="ganguard batches", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """The number of images that wait."""
        return self._images

    def of(self, account: str) -> "QueuedTarget":
        """Return the target as seen by `account`; it takes codes if the one inside does.

        It never hands over a discriminator.
        """
        if isinstance(self.inner, LatentTarget):
            return QueuedLatentTarget(self, self.inner, account)
        return QueuedTarget(self, self.inner, account)

    def close(self) -> None:
        """Refuse new requests, finish those that wait, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def ask(self, account: str, rows: Tensor, alone: Callable[[], Tensor] | None = None) -> Tensor:
        """Wait for a turn, and return images of all rows.

        Raises the target's own errors, and StepError after `close`.

        Args:
            account: who asks.
            rows: codes (N, latent_dim).
            alone: makes the N images if the target takes no codes; then only the number of rows counts.
        """
        if not len(rows):
            raise ValueError("at least one image must be asked for")
        job = _Job(rows, alone, missing=len(rows))
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._images or self._fits(len(rows)))
            if self._closed:
                raise StepError(
                    "the target is closing, and takes no more requests. Ask again once it is serving."
                )
            if not self._images:
                self._since = time.monotonic()
            self._images += len(rows)
            self._waiting.setdefault(account, deque()).append(job)
            self._changed.notify_all()
        return job.answer.result()

    def _fits(self, images: int) -> bool:
        return self._images + images <= self._settings.most_waiting

    def _run(self) -> None:
        while taken := self._next():
            try:
                self._answer(taken)
            except BaseException as problem:  # noqa: BLE001 - the clients are told, and the next batch is made
                self._fail({id(job): job for job, _ in taken}, problem)

    def _answer(self, taken: list[tuple[_Job, Tensor]]) -> None:
        """Make a batch, and give each request its images."""
        sizes, alone = [len(rows) for _, rows in taken], taken[0][0].alone
        self._observe(sum(sizes))
        images = alone() if alone else self._generate(torch.cat([rows for _, rows in taken]))
        require_answer(images, self.inner, sum(sizes))
        for (job, _), made in zip(taken, images.split(sizes), strict=True):
            job.give(made)

    def _generate(self, latents: Tensor) -> Tensor:
        if not isinstance(self.inner, LatentTarget):
            raise TypeError("only a target that takes codes is asked for images of codes")
        return self.inner.generate(latents)

    def _next(self) -> list[tuple[_Job, Tensor]]:
        """Wait for a batch, and return its rows with their requests; an empty list once closed and idle."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._images)
            full = self._settings.most_images
            left = self._since + self._settings.longest_wait - time.monotonic()
            self._changed.wait_for(lambda: self._closed or self._images >= full, timeout=max(0.0, left))
            taken = self._turns(full)
            self._images -= sum(len(rows) for _, rows in taken)
            self._since = time.monotonic()
            self._changed.notify_all()
            return taken

    def _turns(self, most: int) -> list[tuple[_Job, Tensor]]:
        """Take a turn of each account after the other, until `most` rows are taken or none are left."""
        taken: list[tuple[_Job, Tensor]] = []
        room = most
        while self._waiting and room > 0:
            account, jobs = next(iter(self._waiting.items()))
            if jobs[0].alone and taken:
                break
            rows = jobs[0].take(min(MICRO_BATCH, room))
            taken.append((jobs[0], rows))
            room -= len(rows)
            if not len(jobs[0].rows):
                jobs.popleft()
            self._waiting.move_to_end(account)
            if not jobs:
                del self._waiting[account]
            if taken[-1][0].alone:
                break
        return taken

    def _fail(self, jobs: dict[int, _Job], problem: BaseException) -> None:
        """Set the error of the requests in `jobs`, and drop their rows that still wait."""
        with self._changed:
            for account in list(self._waiting):
                kept = deque(job for job in self._waiting[account] if id(job) not in jobs)
                self._images -= sum(len(job.rows) for job in self._waiting[account] if id(job) in jobs)
                if kept:
                    self._waiting[account] = kept
                else:
                    del self._waiting[account]
            self._changed.notify_all()
        for job in jobs.values():
            if not job.answer.done():
                job.answer.set_exception(problem)


class QueuedTarget:
    """A BlackBoxTarget whose requests wait in the queue of a BatchingTarget."""

    def __init__(self, batching: BatchingTarget, inner: BlackBoxTarget, account: str) -> None:
        self._batching, self._black_box, self._account = batching, inner, account
        self.identity = inner.identity
        self.image_shape = inner.image_shape

    def sample(self, indices: range, *, seed: int) -> Tensor:
        """Return images (len(indices), C, H, W) uint8; image i is a pure function of (seed, i)."""
        rows = torch.empty(len(indices), 0)
        return self._batching.ask(self._account, rows, lambda: self._black_box.sample(indices, seed=seed))


class QueuedLatentTarget(QueuedTarget):
    """The same around a LatentTarget; its requests are merged."""

    def __init__(self, batching: BatchingTarget, inner: LatentTarget, account: str) -> None:
        super().__init__(batching, inner, account)
        self._latent = inner
        self.latent_dim = inner.latent_dim

    def draw_latents(self, indices: range, *, seed: int) -> Tensor:
        """Return codes (len(indices), latent_dim) from the target's prior."""
        return self._latent.draw_latents(indices, seed=seed)

    def generate(self, latents: Tensor) -> Tensor:
        """Return images (N, C, H, W) uint8 of codes (N, latent_dim)."""
        return self._batching.ask(self._account, latents)

    def sample(self, indices: range, *, seed: int) -> Tensor:
        """Return images (len(indices), C, H, W) uint8 of the codes `draw_latents(indices, seed=seed)`."""
        return self.generate(self.draw_latents(indices, seed=seed))
