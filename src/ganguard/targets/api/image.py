"""From an API's answer to the one image in it: raw bytes, base64, a data URI, or an address to fetch."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Literal, cast

from pydantic import BeforeValidator
from torch import Tensor

from ganguard.base.codecs import decode_image
from ganguard.base.errors import DataError, StepError, TargetError
from ganguard.base.settings import json_of, one_line, shortened
from ganguard.data.crops import centre_crop_resize, sides_of
from ganguard.data.opacity import decode_with
from ganguard.targets.allowed import is_loopback, parts_of
from ganguard.targets.api.json_path import Step, value_at, written

_DATA_URI = re.compile(r"data:[^,]{0,200},", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def _size(value: object) -> object:
    """Return a size as text: a number is the side of a square."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Size = Annotated[str, BeforeValidator(_size)]
Behind = Literal["white", "black", "drop"]


@dataclass(frozen=True)
class Reading:
    """How an image is read from an answer.

    Attributes:
        paths: where in the JSON it may stand; the first that is there counts. Without any, the answer itself
            is the image. All of them lead to one image, or to each of several.
        shape: (C, H, W) of the images that the target gives.
        resized: whether images of any size are cropped to squares and resized to it.
        alpha: what becomes of transparency; None refuses images with transparent pixels.
        local: whether the API is on this machine. Only such a one may send to an address of this machine.
    """

    paths: tuple[tuple[Step, ...], ...]
    shape: tuple[int, int, int]
    resized: bool
    local: bool
    alpha: Behind | None = None

    def held(self, answer: bytes) -> int | None:
        """Return how many images an answer holds, None if that cannot be read from it. One of which no path
        leads to several holds one."""
        if not self.several:
            return 1
        try:
            whole = json_of(answer)
            lists = [value_at(whole, path[: path.index(None)]) for path in self.paths[:1]]
        except (ValueError, LookupError):
            return None
        return len(cast(list[object], lists[0])) if isinstance(lists[0], list) else None

    def has_image(self, answer: bytes) -> bool:
        """Return whether an image, or the address of one, stands in an answer."""
        if not self.paths:
            with suppress(DataError):
                return bool(decode_image(answer, "", self.shape[0]).numel())
            return False
        if self.several:
            return bool(self.held(answer))
        try:
            whole = json_of(answer)
        except ValueError:
            return False
        for path in self.paths:
            with suppress(LookupError):
                if value_at(whole, path):
                    return True
        return False

    @property
    def several(self) -> bool:
        """Whether an answer holds a list of images."""
        return any(None in path for path in self.paths)

    def image(
        self, answer: bytes, fetched: Callable[[str], bytes], name: str, place: int = 0, count: int = 1
    ) -> Tensor:
        """Return the image (C, H, W) uint8 in an answer.

        Raises TargetError if there is none, or it has another size.

        Args:
            answer: the answer as it came.
            fetched: returns what lies at an address.
            name: calls the answer in messages.
            place: of the image among several.
            count: how many images the answer is to hold, if it may hold several.
        """
        content = answer if not self.paths else self._content(answer, fetched, name, place, count)
        try:
            image, see_through = decode_with(
                self.alpha, content, name, self.shape[0], orient="none", kept=False
            )
        except DataError as problem:
            why = one_line(str(problem).removeprefix(f"{name}: ").split(". Remove the file")[0], 200)
            hint = (
                "" if self.paths else f" If it is JSON, set `image` to the path: it begins {started(answer)}."
            )
            raise TargetError(f"{name}: {why}.{hint}") from None
        if see_through:
            raise TargetError(
                f"{name}: the image has transparent pixels. Set `alpha` to white or black, the background "
                "that they are put before, or to drop, which shows what lies under them."
            )
        if self.resized:
            return centre_crop_resize(image, self.shape[1])
        if tuple(image.shape) != self.shape:
            _, height, width = image.shape
            raise TargetError(
                f"{name}: the image has {width}x{height} pixels, and size says "
                f"{self.shape[2]}x{self.shape[1]}. Set size to what comes, or set resize to the side that "
                "images are to have."
            )
        return image

    def _content(
        self, answer: bytes, fetched: Callable[[str], bytes], name: str, place: int, count: int
    ) -> bytes:
        if (held := self.held(answer)) not in (None, count):
            raise TargetError(
                f"{name}: must hold {count} image{'s' if count > 1 else ''}; it holds {held}. Set n to what "
                "the API gives for each request."
            )
        value = self._value(answer, name, place)
        if not isinstance(value, str) or not value:
            raise TargetError(
                f"{name}: an image in base64, or its address, must stand there; got {shortened(value)}."
            )
        if value[:8].lower().startswith(("http://", "https:/")):
            return fetched(self.address(value, name))
        text = re.sub(r"\s", "", _DATA_URI.sub("", value, count=1)).replace("-", "+").replace("_", "/")
        text = text.rstrip("=")
        try:
            if not _BASE64.fullmatch(text):
                raise binascii.Error("it holds other characters")
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except binascii.Error as problem:
            raise TargetError(
                f"{name}: an image in base64, or its address, must stand there; got {shortened(value)} "
                f"({problem})."
            ) from None

    def _value(self, answer: bytes, name: str, place: int) -> object:
        try:
            whole = json_of(answer)
        except ValueError as problem:
            raise TargetError(
                f"{name}: must be JSON ({one_line(problem, 100)}); it begins {started(answer)}. If the "
                "answer is the image itself, leave `image` out."
            ) from None
        missing: list[str] = []
        for steps in self.paths:
            path = tuple(place if step is None else step for step in steps)
            try:
                found = value_at(whole, path)
            except LookupError as problem:
                missing.append(one_line(problem.args[0], 150))
                continue
            if found is not None or steps == self.paths[-1]:
                return found
            missing.append(f"{written(path)} is null")
        raise TargetError(f"{name}: no image in it: {'; '.join(missing)}. It begins {started(answer)}.")

    def address(self, url: str, name: str, what: str = "an image") -> str:
        """Return the address of an image, or of what `what` says. Raises TargetError if it is not one to be
        fetched: an API must not send us into the network that this machine is in."""
        address = parts_of(url, " @\\")
        host = (address.hostname or "") if address else ""
        good = address is not None and (self.local or (address.scheme == "https" and _public(host)))
        if not good:
            raise TargetError(
                f"{name}: the address of {what} must be https://, of a public host and without a user; "
                f"got {shortened(url)}."
            )
        return url


def _public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return not is_loopback(host) and "." in host


def require_image(content: bytes, name: str) -> None:
    """Raise StepError if what was fetched is no image."""
    try:
        decode_image(content, name)
    except DataError as problem:
        why = str(problem).removeprefix(f"{name}: ").split(". Remove the file")[0]
        raise StepError(
            f"{name}: what lies at the address in the answer is {one_line(why, 120)}. Run the same again "
            "soon: such addresses expire."
        ) from None


def started(answer: bytes) -> str:
    """Return how an answer begins, for a message."""
    return repr(one_line(answer[:200].decode(errors="replace"), 120))


def shape_given(size: str, resize: int | None, channels: Literal[1, 3]) -> tuple[int, int, int]:
    """Return the shape (C, H, W) of the images that a target gives.

    Raises ValueError if it is not known before an image is bought.
    """
    if resize is not None:
        return channels, resize, resize
    # More digits are no side, and may be more than int takes.
    if (sides := sides_of(int(size) if size.isdecimal() and len(size) < 6 else size)) is None:
        raise ValueError(
            "size must be WIDTHxHEIGHT in pixels, such as 256x256, or resize must be set; got "
            f"{shortened(size)}"
        )
    return channels, *sides
