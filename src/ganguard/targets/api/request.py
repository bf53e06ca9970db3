"""One request to an API that is not ganguard's, with places for what changes from image to image.

`$PROMPT`, `$SEED`, `$INDEX`, `$N` and `$ID` may stand in the address, in headers and in the body, `$KEY` in
headers alone: addresses end up in logs. A text that is nothing but `$SEED`, `$INDEX` or `$N` becomes a
number.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast
from urllib.parse import SplitResult, quote

from pydantic import AfterValidator, Field, field_validator, model_validator

from ganguard.base.errors import TargetError
from ganguard.base.settings import Plain, Settings, shortened
from ganguard.targets.allowed import parts_of

_PLACE = re.compile(r"\$(PROMPT|SEED|INDEX|ID|KEY|N)\b")
_SECRET = re.compile(r"(?i)authorization|cookie|(api|access|subscription)[-_]?(key|token)|secret|password")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # a token of RFC 9110, section 5.1


def _headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or not value.isascii() or not value.isprintable():
            raise ValueError(f"must be names and printable ASCII values; got {shortened(name)}")
        if _SECRET.search(name) and "$KEY" not in value:
            raise ValueError(
                f"{name} holds a key, and a spec is no place for one. Write $KEY there, and set key_env to "
                "the environment variable that holds the key"
            )
    return headers


Part = str | int | float | bool
Parts = Annotated[dict[str, Part], Field(min_length=1)]


class ApiRequest(Settings):
    """The request that an API is sent for each image, or for several.

    Attributes:
        url: the whole address, with the path.
        method: of HTTP.
        headers: beside those that HTTP needs.
        body: sent as JSON.
        form: fields, sent as an HTML form.
        multipart: fields, sent as multipart/form-data.
    """

    url: str
    method: Literal["POST", "GET", "PUT"] = "POST"
    headers: Annotated[dict[str, str], AfterValidator(_headers), Field(default_factory=dict)]
    body: Plain | None = None
    form: Parts | None = None
    multipart: Parts | None = None

    @field_validator("url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        # The places are filled with quoted texts, so that none of them changes the host.
        address = parts_of(url, " @#\\")
        if address is None or "$" in address.netloc or "$KEY" in url:
            came = "one with a user" if "@" in url else shortened(url)  # no message repeats a password
            raise ValueError(
                "url must be http://host:port/path or https://host/path, without user or fragment, and $KEY "
                f"belongs in a header; got {came}"
            )
        return url

    @model_validator(mode="after")
    def _one_body(self) -> "ApiRequest":
        bodies = [part for part in (self.body, self.form, self.multipart) if part is not None]
        if len(bodies) > 1 or (bodies and self.method == "GET"):
            raise ValueError("one of body, form and multipart may be given, and none with GET")
        if any("KEY" in _PLACE.findall(text) for body in bodies for text in _texts(body)):
            raise ValueError("$KEY belongs in a header, so that no log of bodies shows it")
        return self

    @property
    def address(self) -> SplitResult:
        """The parts of the address."""
        return cast(SplitResult, parts_of(self.url, " @#\\"))

    def places(self) -> set[str]:
        """Return the names of the places that the request has."""
        parts = [self.url, *self.headers.values()]
        parts += [text for body in (self.body, self.form, self.multipart) for text in _texts(body)]
        return {name for part in parts for name in _PLACE.findall(part)}

    def filled(self, values: Mapping[str, str | int]) -> "FilledRequest":
        """Return the request with a value in every place.

        Raises TargetError if a value cannot stand in a header.
        """

        def in_address(name: str) -> str:
            return quote(str(values[name]), safe="")

        headers = {
            name: _PLACE.sub(lambda found: str(values[found[1]]), text) for name, text in self.headers.items()
        }
        if wrong := [name for name, text in headers.items() if not (text.isascii() and text.isprintable())]:
            raise TargetError(
                f"the header {wrong[0]} must be printable ASCII; what is put into it is not. Send it in the "
                "body."
            )
        return FilledRequest(
            self.method,
            _PLACE.sub(lambda found: in_address(found[1]), self.url),
            headers,
            _filled(self.body, values),
            _filled(self.form, values),
            _filled(self.multipart, values),
        )


@dataclass(frozen=True)
class FilledRequest:
    """A request as it is sent; see `ApiRequest`."""

    method: str
    url: str
    headers: dict[str, str]
    body: Any
    form: Any
    multipart: Any

    def content(self) -> dict[str, Any]:
        """Return the body, as arguments of an HTTP client."""
        if self.body is not None:
            return {"json": self.body}
        if self.form is not None:
            return {"data": self.form}
        if self.multipart is not None:
            return {"files": {name: (None, str(value)) for name, value in self.multipart.items()}}
        return {}


def _texts(value: object) -> list[str]:
    """Return every text in a JSON value."""
    if isinstance(value, str):
        return [value]
    parts: list[object] = []
    if isinstance(value, dict):
        parts = list(cast(dict[str, object], value).values())
    elif isinstance(value, list):
        parts = cast(list[object], value)
    return [text for part in parts for text in _texts(part)]


def _filled(value: Any, values: Mapping[str, str | int]) -> Any:
    """Return a JSON value with a value in every place of its texts."""
    if isinstance(value, dict):
        return {key: _filled(part, values) for key, part in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [_filled(part, values) for part in cast(list[Any], value)]
    if not isinstance(value, str):
        return value
    if whole := _PLACE.fullmatch(value):
        return values[whole[1]]
    return _PLACE.sub(lambda found: str(values[found[1]]), value)
