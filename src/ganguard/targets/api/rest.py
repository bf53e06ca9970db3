"""Any HTTP API that gives images for a request, as a target: the request is a template, and a path leads to
the image in the answer. The idea is that of garak's REST generator (garak/generators/rest.py)."""

from dataclasses import replace
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator

from ganguard.targets.allowed import require_allowed
from ganguard.targets.api.asked import Api
from ganguard.targets.api.jobs import Poll
from ganguard.targets.api.json_path import Step, parse_path
from ganguard.targets.api.opened import ApiTargetSettings
from ganguard.targets.api.request import ApiRequest
from ganguard.targets.api.settings import ApiSettings


class RestApi(ApiSettings):
    """An API that a request describes.

    Attributes:
        request: the request for one image, or for `n`, with places for what changes; see `ApiRequest`.
        image: JSONPath of the image in the answer, such as $.data[0].b64_json: base64, a data URI, or an
            address to fetch. If `n` is more than 1, [*] stands in it for each of them. None if the answer is
            the image itself.
        poll: how the job is followed that the API answers with; see `Poll`. None if it answers with images.
        idempotent: whether the API knows a request by its `$ID`, and answers it again without a charge.
    """

    request: ApiRequest
    image: Annotated[str | None, Field(validate_default=True)] = None
    poll: Poll | None = None
    idempotent: bool = False

    @field_validator("image")
    @classmethod
    def _a_path(cls, image: str | None, info: ValidationInfo) -> str | None:
        several = info.data.get("n", 1) > 1
        if image is not None:
            parse_path(image, several=several)
        elif several:
            raise ValueError("must lead to each image of an answer, such as $.data[*].image, if n is above 1")
        return image

    @property
    def knows_again(self) -> bool:
        """Whether the API knows a request that it is sent again, and answers without a charge."""
        return self.idempotent

    @model_validator(mode="after")
    def _fits(self) -> "RestApi":
        require_allowed(self.request.url, self.request.address, self.authorised_by, "request.url")
        for url in self.poll.addresses() if self.poll else ():
            require_allowed(url, urlsplit(url), self.authorised_by, "poll")
        self.shape()
        places = self.request.places()
        for place, given, name in (
            ("PROMPT", bool(self.prompts), "prompts"),
            ("KEY", self.key_env is not None, "key_env"),
        ):
            if (place in places) != given:
                raise ValueError(
                    f"{name} and ${place} go together: the request "
                    + (
                        f"has no place ${place} for it"
                        if given
                        else f"has a place ${place}, and {name} is not set"
                    )
                )
        if self.n > 1 and self.poll and self.poll.status is None:
            raise ValueError(
                "poll.status must lead to the word that says that a job has ended, if n is above 1: its "
                "first image may be there before the others"
            )
        if self.idempotent and "ID" not in places:
            raise ValueError("idempotent needs $ID in the request, by which the API knows it again")
        return self

    def sends(self) -> ApiRequest:
        """Return the request for one image, or for several."""
        return self.request

    def paths(self) -> tuple[tuple[Step, ...], ...]:
        """Return where the image may stand in the answer; empty if the answer is the image."""
        return () if self.image is None else (parse_path(self.image, several=self.n > 1),)

    def api(self) -> Api:
        """Return what is asked. Raises TargetError if the prompts cannot be read."""
        return replace(super().api(), idempotent=self.idempotent, poll=self.poll)


class RestTarget(ApiTargetSettings):
    """`http`: an API that gives images for a request; see `RestApi`."""

    http: RestApi
