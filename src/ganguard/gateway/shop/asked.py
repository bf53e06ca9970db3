"""What a client asks for: the body of a request for images, read from JSON in bounded time and memory.

The fields and their bounds are those of `ImagesRequest`, which describes them to clients. pydantic is not
used here: it reads a whole body at once, and collects every error. This stops at the first one, and reads
codes one at a time, so that other threads get their turns in between.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
import numpy as np
import torch
from msgspec import UNSET, Meta, Struct, UnsetType
from torch import Tensor

from ganguard.base.settings import LARGEST, one_line
from ganguard.base.text_files import without_mark
from ganguard.gateway.refusals import ProblemError
from ganguard.targets.wire import FARTHEST, MOST_COUNT, Format

_LONGEST_SAID = 300  # characters of a parser's complaint that are looked at: it may repeat a long name
_PLACE = re.compile(r" - at `\$([a-z0-9.\[\]]*)`$")


class _Body(Struct, forbid_unknown_fields=True, frozen=True):
    """A body. The codes and the conditions are read later."""

    count: Annotated[int, Meta(ge=1, le=MOST_COUNT)] | UnsetType | None = UNSET
    seed: Annotated[int, Meta(ge=0, le=LARGEST)] | UnsetType | None = UNSET
    start: Annotated[int, Meta(ge=0, le=LARGEST // 2)] | UnsetType = UNSET
    latents: msgspec.Raw | UnsetType = UNSET
    condition: msgspec.Raw | UnsetType = UNSET
    format: Literal["png", "npz"] | UnsetType = UNSET


_BODY = msgspec.json.Decoder(_Body)
_Name = Annotated[str, Meta(min_length=1)]
_CONDITION = msgspec.json.Decoder(_Name)
_CONDITIONS = msgspec.json.Decoder(Annotated[list[_Name], Meta(min_length=1)])
_CODE = msgspec.json.Decoder(list[Annotated[float, Meta(ge=-FARTHEST, le=FARTHEST)]])


@dataclass(frozen=True)
class Asked:
    """A request for images, as its client sent it.

    Attributes:
        count: number of images; None if it was left out.
        seed: the seed; None if it was left out.
        start: index of the first image of that seed.
        latents: the codes, (number, entries) float32; None if there are none.
        condition: the name of what all images are asked for, or a name for each; None if it was left out.
        format: how the images are to be sent.
    """

    count: int | None = None
    seed: int | None = None
    start: int = 0
    latents: Tensor | None = None
    condition: str | list[str] | None = None
    format: Format = "png"


def read_asked(content: bytes, most: int, width: int | None) -> Asked:
    """Return the request in a body.

    Args:
        content: the body, JSON.
        most: the most codes, or conditions, that may be sent.
        width: entries of a code; None if the target takes none, or if the key may not send any.

    Raises ProblemError: 403 if there are too many codes or conditions, 422 if the body does not fit. It names
    the place of the first fault, and does not repeat the value.
    """
    try:
        body = _BODY.decode(without_mark(content))
    except (ValueError, RecursionError) as problem:
        raise _unfit(problem, "") from None
    latents = None if body.latents is UNSET else _codes(bytes(body.latents), most, width)
    condition = None if body.condition is UNSET else _condition(bytes(body.condition), most)
    given = sum(getattr(body, name) is not UNSET for name in _Body.__struct_fields__)
    # A body that fits holds no other text than names, the format and conditions.
    asked = [condition] if isinstance(condition, str) else condition or []
    if _quotes(content) != 2 * (given + (body.format is not UNSET) + len(asked)):
        raise ProblemError(422, "body: each name may be given once; one was given several times.")
    return Asked(
        count=None if body.count is UNSET else body.count,
        seed=None if body.seed is UNSET else body.seed,
        start=0 if body.start is UNSET else body.start,
        latents=latents,
        condition=condition,
        format="png" if body.format is UNSET else body.format,
    )


def _quotes(content: bytes) -> int:
    """Return how many quotes of JSON begin or end a text."""
    unescaped = content.replace(rb"\\", b"")
    return unescaped.count(b'"') - unescaped.count(rb"\"")


def _condition(text: bytes, most: int) -> str | list[str] | None:
    """Return the name in a text, the names in a list of texts, or None for a null. Raises as `read_asked`
    does."""
    if text == b"null":
        return None
    if _quotes(text) > 2 * most:
        raise too_many(_quotes(text) // 2, most)
    try:
        return _CONDITIONS.decode(text) if text.startswith(b"[") else _CONDITION.decode(text)
    except (ValueError, RecursionError) as problem:
        raise _unfit(problem, "condition") from None


def too_many(count: int, most: int) -> ProblemError:
    """Return the refusal of a request for more images than its key may ask for."""
    return ProblemError(403, f"count: this key may ask for at most {most} images at once; got {count}.")


def _codes(text: bytes, most: int, width: int | None) -> Tensor | None:
    """Return the codes in a list of lists of numbers, or None for a null. Raises as `read_asked` does.

    No text is allowed within, so every "]" ends a code, but for the last one, which ends the list.
    """
    if text == b"null":
        return None
    if not text.startswith(b"["):
        raise ProblemError(422, "latents: must be a list of codes, each a list of numbers.")
    if (number := text.count(b"]") - 1) > most:
        raise too_many(number, most)
    *rows, after, _ = text[1:].split(b"]") if number > 0 else (b"", b"")
    if not rows or after.strip():
        raise ProblemError(
            422, f"latents.{len(rows)}: must be a list of numbers; at least one code is needed."
        )
    width = width or rows[0].count(b",") + 1
    codes = np.empty((number, width), np.float32)
    for place, row in enumerate(rows):
        codes[place] = _code(row if not place else row.lstrip().removeprefix(b","), place, width)
    return torch.from_numpy(codes)


def _code(row: bytes, place: int, width: int) -> list[float]:
    """Return the numbers of a code whose closing bracket is missing."""
    if row.count(b",") != width - 1:
        raise ProblemError(422, f"latents.{place}: each must have {width} entries.")
    try:
        entries = _CODE.decode(row + b"]")
    except (ValueError, RecursionError) as problem:
        raise _unfit(problem, f"latents.{place}") from None
    if len(entries) != width:  # a list without entries has as many commas as one of one entry
        raise ProblemError(422, f"latents.{place}: each must have {width} entries.")
    return entries


def _unfit(problem: Exception, within: str) -> ProblemError:
    """Return the refusal for a parser's complaint, such as "Expected `int`, got `str` - at `$.count`"."""
    text = str(problem)
    if len(text) > _LONGEST_SAID:  # it repeats a name
        text = f"{text[:_LONGEST_SAID]}…"
    said, place, _ = _PLACE.split(text) if _PLACE.search(text) else (text, "", "")
    if isinstance(problem, RecursionError):
        said = "lists or objects are nested too deeply"
    elif not isinstance(problem, msgspec.ValidationError):
        said = f"not JSON ({said})"
    elif not place and not within and said.startswith("Expected"):
        said = "must be a JSON object, sent with the Content-Type of JSON"
    elif said.startswith("Invalid enum value"):
        said = "must be png or npz"
    where = ".".join(part for part in (within, *re.findall(r"[a-z0-9]+", place)) if part) or "body"
    return ProblemError(422, f"{where}: {one_line(said, 200)}.")
