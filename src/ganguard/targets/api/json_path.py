"""The part of JSONPath (RFC 9535) that names one value, `$`, `.name`, `['name']` and `[number]`, or with
`[*]` one value in each entry of a list."""

import re
from collections.abc import Sequence
from typing import cast

from ganguard.base.settings import shortened

_STEP = re.compile(r"""\.([\w-]+)|\[\s*(-?\d{1,9}|\*)\s*\]|\[\s*'([^'\\]*)'\s*\]|\[\s*"([^"\\]*)"\s*\]""")
Step = str | int | None
"""A field, an entry, or each entry (None)."""


def parse_path(text: str, *, several: bool = False) -> tuple[Step, ...]:
    """Return the steps of a path such as "$.data[0].b64_json". Raises ValueError if it is another.

    several: whether it must lead to a value in each entry of a list, such as "$.data[*].b64_json".
    """
    # A name without `$` is a field of the whole answer.
    rest = text[1:] if text.startswith("$") else f".{text}"
    steps, place = list[Step](), 0
    while place < len(rest):
        if not (found := _STEP.match(rest, place)):
            raise ValueError(
                f"must be a JSONPath to one value, of .name, ['name'] and [number], such as $.data[0].image; "
                f"got {shortened(text)}"
            )
        steps.append(_step(*found.groups()))
        place = found.end()
    if several and steps.count(None) != 1:
        raise ValueError(
            f"must lead to each image of an answer that holds several, with one [*], such as "
            f"$.data[*].image; got {shortened(text)}"
        )
    if None in steps and not several:
        raise ValueError(
            f"must be a JSONPath to one value, without [*], which goes with images if n is more than 1; got "
            f"{shortened(text)}"
        )
    return tuple(steps)


def _step(field: str | None, number: str | None, *quoted: str | None) -> Step:
    if number is not None:
        return None if number == "*" else int(number)
    return field or next(name for name in quoted if name is not None)


def value_at(value: object, path: Sequence[Step]) -> object:
    """Return the value that a path leads to. Raises LookupError, which says how far it led, if there is
    none."""
    for number, step in enumerate(path):
        try:
            if isinstance(step, str) != isinstance(value, dict) or not isinstance(value, dict | list):
                raise LookupError(step)
            value = cast(dict[Step, object], value)[step]
        except LookupError:
            held = _of_what(value) if isinstance(value, dict | list) else shortened(value)
            raise LookupError(
                f"{written(path[: number + 1])} is absent; {written(path[:number])} is {held}"
            ) from None
    return value


def _of_what(value: object) -> str:
    if isinstance(value, dict):
        return f"a mapping of {', '.join(map(str, value)) or 'nothing'}"
    return f"a list of {len(cast(list[object], value))}"


def written(path: Sequence[Step]) -> str:
    """Return the text of a path."""
    steps = ("[*]" if step is None else f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "$" + "".join(steps)
