"""Requests of many clients, merged into batches for one device.

One thread runs the target. Whoever asks waits; what waits is taken in turns, a turn of MICRO_BATCH rows for
each account that has any, until a batch is full or the first of it has waited long enough. Nobody's large
request keeps the others waiting, and 64 requests of one image cost what one of 64 does. Images are those of
the target inside: it runs in micro-batches of its own.
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
    """most_images: in a batch; more than MICRO_BATCH, which the target makes at once, only keep answers
    waiting that are ready.
    longest_wait: seconds that the first of a batch waits for others to join it. most_waiting: images that may
    wait; whoever asks for more waits until there is room."""

    most_images: Positive = MICRO_BATCH
    longest_wait: Annotated[float, Field(ge=0, le=10)] = 0.005
    most_waiting: Positive = 4096


@dataclass
class _Job:
    """rows: that are not taken yet. alone: what cannot be merged, because the target takes no codes."""

    rows: Tensor
    alone: Callable[[], Tensor] | None = None
    made: list[Tensor] = field(default_factory=list[Tensor])
    answer: Future[Tensor] = field(default_factory=Future[Tensor])
    missing: int = 0  # images

    def take(self, most: int) -> Tensor:
        """The next rows, at most so many; all of them of what cannot be merged."""
        taken, self.rows = (self.rows, self.rows[:0]) if self.alone else (self.rows[:most], self.rows[most:])
        return taken

    def give(self, images: Tensor) -> None:
        """Images of rows that were taken; the last of them answer."""
        self.made.append(images)
        self.missing -= len(images)
        if not self.missing and not self.answer.done():
            self.answer.set_result(torch.cat(self.made))


class BatchingTarget:
    """The queue and the thread before a target. `of(account)` is the target, as that account asks it.

    `close` finishes what waits; until then the thread runs. observe: told the images of each batch.
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
        """Images that wait."""
        return self._images

    def of(self, account: str) -> "QueuedTarget":
        """The target as `account` asks it: with codes where the one inside takes codes. It hands no
        discriminator over."""
        if isinstance(self.inner, LatentTarget):
            return QueuedLatentTarget(self, self.inner, account)
        return QueuedTarget(self, self.inner, account)

    def close(self) -> None:
        """Take nothing more, finish what waits, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def ask(self, account: str, rows: Tensor, alone: Callable[[], Tensor] | None = None) -> Tensor:
        """Images of codes (N, latent_dim), or what `alone` gives, which is N images. Waits for its turn.
        Raises what the target raises, and StepError once closed."""
        if not len(rows):
            raise ValueError("at least one image must be asked for")
        job = _Job(rows, alone, missing=len(rows))
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._images or self._fits(len(rows)))
            if self._closed:
                raise StepError(
                    "the target is closing, and takes no more requests. Ask again once it serves."
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
            except BaseException as problem:  # noqa: BLE001 - whoever asked is told, and the next batch is made
                self._fail({id(job): job for job, _ in taken}, problem)

    def _answer(self, taken: list[tuple[_Job, Tensor]]) -> None:
        """Make a batch, and give everybody their images."""
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
        """The rows of the next batch and whose they are; none once closed and empty."""
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
        """A turn for each account after the other, until `most` rows are taken or none are left."""
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
        """Tell those who asked, and forget what else of theirs waits."""
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
        """Images (len(indices), C, H, W) uint8; image i is a pure function of (seed, i)."""
        rows = torch.empty(len(indices), 0)
        return self._batching.ask(self._account, rows, lambda: self._black_box.sample(indices, seed=seed))


class QueuedLatentTarget(QueuedTarget):
    """The same around a LatentTarget, whose requests are merged."""

    def __init__(self, batching: BatchingTarget, inner: LatentTarget, account: str) -> None:
        super().__init__(batching, inner, account)
        self._latent = inner
        self.latent_dim = inner.latent_dim

    def draw_latents(self, indices: range, *, seed: int) -> Tensor:
        """Codes (len(indices), latent_dim) from the target's prior."""
        return self._latent.draw_latents(indices, seed=seed)

    def generate(self, latents: Tensor) -> Tensor:
        """Codes (N, latent_dim) to images (N, C, H, W) uint8."""
        return self._batching.ask(self._account, latents)

    def sample(self, indices: range, *, seed: int) -> Tensor:
        """Images (len(indices), C, H, W) uint8 of the codes `draw_latents(indices, seed=seed)`."""
        return self.generate(self.draw_latents(indices, seed=seed))
