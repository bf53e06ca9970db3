"""An API that is not ganguard's, as a target: a request for each image, or for several.

Such an API gives another image each time, and charges each. So image i of a seed is what it answered when it
was first asked for that image; the answer is kept, and never asked for again (see `answers`).
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import chain
from pathlib import Path
from threading import Event

import torch
from torch import Tensor

from ganguard.base.cache import write_bytes
from ganguard.base.errors import BudgetError, StepError, TargetError
from ganguard.base.settings import shortened
from ganguard.targets.api.answers import Answers, KeptAnswers, kept
from ganguard.targets.api.asked import Api, Wanted
from ganguard.targets.api.client import (
    FIRST_PAUSE,
    LARGEST_ANSWER,
    LONGEST_PAUSE,
    ApiClient,
    Free,
    Lost,
    Refused,
)
from ganguard.targets.api.image import require_image
from ganguard.targets.api.jobs import BegunJob
from ganguard.targets.api.request import FilledRequest
from ganguard.targets.conditions import require_conditions
from ganguard.targets.repeats import charge_again

PATIENCE = 60.0  # seconds of waiting, in all, for an API that is not reached
LONGEST_BUSY = 3600.0  # seconds of waiting, in all, for one that says that it is busy
_FIXED = (
    "each request brings {most} images, since no $N in it asks for fewer: up to {more} more than are counted "
    "may be charged for each account and seed{prompts}. They are kept, and not charged again when they are "
    "wanted."
)
_OF_PROMPTS = ", and as many for each request whose images are asked for with several prompts"
TRIES = 3  # requests for the same images in a run, if each of them may have been charged


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

    Attributes:
        conditions: the prompts; None if it takes none.
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
        self.repeats = 0 if api.idempotent else repeats * api.most  # images
        self.identity = f"{kind}:{api.digest()}"
        self.image_shape = api.reading.shape
        self.conditions = api.conditions()
        prompts = _OF_PROMPTS if len(api.prompts) > 1 else ""
        note = _FIXED.format(most=api.most, more=api.most - 1, prompts=prompts)
        self.notes = (note,) if api.fixed else ()
        self._sent_runs = list[range]()
        self._answers = Answers(directory / api.asked()[:32])

    @property
    def sent(self) -> int:
        """How many images this object has asked the API for, however they were answered."""
        return sum(map(len, self._sent_runs))

    def sample(self, indices: range, *, seed: int, conditions: Tensor | None = None) -> Tensor:
        """Return images (len(indices), C, H, W) uint8, each asked for once with each prompt.

        conditions: (len(indices),) int64, numbers of prompts; None asks for image i with its own.

        Raises TargetError if the API refuses, or answers with something else than images; BudgetError if a
        lost answer cannot be paid for again; StepError if the API does not answer.
        """
        if conditions is not None:
            require_conditions(conditions, self.conditions, len(indices))
        failed = Event()

        def images(wanted: range, prompt: int) -> list[Tensor]:
            if failed.is_set():  # the error of other images is raised
                return []
            try:
                return self._images(seed, wanted, prompt)
            except BaseException:
                failed.set()
                raise

        with ThreadPoolExecutor(self._at_once) as pool:  # what was sent is waited for, and kept
            # Each thread needs the meter of the thread that asks.
            parts = self._in_groups(indices, conditions)
            asked = [pool.submit(copy_context().run, images, *part) for part in parts]
            try:
                return torch.stack(list(chain.from_iterable(each.result() for each in asked)))
            finally:
                failed.set()

    def _in_groups(self, indices: range, conditions: Tensor | None) -> list[tuple[range, int]]:
        """Return the parts of a range that lie in one group each and show one prompt, with its number."""
        prompts = map(self._api.own, indices) if conditions is None else conditions.tolist()
        parts = list[tuple[range, int]]()
        for index, prompt in zip(indices, prompts, strict=True):
            if parts and parts[-1][1] == prompt and index in self._api.group(parts[-1][0].start):
                parts[-1] = (range(parts[-1][0].start, index + 1), prompt)
            else:
                parts.append((range(index, index + 1), prompt))
        return parts

    def _images(self, seed: int, wanted: range, prompt: int) -> list[Tensor]:
        """Return images of one group that show one prompt. Those that there is no answer for are asked
        for."""
        found, asked = list[Tensor](), self._api.wanted(seed, wanted, prompt)
        with self._answers.of(seed, self._api.group(wanted.start), asked.apart) as kept_answers:
            while len(found) < len(wanted):
                first = wanted.start + len(found)
                run = self._run(kept_answers, range(first, wanted.stop))
                answer = kept(kept_answers.answer(run), LARGEST_ANSWER)
                if answer is None:
                    answer = self._asked(kept_answers, asked, run)
                    run = self._brought(run, answer)
                    kept_answers.keep(run, answer)
                    kept_answers.job(run).unlink(missing_ok=True)
                here = range(first, min(run.stop, wanted.stop))
                found += [self._read(kept_answers, run, index, answer) for index in here]
        return found

    def _run(self, kept_answers: KeptAnswers, wanted: range) -> range:
        """Return the run of images that holds the first that is wanted: one that there is an answer or a job
        of, or else one to ask for."""
        runs = kept_answers.runs()
        if there := [run for run in runs if wanted.start in run]:
            return there[0]
        if self._api.fixed:
            return kept_answers.group
        return range(wanted.start, min([wanted.stop, *(run.start for run in runs if run.start in wanted)]))

    def _brought(self, run: range, answer: bytes) -> range:
        """Return the images of a run that came: an API may leave out some, which are asked for again."""
        held = self._api.reading.held(answer)
        fewer = held is not None and 0 < held < len(run) and not self._api.fixed
        return run[:held] if fewer else run

    def _read(self, kept_answers: KeptAnswers, run: range, index: int, answer: bytes) -> Tensor:
        """Return an image in an answer that is kept. Raises TargetError, which names its file, if it is not
        there."""
        file, picture = kept_answers.answer(run), kept_answers.picture(index)
        name = f"{self._client.name}: the answer kept in {file}"

        def fetched(url: str) -> bytes:
            content = kept(picture, LARGEST_ANSWER)
            if content is None:
                content = self._client.fetch(url, LARGEST_ANSWER)
                require_image(content, self._client.name)
                write_bytes(picture, content)
            return content

        try:
            return self._api.reading.image(answer, fetched, name, index - run.start, len(run))
        except TargetError as problem:
            advice = "It was charged, and is read again at the next run; remove the file to pay for another."
            raise TargetError(f"{self._client.safe(problem, 700)} {advice}") from None
        except StepError as problem:
            advice = f"If that address is dead, remove {file} to pay for another."
            raise StepError(f"{problem} {advice}") from None

    def _asked(self, kept_answers: KeptAnswers, asked: Wanted, run: range) -> bytes:
        """Ask for a run of images until there is an answer, and return it."""
        request = self._api.request.filled(self._api.values(asked, run, self._key))
        pause, waited, tries = FIRST_PAUSE, 0.0, 0
        while True:
            found = self._found(kept_answers, asked, run, request)
            if isinstance(found, bytes):
                return found
            if isinstance(found, Free):
                kept_answers.bought_nothing(len(run))
            tries += isinstance(found, Lost)
            busy = isinstance(found, Free) and found.busy
            wait = max(pause, found.wait if isinstance(found, Free) else 0.0)
            waited += max(wait, 1.0)
            if waited > (LONGEST_BUSY if busy else PATIENCE) or tries == TRIES:
                said = f"{self._client.name}: gave up ({found.said}). "
                raise StepError(said + self._what_now(kept_answers))
            self._client.pause(wait)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _found(
        self, kept_answers: KeptAnswers, asked: Wanted, run: range, request: FilledRequest
    ) -> bytes | Free | Lost:
        """Send a request, unless there is a job that it began, and return what came of it."""
        file = kept_answers.job(run)
        poll = self._api.poll
        found = kept(file, LARGEST_ANSWER) if poll else None
        if poll is None or found is None:
            self._count_again(kept_answers, asked, run)
            self._wait_for_turn()
            kept_answers.sending(len(run))
            self._sent_runs.append(run)
            found = self._sent(request, kept_answers, asked, run)
            if poll is None or not isinstance(found, bytes):
                return found
            write_bytes(file, found)
        job = BegunJob(poll, self._api.reading, found, file, request, self._key, self._client)
        ended = job.followed()
        if isinstance(ended, Lost):
            file.unlink()
        return ended

    def _sent(
        self, request: FilledRequest, kept_answers: KeptAnswers, asked: Wanted, run: range
    ) -> bytes | Free | Lost:
        try:
            return self._client.send(request)
        except (Refused, BudgetError) as problem:
            kept_answers.bought_nothing(len(run))
            prompts = self._api.prompts
            of = f", of prompt {shortened(prompts[asked.prompt])}" if prompts else ""
            raise type(problem)(f"{problem} It was asked for {_named(run)}{of}.") from None

    def _what_now(self, kept_answers: KeptAnswers) -> str:
        if self._api.idempotent or not (lost := kept_answers.unanswered()):
            return "Nothing was charged for this image. Run the same command again."
        return (
            f"{lost} {'images' if self._api.most > 1 else 'requests for this image'} may have been charged "
            "without an answer. The same command asks again, and counts that."
        )

    def _count_again(self, kept_answers: KeptAnswers, asked: Wanted, run: range) -> None:
        """Have the meter count images that may be charged a second time, before they are asked for."""
        lost = kept_answers.unanswered()
        if not lost or self._api.idempotent:
            return
        prompt = f" prompt={asked.apart}" if asked.apart else ""
        words = f"{self._api.asked()[:16]} seed={asked.seed} index={run.start}{prompt} sending={lost + 1}"
        shown = self._api.prompts[asked.prompt] if self._api.prompts else None
        try:
            charge_again(words, min(lost, len(run)), shown)
        except BudgetError as problem:
            raise BudgetError(
                f"{self._client.name}: no answer came of the request for {_named(run)}, which may have been "
                f"charged. Asking again counts once more, but {problem} Raise `repeats` of the target, or "
                "the budget."
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


def _named(run: range) -> str:
    return f"image {run.start}" if len(run) == 1 else f"images {run.start} to {run.stop - 1}"
