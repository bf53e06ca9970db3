"""The part of JSONPath (RFC 9535) that names one value: `$`, `.name`, `['name']` and `[number]`."""

import re
from collections.abc import Sequence
from typing import cast

from ganguard.base.settings import shortened

_STEP = re.compile(r"""\.([\w-]+)|\[\s*(-?\d{1,9})\s*\]|\[\s*'([^'\\]*)'\s*\]|\[\s*"([^"\\]*)"\s*\]""")
Step = str | int


def parse_path(text: str) -> tuple[Step, ...]:
    """Return the steps of a path such as "$.data[0].b64_json". Raises ValueError if it is another."""
    # A name without `$` is a field of the whole answer.
    rest = text[1:] if text.startswith("$") else f".{text}"
    steps, place = list[Step](), 0
    while place < len(rest):
        if not (found := _STEP.match(rest, place)):
            raise ValueError(
                f"must be a JSONPath to one value, of .name, ['name'] and [number], such as $.data[0].image; "
                f"got {shortened(text)}"
            )
        field, number, *quoted = found.groups()
        steps.append(int(number) if number is not None else field or next(q for q in quoted if q is not None))
        place = found.end()
    return tuple(steps)


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
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
