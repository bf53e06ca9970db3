"""An API that speaks OpenAI's `/v1/images/generations`, as many others do, as a target."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from ganguard.base.settings import Plain, shortened
from ganguard.targets.allowed import parts_of, require_allowed
from ganguard.targets.api.json_path import Step, parse_path
from ganguard.targets.api.opened import ApiTargetSettings
from ganguard.targets.api.request import ApiRequest
from ganguard.targets.api.settings import ApiSettings

ROUTE = "/images/generations"
_OURS = frozenset({"model", "prompt", "n", "size", "response_format", "stream"})
_VERSION = re.compile(r"/v\d+\w*$")
_PATHS = tuple(map(parse_path, ("$.data[0].b64_json", "$.data[0].url")))
_EACH = tuple(parse_path(f"$.data[*].{name}", several=True) for name in ("b64_json", "url"))


class OpenAiApi(ApiSettings):
    """An API of that form.

    Attributes:
        base_url: as OpenAI's clients take it, such as https://api.openai.com/v1. Without a path, /v1 is
            added.
        model: name of the model.
        response_format: asked for; None leaves it out, which some models want. Images in base64 and addresses
            of images are both taken.
        others: further fields of the body, such as {quality: low}.
    """

    base_url: str
    model: Annotated[str, Field(min_length=1, max_length=300)]
    response_format: Literal["b64_json", "url"] | None = None
    others: Annotated[Plain, Field(default_factory=dict)]

    @field_validator("base_url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        if parts_of(url) is None or "$" in url:
            came = "one with a user" if "@" in url else shortened(url)  # no message repeats a password
            raise ValueError(
                f"must be http://host:port/v1 or https://host/v1, without user or query; got {came}"
            )
        return url

    @model_validator(mode="after")
    def _fits(self) -> "OpenAiApi":
        request = self.sends()
        require_allowed(self.base_url, request.address, self.authorised_by, "base_url")
        if not self.prompts:
            raise ValueError("prompts must be a list of prompts, or a text file with one a line; got none")
        if not self.size:
            raise ValueError("size must be what the API is asked for, such as 1024x1024; got none")
        self.shape()
        if taken := sorted(_OURS & self.others.keys()):
            raise ValueError(
                f"others: {taken[0]} has a place of its own, or is fixed. Leave it out of others"
            )
        return self

    def place(self) -> str:
        """Return what describes the API to a person."""
        return f"{self.model} at {super().place()}"

    def paths(self) -> tuple[tuple[Step, ...], ...]:
        """Return where the image may stand in the answer."""
        return _PATHS if self.n == 1 else _EACH

    def sends(self) -> ApiRequest:
        """Return the request for one image, or for several."""
        # A size as the side of a square becomes the form that the API takes.
        size = f"{self.size}x{self.size}" if self.size.isdecimal() else self.size
        body: dict[str, Any] = {**self.others, "model": self.model, "prompt": "$PROMPT", "size": size}
        body["n"] = "$N" if self.n > 1 else 1
        if self.response_format:
            body["response_format"] = self.response_format
        headers = {"Authorization": "Bearer $KEY"} if self.key_env else {}
        return ApiRequest(url=_route(self.base_url), headers=headers, body=body)


def _route(base_url: str) -> str:
    url = base_url.rstrip("/")
    if url.endswith(ROUTE):
        return url
    # Clients are given an address with its version; people also give the host alone.
    alone = not url.split("://", 1)[1].partition("/")[2]
    return f"{url}/v1{ROUTE}" if alone and not _VERSION.search(url) else f"{url}{ROUTE}"


class OpenAiTarget(ApiTargetSettings):
    """`openai`: an API of the form of OpenAI's images; see `OpenAiApi`."""

    openai: OpenAiApi
