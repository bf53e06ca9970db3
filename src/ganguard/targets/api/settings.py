"""What the settings of every API that is not ganguard's have in common: prompts, key, size, rate, answers."""

import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult

from pydantic import Field, ValidationInfo, field_validator

from ganguard.base.errors import TargetError
from ganguard.base.settings import Float, Name, NonNegative, Positive, Settings, absolute
from ganguard.data.crops import Side
from ganguard.targets.allowed import is_loopback
from ganguard.targets.api.answers import answers_directory
from ganguard.targets.api.asked import Api
from ganguard.targets.api.client import ApiClient
from ganguard.targets.api.image import Behind, Reading, Size, shape_given
from ganguard.targets.api.json_path import Step
from ganguard.targets.api.request import ApiRequest
from ganguard.targets.api.target import ApiTarget
from ganguard.targets.prompts import absolute_file, texts_of


class ApiSettings(Settings):
    """Settings of an API.

    Attributes:
        prompts: a text file with a prompt a line, or a list of prompts. The k-th `n` images are asked for
            with prompt k mod their number.
        n: images that one request asks for. They share its prompt.
        size: of the images: "WIDTHxHEIGHT" in pixels, or the side of a square.
        resize: side in pixels; images of any size are then cropped to squares and resized to it. None takes
            them as they come, and `size` must say how large they are.
        channels: 1 makes all images grey, 3 RGB.
        alpha: "white" and "black" put images before that background, "drop" leaves transparency out, so that
            what lies under it shows. None refuses images with transparent pixels.
        rate: requests a minute, at most, of all processes together; None for no limit.
        at_once: requests of a process that may wait for their answers at the same time.
        key_env: the environment variable that holds the key; None sends none.
        authorised_by: who allowed this audit; required unless the address is this machine itself.
        answers: folder where answers are kept, as they came; None takes ~/.local/share/ganguard/answers.
        repeats: how many requests each account may send again, beside its budget, after an answer was lost
            that may have been charged. Their images are counted.
        timeout: seconds until an answer must come.
    """

    prompts: str | tuple[Name, ...] = ()
    n: Annotated[Positive, Field(le=64)] = 1
    size: Size = ""
    resize: Side | None = None
    channels: Literal[1, 3] = 3
    alpha: Behind | None = None
    rate: Annotated[Float, Field(gt=0, le=1e6)] | None = None
    at_once: Annotated[Positive, Field(le=64)] = 1
    key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    authorised_by: str | None = None
    answers: str | None = None
    repeats: NonNegative = 10
    timeout: Annotated[Positive, Field(le=3600)] = 300

    @field_validator("prompts", "answers")
    @classmethod
    def _absolute(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        return absolute_file(value) if info.field_name == "prompts" else absolute(value)

    def texts(self) -> tuple[str, ...]:
        """Return the prompts. Raises TargetError if their file cannot be read, or has none."""
        return texts_of(self.prompts)

    def key(self) -> str:
        """Return the key, or "" if none is sent. Raises TargetError if it is not set, or cannot be sent."""
        if self.key_env is None:
            return ""
        key = os.environ.get(self.key_env, "").strip()
        if not key or not (key.isascii() and key.isprintable()):
            came = "it holds characters that cannot be sent" if key else "it is not set"
            raise TargetError(
                f"key_env: the environment variable {self.key_env} must hold a key for this API; {came}."
            )
        return key

    def shape(self) -> tuple[int, int, int]:
        """Return the shape (C, H, W) of the images. Raises ValueError if the settings do not say it."""
        return shape_given(self.size, self.resize, self.channels)

    @property
    def knows_again(self) -> bool:
        """Whether the API knows a request that it is sent again, and answers without a charge."""
        return False

    def sends(self) -> ApiRequest:
        """Return the request for one image, or for several."""
        raise NotImplementedError

    def paths(self) -> tuple[tuple[Step, ...], ...]:
        """Return where the image may stand in the answer; empty if the answer is the image."""
        raise NotImplementedError

    def api(self) -> Api:
        """Return what is asked. Raises TargetError if the prompts cannot be read."""
        request = self.sends()
        local = is_loopback(request.address.hostname or "")
        reading = Reading(self.paths(), self.shape(), self.resize is not None, local, self.alpha)
        fixed = self.n > 1 and "N" not in request.places()
        return Api(request, self.texts(), reading, most=self.n, fixed=fixed)

    def place(self) -> str:
        """Return what describes the API to a person."""
        return named(self.sends().address)

    def target(self, api: Api, kind: str) -> ApiTarget:
        """Return the API as a target. Nothing is sent. Raises TargetError if the key is absent."""
        key = self.key()
        client = ApiClient(named(api.request.address), key, self.timeout, direct=api.reading.local)
        return ApiTarget(
            api,
            kind,
            client,
            key=key,
            directory=Path(self.answers) if self.answers else answers_directory(),
            rate=self.rate,
            at_once=self.at_once,
            repeats=self.repeats,
        )


def named(address: SplitResult) -> str:
    """Return an address as messages call it: without its query, which may hold a prompt."""
    return f"{address.scheme}://{address.netloc}{address.path}"
