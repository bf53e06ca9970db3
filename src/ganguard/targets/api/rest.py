"""Any HTTP API that gives one image a request, as a target: the request is a template, and a path leads to
the image in the answer. The idea is that of garak's REST generator (garak/generators/rest.py)."""

from typing import ClassVar

from pydantic import field_validator, model_validator

from ganguard.base.compute import Compute
from ganguard.targets.allowed import require_allowed
from ganguard.targets.api.json_path import parse_path
from ganguard.targets.api.request import ApiRequest
from ganguard.targets.api.settings import ApiSettings, named
from ganguard.targets.api.target import Api, ApiTarget
from ganguard.targets.load import TargetSettings


class RestApi(ApiSettings):
    """An API that a request describes.

    Attributes:
        request: the request for one image, with places for what changes; see `ApiRequest`.
        image: JSONPath of the image in the answer, such as $.data[0].b64_json: base64, a data URI, or an
            address to fetch. None if the answer is the image itself.
        idempotent: whether the API knows a request by its `$ID`, and answers it again without a charge.
    """

    request: ApiRequest
    image: str | None = None
    idempotent: bool = False

    @field_validator("image")
    @classmethod
    def _a_path(cls, image: str | None) -> str | None:
        if image is not None:
            parse_path(image)
        return image

    @model_validator(mode="after")
    def _fits(self) -> "RestApi":
        require_allowed(self.request.url, self.request.address, self.authorised_by, "request.url")
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
        if self.idempotent and "ID" not in places:
            raise ValueError("idempotent needs $ID in the request, by which the API knows it again")
        return self


class RestTarget(TargetSettings):
    """`http`: an API that gives an image for each request; see `RestApi`."""

    remote: ClassVar[bool] = True
    http: RestApi

    def place(self) -> str:
        """Return what describes the target to a person, beside its kind."""
        return f"{named(self.http.request.address)}{said_of_repeats(self.http.idempotent)}"

    def fingerprint(self) -> str:
        """Return a digest of the request and of how its answer is read. Raises TargetError."""
        return self._api().digest()

    def load(self, compute: Compute) -> ApiTarget:
        """Return the API as a target; nothing is sent. Raises TargetError if the key is absent."""
        return self.http.target(self._api(), "http")

    def _api(self) -> Api:
        image = self.http.image
        paths = () if image is None else (parse_path(image),)
        return self.http.api(self.http.request, paths, idempotent=self.http.idempotent)


def said_of_repeats(idempotent: bool) -> str:
    """Return what results say of an API that charges each request."""
    return "" if idempotent else " (not idempotent: a request whose answer is lost is sent and counted again)"
