"""Frozen settings from YAML, JSON and the command line, and one clear line about a value that does not fit
them.

All of these may come from anybody, so everything that is read is bounded: the size of a file, the depth of
its nesting, the length of a value.
"""

import copy
import json
import math
import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, cast

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from ganguard.base.errors import InputError, SpecError
from ganguard.base.text_files import decoded


class Settings(BaseModel):
    """Base of every settings record: it is frozen, and refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Sparse(Settings):
    """Base of settings and records that leave out some fields while these have their defaults, so that a
    record of before they came is written as it was, and a key does not depend on them.

    Attributes:
        unsaid: names of these fields.
    """

    unsaid: ClassVar[frozenset[str]] = frozenset()

    def left_out(self) -> set[str]:
        """Return the names of the fields that are left out now."""
        fields = type(self).model_fields
        return {name for name in self.unsaid if getattr(self, name) == fields[name].default}

    @model_serializer(mode="wrap")
    def _without_left_out(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        said, left_out = handler(self), self.left_out()
        return {name: value for name, value in said.items() if name not in left_out}


def _whole(value: object) -> object:
    if isinstance(value, bool | str) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(f"must be a whole number; got {shortened(value)}")
    return value


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"must be a number; got {shortened(value)}")
    return value


LARGEST = 2**62  # fits every file format and database in which a number is stored
MOST_SIDE = 8192  # pixels of an image's side, when files are resized, networks built and images served
Positive = Annotated[int, BeforeValidator(_whole), Field(gt=0, le=LARGEST)]
NonNegative = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=LARGEST)]

Float = Annotated[float, BeforeValidator(_no_truth)]

LONGEST_NAME = 32_000  # characters
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
"""The name of a class, or the text of a prompt."""

GREATEST = 1e100  # of a measured number; squares and products of two such numbers are still finite floats
Number = Annotated[float, Field(ge=-GREATEST, le=GREATEST)]

LONGEST_VALUE = 80  # characters of a wrong value that a message repeats
LONGEST_MESSAGE = 400  # characters of a message, not counting the name of its file
LONGEST_YAML = 100_000  # characters of a spec
LONGEST_SCALAR = 4096  # characters of one value of a spec: the longest path that Linux accepts
LARGEST_JSON = 16 << 20  # bytes of a JSON file
DEEPEST = 32  # nested mappings and lists in YAML and JSON, and keys in a dotted path

S = TypeVar("S", bound=BaseModel)
R = TypeVar("R")
Rows = Annotated[tuple[R, ...], FailFast()]
"""Many records. Validation stops at the first wrong one: the complaints about a million could fill any
memory."""
Words = Annotated[tuple[R, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]
"""A list of words; a word alone is a list of one."""


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
                f"must hold finite numbers, and whole numbers of at most 2^62; got {shortened(found)}"
            )
    return value


Plain = Annotated[dict[str, Any], AfterValidator(_plain)]
"""JSON values of any form, with bounded numbers and depth."""


def absolute(path: str) -> str:
    """Return the absolute form of a path, which settings keep. Raises ValueError if the text can be none."""
    try:
        if not path.strip():
            raise ValueError("it is empty")
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
    except SpecError as problem:  # comes from a part that is parsed by itself, and may repeat a long value
        raise SpecError(one_line(problem)) from None


def read_record(path: Path, model: type[S], error: type[InputError]) -> S:
    """Return the JSON file at `path` as `model`. Raises `error` if the file cannot be read, is larger than
    LARGEST_JSON, or does not fit the model."""
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
    """A file is larger than the limit for files of its sort."""


def read_bounded(path: Path, most: int) -> bytes:
    """Return the content of a file of at most `most` bytes. Raises TooLarge, before anything is read, if the
    file is larger, and OSError if it cannot be read."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size <= most and len(content := file.read(most + 1)) <= most:
            return content
    raise TooLarge(f"larger than {most:,} bytes, the most that is read")


def read_json(path: Path) -> object:
    """Return the content of a JSON file. Raises OSError or ValueError if it is none, or too large."""
    return json_of(read_bounded(path, LARGEST_JSON))


def json_of(content: bytes) -> object:
    """Return the value of a JSON text. Raises ValueError if the text is not JSON."""
    try:
        return _json(content)
    except RecursionError:
        raise ValueError("lists or mappings are nested too deeply") from None


def _json(content: bytes) -> object:
    """Return the value of a JSON text, parsed by Python: pydantic's own parser makes half a gigabyte of a
    megabyte of small lists."""
    value = json.loads(decoded(content), parse_constant=_no_number)
    if b"\\ud" in content.lower():
        # Encoding raises ValueError on half of a surrogate pair, which is no text.
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


def explain(problem: ValidationError, model: type[BaseModel], where: str) -> str:
    """Return the first complaint of a ValidationError as one line: where it is, what was wanted, what
    came."""
    errors = problem.errors(include_url=False)
    # An unknown key goes first: it is probably a misspelt name, and the cause of the others.
    first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    path = one_line(".".join(str(part) for part in first["loc"]), LONGEST_VALUE)
    name = f"{where}.{path}" if where and path else where or path
    others = len(errors) - 1
    more = f" ({others} more problem{'s' if others > 1 else ''} after this one)" if others else ""
    if first["type"] == "extra_forbidden":
        return f"{name}: unknown key.{one_line(_known_keys(model, first['loc']))}{more}"
    if first["type"] == "missing":
        return f"{name}: this key is required and missing.{more}"
    message = one_line(first["msg"].removeprefix("Value error, ").replace("valid tuple", "list").rstrip("."))
    untold = "got" in message or isinstance(first["input"], dict | list)
    came = "" if untold else f"; got {shortened(first['input'])}"
    return f"{name}: {message[0].lower()}{message[1:]}{came}.{more}"


def shortened(value: object) -> str:
    """Return a wrong value as a message repeats it: its repr, cut after LONGEST_VALUE characters."""
    if isinstance(value, str | bytes):
        value = value[: LONGEST_VALUE + 1]
    elif isinstance(value, int) and value.bit_length() > 8 * LONGEST_VALUE:  # Python may refuse to print it
        return "a whole number of hundreds of digits"
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def one_line(text: object, longest: int = LONGEST_MESSAGE) -> str:
    """Return a text that others wrote as part of a message: white space and control characters become spaces,
    and a long text is cut."""
    line = _UNPRINTABLE.sub(" ", str(text))
    return line if len(line) <= longest else f"{line[:longest]}…"


_UNPRINTABLE = re.compile("[\\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """Return the known keys beside the one at `location`, if the path leads through plain settings records
    only."""
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


class Respelt(int):
    """A whole number that YAML reads from another `text`, such as 007, 1_000, 0x1F or 1:30: a number where
    one is wanted, and no name."""

    text: str = ""


class _PlainLoader(yaml.SafeLoader):
    """A safe YAML loader. It also refuses aliases (which can expand without bound), duplicate keys, deep
    nesting and long values."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not accepted")
        if self.depth == DEEPEST:
            raise yaml.YAMLError(f"more than {DEEPEST} lists or mappings are nested in each other")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_scalar(self, node: Any) -> Any:
        value = super().construct_scalar(node)
        if len(value) > LONGEST_SCALAR:
            raise yaml.YAMLError(
                f"a value has {len(value):,} characters; at most {LONGEST_SCALAR:,} are accepted"
            )
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise yaml.YAMLError("a value holds the character NUL or half of a surrogate pair")
        return value

    def construct_yaml_int(self, node: Any) -> int:
        found = int(super().construct_yaml_int(node))
        respelt = Respelt(found)
        respelt.text = node.value
        return found if found.bit_length() <= LONGEST_VALUE and str(found) == node.value else respelt

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key.value, str) and (key.value in seen or seen.add(key.value)):
                raise yaml.YAMLError(f"key {shortened(key.value)} occurs twice")
        return super().construct_mapping(node, deep)


_PlainLoader.add_constructor("tag:yaml.org,2002:int", _PlainLoader.construct_yaml_int)


def read_yaml(text: str, name: str) -> object:
    """Return the value of a YAML text, which may hold plain values only.

    Raises SpecError if it does not, if it has more than LONGEST_YAML characters or a value longer than
    LONGEST_SCALAR, or if it nests deeper than DEEPEST.
    """
    if len(text) > LONGEST_YAML:
        raise SpecError(f"{name}: {len(text):,} characters; at most {LONGEST_YAML:,} can be read.")
    try:
        return yaml.load(text, _PlainLoader)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as problem:
        raise SpecError(f"{name}: not YAML ({one_line(problem)}).") from None


def apply_changes(values: Mapping[str, Any], changes: list[str]) -> dict[str, Any]:
    """Return a copy of nested `values` after changes of the form "a.b.0.c=value". Each value is read as YAML.
    Raises SpecError."""
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
                raise SpecError(f"{said}: {where} is only a name. Write the whole: {whole}") from None
            raise SpecError(
                f"{said}: {one_line(path, LONGEST_VALUE)} does not lead to a value that can be set."
            ) from None
    return changed
