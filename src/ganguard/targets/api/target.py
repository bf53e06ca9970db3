"""An API that is not ganguard's, as a target: one request an image.

Such an API gives another image each time, and charges each. So image i of a seed is what it answered when it
was first asked for that image; the answer is kept, and never asked for again (see `api_answers`).
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import torch
from torch import Tensor

from ganguard.base.cache import content_key, write_bytes
from ganguard.base.errors import BudgetError, StepError, TargetError
from ganguard.base.seeds import derived_seed
from ganguard.base.settings import shortened
from ganguard.targets.api.answers import Answers, KeptAnswer
from ganguard.targets.api.client import (
    FIRST_PAUSE,
    LARGEST_ANSWER,
    LONGEST_PAUSE,
    ApiClient,
    Free,
    Lost,
    Refused,
)
from ganguard.targets.api.image import Reading
from ganguard.targets.api.request import ApiRequest, FilledRequest
from ganguard.targets.repeats import charge_again

PATIENCE = 60.0  # seconds of waiting, in all, for an API that is not reached
LONGEST_BUSY = 3600.0  # seconds of waiting, in all, for one that says that it is busy
TRIES = 3  # requests for one image in a run, if each of them may have been charged
_SEEDS = 1 << 31  # APIs that take a seed take one below this


@dataclass(frozen=True)
class Api:
    """What an API is asked, and how its answers are read.

    Attributes:
        request: the request for one image.
        prompts: image i is asked for with prompt i mod n; there may be none.
        reading: how its answer is read.
        idempotent: whether the API knows a request by its `$ID`, and answers it again without a charge.
    """

    request: ApiRequest
    prompts: tuple[str, ...]
    reading: Reading
    idempotent: bool

    def asked(self) -> str:
        """Return a digest of what is sent: answers to other requests are kept apart."""
        return content_key(request=self.request.model_dump(mode="json"), prompts=self.prompts)

    def digest(self) -> str:
        """Return a digest of all that images depend on."""
        return content_key(
            asked=self.asked(),
            paths=self.reading.paths,
            shape=self.reading.shape,
            resized=self.reading.resized,
        )

    def values(self, seed: int, index: int, key: str) -> dict[str, str | int]:
        """Return what stands in the places of the request for an image."""
        return {
            "PROMPT": self.prompts[index % len(self.prompts)] if self.prompts else "",
            "SEED": derived_seed(seed, "api", str(index)) % _SEEDS,
            "INDEX": index,
            "ID": content_key(asked=self.asked(), seed=seed, index=index),
            "KEY": key,
        }


class ApiTarget:
    """A BlackBoxTarget at an API.

    Args:
        api: what is asked.
        kind: the first part of the identity.
        client: sends requests.
        key: the key, or "".
        directory: where answers are kept; those to other requests may lie there too.
        rate: requests a minute; None for no limit.
        at_once: requests that may wait for their answers at the same time.
        repeats: requests that an account may send again beside its budget; see `repeats`.
    """

    def __init__(
        self,
        api: Api,
        kind: str,
        client: ApiClient,
        *,
        key: str,
        directory: Path,
        rate: float | None,
        at_once: int,
        repeats: int,
    ) -> None:
        self._api, self._client, self._key = api, client, key
        self._rate, self._at_once = rate, at_once
        self.repeats = 0 if api.idempotent else repeats
        self.identity = f"{kind}:{api.digest()}"
        self.image_shape = api.reading.shape
        self._answers = Answers(directory / api.asked()[:32])

    def sample(self, indices: range, *, seed: int) -> Tensor:
        """Return images (len(indices), C, H, W) uint8, each asked for once.

        Raises TargetError if the API refuses, or answers with something else than an image; BudgetError if a
        lost answer cannot be paid for again; StepError if the API does not answer.
        """
        failed = Event()

        def image(index: int) -> Tensor:
            if failed.is_set():  # the error of another image is raised
                return torch.empty(self.image_shape, dtype=torch.uint8)
            try:
                return self._image(seed, index)
            except BaseException:
                failed.set()
                raise

        with ThreadPoolExecutor(self._at_once) as pool:  # what was sent is waited for, and kept
            # Each thread needs the meter of the thread that asks.
            asked = [pool.submit(copy_context().run, image, index) for index in indices]
            try:
                return torch.stack([each.result() for each in asked])
            finally:
                failed.set()

    def _image(self, seed: int, index: int) -> Tensor:
        with self._answers.of(seed, index) as kept:
            answer = kept.read(kept.answer, LARGEST_ANSWER)
            if answer is None:
                answer = self._asked(kept, seed, index)
                kept.write(kept.answer, answer)
            return self._read(kept, answer)

    def _read(self, kept: KeptAnswer, answer: bytes) -> Tensor:
        """Return the image in an answer that is kept. Raises TargetError, which names its file, if there is
        none."""

        def fetched(url: str) -> bytes:
            picture = kept.read(kept.picture, LARGEST_ANSWER)
            if picture is None:
                picture = self._client.fetch(url, LARGEST_ANSWER)
                kept.write(kept.picture, picture)
            return picture

        name = f"{self._client.name}: the answer kept in {kept.answer}"
        try:
            return self._api.reading.image(answer, fetched, name)
        except TargetError as problem:
            advice = "It was charged, and is read again at the next run; remove the file to pay for another."
            raise TargetError(f"{self._client.safe(problem)} {advice}") from None
        except StepError as problem:
            advice = f"If that address is dead, remove {kept.answer} to pay for another."
            raise StepError(f"{problem} {advice}") from None

    def _asked(self, kept: KeptAnswer, seed: int, index: int) -> bytes:
        """Ask for an image until there is an answer, and return it."""
        request = self._api.request.filled(self._api.values(seed, index, self._key))
        pause, waited, tries = FIRST_PAUSE, 0.0, 0
        while True:
            self._count_again(kept, seed, index)
            self._wait_for_turn()
            kept.sending()
            found = self._sent(request, kept, index)
            if isinstance(found, bytes):
                return found
            if isinstance(found, Free):
                kept.bought_nothing()
            tries += isinstance(found, Lost)
            busy = isinstance(found, Free) and found.busy
            wait = max(pause, found.wait if isinstance(found, Free) else 0.0)
            waited += max(wait, 1.0)
            if waited > (LONGEST_BUSY if busy else PATIENCE) or tries == TRIES:
                raise StepError(f"{self._client.name}: gave up ({found.said}). {self._what_now(kept)}")
            self._client.pause(wait)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _sent(self, request: FilledRequest, kept: KeptAnswer, index: int) -> bytes | Free | Lost:
        try:
            return self._client.send(request)
        except (Refused, BudgetError) as problem:
            kept.bought_nothing()
            prompts = self._api.prompts
            of = f", of prompt {shortened(prompts[index % len(prompts)])}" if prompts else ""
            raise type(problem)(f"{problem} It was asked for image {index}{of}.") from None

    def _what_now(self, kept: KeptAnswer) -> str:
        if self._api.idempotent or not (lost := kept.unanswered()):
            return "Nothing was charged for this image. Run the same command again."
        return (
            f"{lost} request{'s' if lost > 1 else ''} for this image may have been charged without an "
            "answer. The same command asks again, and counts that."
        )

    def _count_again(self, kept: KeptAnswer, seed: int, index: int) -> None:
        """Have the meter count a request that may be the second one to be charged, before it is sent."""
        lost = kept.unanswered()
        if not lost or self._api.idempotent:
            return
        try:
            charge_again(f"{self._api.asked()[:16]} seed={seed} index={index} sending={lost + 1}")
        except BudgetError as problem:
            raise BudgetError(
                f"{self._client.name}: image {index} was asked for and may have been charged, and no answer "
                f"came. Asking again counts once more, but {problem} Raise `repeats` of the target, or the "
                "budget."
            ) from None

    def _wait_for_turn(self) -> None:
        """Wait until the rate allows a request. All processes that use these answers share the rate."""
        if self._rate is None:
            return
        with self._answers.turn() as file:
            apart = 60.0 / self._rate
            wait = min(_time_in(file) + apart - time.time(), apart)  # a clock may have been set back
            if wait > 0:
                self._client.pause(wait)
            write_bytes(file, json.dumps(time.time()).encode())


def _time_in(file: Path) -> float:
    """Return the time of the last request; 0 if there was none."""
    try:
        return float(json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError):
        return 0.0
