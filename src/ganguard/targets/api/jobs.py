"""Jobs: an API answers a request with a job at once, and gives the images when they are made.

The answer that names the job is kept, since the request was charged. Looking at a job buys nothing, so it may
be looked at as often as it takes, also by a later run.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast
from urllib.parse import quote, urljoin, urlsplit

from pydantic import Field, field_validator, model_validator

from ganguard.base.errors import StepError, TargetError
from ganguard.base.settings import Float, Positive, Settings, json_of, one_line, shortened
from ganguard.targets.allowed import parts_of
from ganguard.targets.api.client import ApiClient, Free, Lost, Refused
from ganguard.targets.api.image import Reading, started
from ganguard.targets.api.json_path import parse_path, value_at
from ganguard.targets.api.request import FilledRequest

_JOB = "$JOB"
DONE = ("succeeded", "success", "successful", "completed", "complete", "done", "finished", "ready", "true")
FAILED = (
    *("failed", "failure", "error", "errored", "canceled", "cancelled", "aborted", "expired", "rejected"),
    *("timeout", "timed_out", "nsfw", "content moderated", "request moderated", "task not found"),
)
Word = str | bool | int
_LOOKED_AGAIN = "It is looked at again at the next run, which buys nothing."


class Poll(Settings):
    """How the job is followed that an API answers with.

    Attributes:
        url: the address to look at: an address in which $JOB stands for the job's id, or a JSONPath in the
            answer to the request that leads to an address.
        job: JSONPath of the job's id in the answer to the request; goes with $JOB.
        status: JSONPath of a word, in what lies at `url`, that tells how far the job is. Without it the job
            has ended when the image is there.
        done: the words of a job that has ended well. Case does not count.
        failed: the words of one that failed. Its request is sent again, and counted again.
        result: where the answer of an ended job lies, given like `url`, if not at `url`.
        every: seconds from one look to the next.
        longest: seconds after which a run stops looking. The next run goes on.
    """

    url: str
    job: str | None = None
    status: str | None = None
    done: tuple[Word, ...] = DONE
    failed: tuple[Word, ...] = FAILED
    result: str | None = None
    every: Annotated[Float, Field(gt=0, le=600)] = 2.0
    longest: Annotated[Positive, Field(le=86_400)] = 600

    @field_validator("url", "result")
    @classmethod
    def _a_place(cls, text: str | None) -> str | None:
        if text is None or not _is_address(text):
            if text is not None:
                parse_path(text)
            return text
        address = parts_of(text.replace(_JOB, "0"), " @#\\")
        if address is None or "$" in text.replace(_JOB, "") or "$" in text.split("/")[2]:
            raise ValueError(
                "must be http://host/path or https://host/path, with $JOB for the job's id, or a JSONPath to "
                f"an address; got {'one with a user' if '@' in text else shortened(text)}"
            )
        return text

    @field_validator("job", "status")
    @classmethod
    def _a_path(cls, text: str | None) -> str | None:
        if text is not None:
            parse_path(text)
        return text

    @model_validator(mode="after")
    def _fits(self) -> "Poll":
        if any(_JOB in (text or "") for text in (self.url, self.result)) != (self.job is not None):
            raise ValueError("job and $JOB go together: $JOB stands in url or result, and job leads to it")
        return self

    def addresses(self) -> list[str]:
        """Return the addresses that the settings name."""
        return [text for text in (self.url, self.result) if text and _is_address(text)]

    def leads(self) -> tuple[str | None, ...]:
        """Return what decides which answer is read, and not when."""
        return self.url, self.job, self.result

    def state(self, answer: bytes, reading: Reading) -> bool | Lost | str:
        """Return whether an answer is that of a job that has ended well; Lost if it failed; or the word for
        how far it is.

        Raises ValueError if the answer does not say it.
        """
        if self.status is None:
            return reading.has_image(answer)
        try:
            found = value_at(json_of(answer), parse_path(self.status))
        except LookupError as problem:
            raise ValueError(problem.args[0]) from None
        said = str(found).lower()
        if said in _words(self.done):
            return True
        if said in _words(self.failed):
            return Lost(f"the job ended with {shortened(found)}: {started(answer)}")
        return shortened(found)


def _words(words: tuple[Word, ...]) -> set[str]:
    return {str(word).lower() for word in words}


def _is_address(text: str) -> bool:
    return "://" in text


@dataclass(frozen=True)
class BegunJob:
    """A job that was begun.

    Attributes:
        poll: how it is followed.
        reading: how its answer is read.
        began: the answer to the request.
        file: where that is kept, for messages.
        request: the request; its headers go along.
        key: the key, or "".
        client: sends requests.
    """

    poll: Poll
    reading: Reading
    began: bytes
    file: Path
    request: FilledRequest
    key: str
    client: ApiClient

    @property
    def _name(self) -> str:
        return f"{self.client.name}: the job kept in {self.file}"

    def followed(self) -> bytes | Lost:
        """Look at the job until it has ended, and return its answer, or Lost if it failed.

        Raises TargetError if the API's answers say nothing of a job, StepError if it does not end.
        """
        if (ended := self._ended_at_once()) is not None:
            return ended
        looks = [self._look_at(place) for place in (self.poll.url, self.poll.result) if place]
        waited, said = 0.0, ""
        while waited <= self.poll.longest:
            waited += self._wait(self.poll.every)
            found = self._looked(looks[0])
            state = found.said if isinstance(found, Free) else self._state(found)
            if state is True and len(looks) > 1:
                found = self._looked(looks[1])
                state = found.said if isinstance(found, Free) else True
            if isinstance(state, Lost) or (state is True and isinstance(found, bytes)):
                return state if isinstance(state, Lost) else cast(bytes, found)
            waited += self._wait(found.wait) if isinstance(found, Free) else 0.0
            said = state or "there is no image yet"
        raise StepError(
            f"{self._name} has not ended in {self.poll.longest} s ({said}). Run the same again to go on "
            "looking, which buys nothing. If it has ended, list that word in poll.done or poll.failed; if "
            "the API has forgotten it, remove the file to pay for another."
        )

    def _wait(self, seconds: float) -> float:
        self.client.pause(seconds)
        return seconds

    def _ended_at_once(self) -> bytes | Lost | None:
        """Return the answer to the request if it holds all that a job could give, None if a job must be
        looked at."""
        try:
            state = self.poll.state(self.began, self.reading)
        except ValueError:
            return None
        if state is True and self.poll.result is None and self.reading.has_image(self.began):
            return self.began
        return state if isinstance(state, Lost) else None

    def _state(self, answer: bytes) -> bool | Lost | str:
        try:
            return self.poll.state(answer, self.reading)
        except ValueError as problem:
            raise TargetError(
                f"{self._name}: the API does not say how far it is ({one_line(problem, 150)}): "
                f"{started(answer)}. {_LOOKED_AGAIN}"
            ) from None

    def _looked(self, look: FilledRequest) -> bytes | Free:
        """Return what lies at an address; Free if nothing does yet. Raises TargetError if it is refused."""
        found = self.client.look(look)
        if isinstance(found, Refused):
            raise TargetError(f"{self._name}: {found} {_LOOKED_AGAIN}")
        return found

    def _look_at(self, place: str) -> FilledRequest:
        """Return the request that looks at a place. Raises TargetError if the answer leads to none."""
        given = _is_address(place)
        if given:
            job = quote(self._leads(self.poll.job), safe="") if self.poll.job else ""
            url = place.replace(_JOB, job)
        else:
            url = urljoin(self.request.url, self._leads(place))
            self.reading.address(url, self._name, "a job")
            if self.key and urlsplit(url).netloc != urlsplit(self.request.url).netloc:
                raise TargetError(
                    f"{self._name}: it is at another host, {shortened(urlsplit(url).netloc)}, and a key is "
                    "not sent where an answer leads. Write that address, with $JOB in it, into poll."
                )
        return FilledRequest("GET", url, self.request.headers, None, None, None)

    def _leads(self, path: str | None) -> str:
        """Return the text that a path leads to in the answer to the request."""
        try:
            found = value_at(json_of(self.began), parse_path(path or "$"))
            if not isinstance(found, str | int) or isinstance(found, bool) or found == "":
                raise ValueError(f"{path} is {shortened(found)}")
        except (LookupError, ValueError) as problem:
            raise TargetError(
                f"{self._name}: no job in it: {one_line(problem.args[0], 150)}. It begins "
                f"{started(self.began)}. It was charged, and is read again at the next run; remove the file "
                "to pay for another."
            ) from None
        return str(found)
