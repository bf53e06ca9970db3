"""Requests of many clients, merged into batches for one device.

One thread runs the target, and clients wait for it. Waiting requests are served in turns: each account gets
MICRO_BATCH rows a turn, until a batch is full, or holds as many images as waited for the last one, or its
first request has waited long enough. So a client alone does not wait, no large request holds up the other
accounts, and 64 requests of one image cost as much as one request of 64. Merging changes no image: the target
inside runs in micro-batches of its own.

A batch that fails is halved until the requests that fail are alone: only they get the error. For a while,
their accounts' requests are then made apart, so that the others do not pay for the search again.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Set
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ganguard.base.errors import StepError
from ganguard.base.settings import Positive, Settings
from ganguard.targets.ask import given_or_drawn
from ganguard.targets.batching import MICRO_BATCH
from ganguard.targets.conditions import conditions_of, generate, sample, with_conditions
from ganguard.targets.prior import prior_of
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget, require_answer

APART = 30.0  # seconds for which requests of an account are made apart after one failed among others


class BatchingSettings(Settings):
    """How requests are merged into batches.

    Attributes:
        most_images: images in a batch. More than MICRO_BATCH, which the target makes at once, only delays
            answers that are ready.
        longest_wait: seconds that the first request of a batch waits for others to join, until there are as
            many images as waited for the last batch.
        most_waiting: images that may wait; a client that asks for more is blocked until there is room.
    """

    most_images: Positive = MICRO_BATCH
    longest_wait: Annotated[float, Field(ge=0, le=10)] = 0.005
    most_waiting: Positive = 4096


@dataclass(eq=False)
class _Job:
    """A request in the queue.

    Attributes:
        account: who asks.
        rows: rows that are not taken yet.
        alone: makes the images of a request that cannot be merged, because the target takes no codes.
        images: room for all images, as soon as the first are made.
        made: the number of images made so far.
        answer: set to all images once they are made.
    """

    account: str
    rows: Tensor
    alone: Callable[[], Tensor] | None = None
    images: Tensor | None = None
    made: int = 0
    answer: Future[Tensor] = field(default_factory=Future[Tensor])

    def __post_init__(self) -> None:
        self.count = len(self.rows)

    def take(self, most: int) -> Tensor:
        """Return the next rows, at most `most`; all rows of a request that cannot be merged."""
        taken, self.rows = (self.rows, self.rows[:0]) if self.alone else (self.rows[:most], self.rows[most:])
        return taken

    def give(self, images: Tensor) -> None:
        """Add images of rows that were taken; the last of them complete the answer.

        They are copied, since a piece would keep the images of a whole batch in memory.
        """
        if self.answer.done():  # it failed before
            return
        if self.images is None:
            self.images = torch.empty(self.count, *images.shape[1:], dtype=images.dtype)
        self.images[self.made : self.made + len(images)] = images
        self.made += len(images)
        if self.made == self.count:
            self.answer.set_result(self.images)


_Taken = list[tuple[_Job, Tensor]]
"""Requests, each with the rows of it that go into a batch."""


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
        self._last = 0  # images that waited when the last batch was taken
        self._apart: dict[str, float] = {}  # account -> time until which its requests are made apart
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
            rows: codes (N, latent_dim); if the target is conditional, with the number of its condition behind
                each.
            alone: makes the N images if the target takes no codes; then only the number of rows counts.
        """
        if not len(rows):
            raise ValueError("at least one image must be asked for")
        job = _Job(account, rows, alone)
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
                self._observe(sum(len(rows) for _, rows in taken))
                failed = self._answer(taken)
                if any(job not in failed for job, _ in taken):
                    self._keep_apart({job.account for job in failed})
            except BaseException as problem:  # noqa: BLE001 - the clients are told, and the next batch is made
                for job, _ in taken:
                    self._fail(job, problem)

    def _answer(self, taken: _Taken) -> set[_Job]:
        """Make a batch, and give each request its images or its error; return the requests that failed.

        One of n requests that fails costs about 2 log2(n) further batches, and all of them 2 n.
        """
        jobs = list(dict.fromkeys(job for job, _ in taken))
        try:
            images = self._made(taken)
        except BaseException as problem:  # noqa: BLE001 - a target may raise anything
            if len(jobs) == 1:
                self._fail(jobs[0], problem)
                return {*jobs}
            first = {*jobs[: len(jobs) // 2]}
            return self._answer([each for each in taken if each[0] in first]) | self._answer(
                [each for each in taken if each[0] not in first]
            )
        for (job, _), made in zip(taken, images, strict=True):
            try:
                job.give(made)
            except BaseException as problem:  # noqa: BLE001 - no memory for this one
                self._fail(job, problem)
        return set()

    def _made(self, taken: _Taken) -> tuple[Tensor, ...]:
        """Return the images of each of a batch's requests."""
        sizes, alone = [len(rows) for _, rows in taken], taken[0][0].alone
        images = alone() if alone else self._generate(torch.cat([rows for _, rows in taken]))
        return require_answer(images, self.inner, sum(sizes)).split(sizes)

    def _keep_apart(self, accounts: Set[str]) -> None:
        """Have the next requests of accounts made apart from others."""
        now = time.monotonic()
        self._apart = {account: end for account, end in self._apart.items() if end > now}
        self._apart |= dict.fromkeys(accounts, now + APART)

    def _generate(self, rows: Tensor) -> Tensor:
        if not isinstance(self.inner, LatentTarget):
            raise TypeError("only a target that takes codes is asked for images of codes")
        if conditions_of(self.inner) is None:
            return self.inner.generate(rows)
        return generate(self.inner, rows[:, :-1], rows[:, -1].long())

    def _next(self) -> list[tuple[_Job, Tensor]]:
        """Wait for a batch, and return its rows with their requests; an empty list once closed and idle."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._images)
            full = self._settings.most_images
            enough = min(full, self._last)  # a client alone never waits: nobody else asked a moment ago
            left = self._since + self._settings.longest_wait - time.monotonic()
            self._changed.wait_for(lambda: self._closed or self._images >= enough, timeout=max(0.0, left))
            taken, self._last = self._turns(full), self._images
            self._images -= sum(len(rows) for _, rows in taken)
            self._since = time.monotonic()
            self._changed.notify_all()
            return taken

    def _turns(self, most: int) -> _Taken:
        """Take a turn of each account after the other, until `most` rows are taken or none are left."""
        taken: _Taken = []
        room = most
        while self._waiting and room > 0:
            account, jobs = next(iter(self._waiting.items()))
            apart = jobs[0].alone is not None or self._apart.get(account, 0.0) > time.monotonic()
            if apart and taken:
                break
            rows = jobs[0].take(min(MICRO_BATCH, room))
            taken.append((jobs[0], rows))
            room -= len(rows)
            if not len(jobs[0].rows):
                jobs.popleft()
            self._waiting.move_to_end(account)
            if not jobs:
                del self._waiting[account]
            if apart:
                break
        return taken

    def _fail(self, job: _Job, problem: BaseException) -> None:
        """Set the error of a request that has no answer yet, and drop its rows that still wait."""
        if job.answer.done():
            return
        with self._changed:
            if len(job.rows):
                self._images -= len(job.rows)
                self._waiting[job.account].remove(job)
                if not self._waiting[job.account]:
                    del self._waiting[job.account]
            self._changed.notify_all()
        job.answer.set_exception(problem)


class QueuedTarget:
    """A BlackBoxTarget whose requests wait in the queue of a BatchingTarget."""

    def __init__(self, batching: BatchingTarget, inner: BlackBoxTarget, account: str) -> None:
        self._batching, self._black_box, self._account = batching, inner, account
        self.identity = inner.identity
        self.image_shape = inner.image_shape
        self.conditions = conditions_of(inner)

    def sample(self, indices: range, *, seed: int, conditions: Tensor | None = None) -> Tensor:
        """Return images (len(indices), C, H, W) uint8; image i is a pure function of (seed, i), and of its
        condition."""
        rows = torch.empty(len(indices), 0)
        alone = partial(sample, self._black_box, indices, seed=seed, conditions=conditions)
        return self._batching.ask(self._account, rows, alone)


class QueuedLatentTarget(QueuedTarget):
    """The same around a LatentTarget; its requests are merged."""

    def __init__(self, batching: BatchingTarget, inner: LatentTarget, account: str) -> None:
        super().__init__(batching, inner, account)
        self._latent = inner
        self.latent_dim, self.prior = inner.latent_dim, prior_of(inner)

    def draw_latents(self, indices: range, *, seed: int) -> Tensor:
        """Return codes (len(indices), latent_dim) from the target's prior."""
        return self._latent.draw_latents(indices, seed=seed)

    def generate(self, latents: Tensor, *, conditions: Tensor | None = None) -> Tensor:
        """Return images (N, C, H, W) uint8 of codes (N, latent_dim), and of conditions (N,) if any."""
        return self._batching.ask(self._account, with_conditions(latents, conditions, self.conditions))

    def sample(self, indices: range, *, seed: int, conditions: Tensor | None = None) -> Tensor:
        """Return images (len(indices), C, H, W) uint8 of the codes `draw_latents(indices, seed=seed)`."""
        conditions = given_or_drawn(self, conditions, indices, seed=seed)
        return self.generate(self.draw_latents(indices, seed=seed), conditions=conditions)
