"""Frozen settings out of YAML, JSON and the command line, and one clear line where a value does not fit them.

All of these may come from anybody. What is read is bounded: the size of a file, how deep it nests, how long a
value is.
"""

import copy
import json
import math
import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, FailFast, Field, ValidationError

from ganguard.base.errors import InputError, SpecError


class Settings(BaseModel):
    """Base of every settings record: frozen, and a key that is not known is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _whole(value: object) -> object:
    if isinstance(value, bool | str) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(f"must be a whole number; got {shortened(value)}")
    return value


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"must be a number; got {shortened(value)}")
    return value


LARGEST = 2**62  # so that it fits every file and database that it goes to
MOST_SIDE = 8192  # pixels of an image: what files are brought to, architectures make, and gateways serve
Positive = Annotated[int, BeforeValidator(_whole), Field(gt=0, le=LARGEST)]
NonNegative = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=LARGEST)]

Float = Annotated[float, BeforeValidator(_no_truth)]

GREATEST = 1e100  # of a measured number: no square and no product of two leaves what floats hold
Number = Annotated[float, Field(ge=-GREATEST, le=GREATEST)]

LONGEST_VALUE = 80  # characters of a wrong value that a message repeats
LONGEST_MESSAGE = 400  # characters of a message, beside the name of the file that it is about
LONGEST_YAML = 100_000  # characters of a spec
LONGEST_SCALAR = 4096  # characters of one value of a spec: the longest path that Linux takes
LARGEST_JSON = 16 << 20  # bytes of a JSON file
DEEPEST = 32  # mappings and lists within each other, in YAML and JSON, and keys with dots between them

S = TypeVar("S", bound=BaseModel)
R = TypeVar("R")
Rows = Annotated[tuple[R, ...], FailFast()]
"""Many records. The first wrong one is enough: all that is wrong with a million may fill any memory."""


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    waiting: list[tuple[object, int]] = [(value, 1)]
    while waiting:
        found, depth = waiting.pop()
        if depth > DEEPEST:
            raise ValueError(f"must nest at most {DEEPEST} deep; got more")
        if isinstance(found, dict | list | tuple):
            parts = (
                cast(Mapping[str, Any], found).values() if isinstance(found, dict) else cast(list[Any], found)
            )
            waiting += [(part, depth + 1) for part in parts]
        elif (isinstance(found, float) and not math.isfinite(found)) or (
            isinstance(found, int) and abs(found) > LARGEST
        ):
            raise ValueError(
                f"must hold finite numbers, and whole ones of at most 2^62; got {shortened(found)}"
            )
    return value


Plain = Annotated[dict[str, Any], AfterValidator(_plain)]
"""What a file may say in its own words: JSON values whose numbers and depth are bounded."""


def absolute(path: str) -> str:
    """A path in full, as settings keep it. Raises ValueError for a text that can be no path."""
    try:
        full = Path(path).expanduser().resolve()
        full.exists()
    except (OSError, RuntimeError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else problem
        raise ValueError(f"must be a path; got {shortened(path)} ({shortened(str(reason))})") from None
    return str(full)


def parse(model: type[S], values: Mapping[str, Any], where: str) -> S:
    """Validate `values` as `model`. Raises SpecError with one line that names the first wrong key within
    `where`."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as problem:
        raise SpecError(explain(problem, model, where)) from None
    except SpecError as problem:  # of a part that is parsed by itself, and may repeat a long value
        raise SpecError(one_line(problem)) from None


def read_record(path: Path, model: type[S], error: type[InputError]) -> S:
    """The JSON file at `path` as `model`. Raises `error` where it cannot be read, is larger than
    LARGEST_JSON, or does not fit."""
    try:
        return model.model_validate(read_json(path))
    except ValidationError as problem:
        raise error(explain(problem, model, str(path))) from None
    except SpecError as problem:
        raise error(f"{path}: {one_line(problem)}") from None
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror}).") from None
    except TooLarge as problem:
        raise error(f"{path}: {problem}.") from None
    except ValueError as problem:
        raise error(f"{path}: not JSON ({one_line(problem, LONGEST_VALUE)}).") from None


class TooLarge(ValueError):
    """A file is larger than what is read of one of its sort."""


def read_bounded(path: Path, most: int) -> bytes:
    """A file of at most `most` bytes. Raises TooLarge, before anything is read, where it has more; OSError as
    reading does."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size <= most and len(content := file.read(most + 1)) <= most:
            return content
    raise TooLarge(f"larger than {most:,} bytes, which is the most that is read")


def read_json(path: Path) -> object:
    """What a JSON file of at most LARGEST_JSON bytes says. Raises OSError where it cannot be read, ValueError
    where it is no JSON, or too large."""
    return json_of(read_bounded(path, LARGEST_JSON))


def json_of(content: bytes) -> object:
    """What a JSON text says. Raises ValueError where it is none."""
    try:
        return _json(content)
    except RecursionError:
        raise ValueError("lists or mappings stand too deep within each other") from None


def _json(content: bytes) -> object:
    """What a JSON text says, read by Python: of a megabyte of small lists, pydantic's own reader makes half a
    gigabyte."""
    value = json.loads(content.decode(), parse_constant=_no_number)
    if b"\\ud" in content.lower():
        json.dumps(value, ensure_ascii=False).encode()  # refuses half of a surrogate pair, which is no text
    return value


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number there")


def explain(problem: ValidationError, model: type[BaseModel], where: str) -> str:
    """The first of a ValidationError's complaints as one line: where, what was wanted, what came."""
    errors = problem.errors(include_url=False)
    first = next(
        (error for error in errors if error["type"] == "extra_forbidden"), errors[0]
    )  # likely a name misspelt
    path = one_line(".".join(str(part) for part in first["loc"]), LONGEST_VALUE)
    name = f"{where}.{path}" if where and path else where or path
    others = len(errors) - 1
    more = f" ({others} more problem{'s' if others > 1 else ''} after this one)" if others else ""
    if first["type"] == "extra_forbidden":
        return f"{name}: unknown key.{one_line(_known_keys(model, first['loc']))}{more}"
    if first["type"] == "missing":
        return f"{name}: this key is needed and absent.{more}"
    message = one_line(first["msg"].removeprefix("Value error, ").replace("valid tuple", "list").rstrip("."))
    untold = "got" in message or isinstance(first["input"], dict | list)
    came = "" if untold else f"; got {shortened(first['input'])}"
    return f"{name}: {message[0].lower()}{message[1:]}{came}.{more}"


def shortened(value: object) -> str:
    """A wrong value as a message repeats it: its repr, cut after LONGEST_VALUE characters."""
    if isinstance(value, str | bytes):
        value = value[: LONGEST_VALUE + 1]
    elif isinstance(value, int) and value.bit_length() > 8 * LONGEST_VALUE:  # Python refuses to print it
        return "a whole number of hundreds of digits"
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def one_line(text: object, longest: int = LONGEST_MESSAGE) -> str:
    """A text that others wrote, as part of a message: white space and control characters become spaces, the
    rest is cut."""
    line = _UNPRINTABLE.sub(" ", str(text))
    return line if len(line) <= longest else f"{line[:longest]}…"


_UNPRINTABLE = re.compile("[\\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """Known keys beside the one at `location`, where the path leads through plain settings records."""
    record: Any = model
    for part in location[:-1]:
        fields = getattr(record, "model_fields", {})
        record = fields[part].annotation if part in fields else None
    fields = getattr(record, "model_fields", None)
    if not fields:
        return ""
    near = get_close_matches(str(location[-1]), list(fields), n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{hint} Known: {', '.join(sorted(fields))}"


class _PlainLoader(yaml.SafeLoader):
    """Safe YAML without aliases (whose expansion may be without bound), keys that stand twice, deep nesting
    and long values."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not taken")
        if self.depth == DEEPEST:
            raise yaml.YAMLError(f"more than {DEEPEST} lists or mappings stand within each other")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_scalar(self, node: Any) -> Any:
        value = super().construct_scalar(node)
        if len(value) > LONGEST_SCALAR:
            raise yaml.YAMLError(
                f"a value has {len(value):,} characters; at most {LONGEST_SCALAR:,} are taken"
            )
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise yaml.YAMLError("a value holds the character NUL or half of a surrogate pair")
        return value

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key.value, str) and (key.value in seen or seen.add(key.value)):
                raise yaml.YAMLError(f"key {shortened(key.value)} stands twice")
        return super().construct_mapping(node, deep)


def read_yaml(text: str, name: str) -> object:
    """What a YAML text says, plain values only. Raises SpecError; also for more than LONGEST_YAML characters,
    values longer than LONGEST_SCALAR, and nesting deeper than DEEPEST."""
    if len(text) > LONGEST_YAML:
        raise SpecError(f"{name}: {len(text):,} characters; at most {LONGEST_YAML:,} are read.")
    try:
        return yaml.load(text, _PlainLoader)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as problem:
        raise SpecError(f"{name}: not YAML ({one_line(problem)}).") from None


def apply_changes(values: Mapping[str, Any], changes: list[str]) -> dict[str, Any]:
    """A copy of nested `values` after changes of the form "a.b.0.c=value", each value read as YAML. Raises
    SpecError."""
    changed: dict[str, Any] = copy.deepcopy(dict(values))
    for change in changes:
        path, equals, text = change.partition("=")
        keys, said = path.split("."), f"--set {one_line(change, LONGEST_VALUE)}"
        if not equals or not all(keys) or len(keys) > DEEPEST:
            raise SpecError(f"{said}: write key=value, with dots between nested keys.")
        place: Any = changed
        try:
            for key in keys[:-1]:
                place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
            place[int(keys[-1]) if isinstance(place, list) else keys[-1]] = read_yaml(text, said)
        except (ValueError, IndexError, TypeError, AttributeError):
            if isinstance(place, str):
                where, key = (one_line(part, LONGEST_VALUE) for part in (".".join(keys[:-1]), keys[-1]))
                whole = f"{where}={{kind: {one_line(place, LONGEST_VALUE)}, {key}: …}}"
                raise SpecError(f"{said}: only a name stands at {where}. Write the whole: {whole}") from None
            raise SpecError(
                f"{said}: {one_line(path, LONGEST_VALUE)} does not lead to a value that can be set."
            ) from None
    return changed
