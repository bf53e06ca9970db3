"""Frozen settings, and one clear line where a value does not fit them."""

import copy
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ganguard.base.errors import SpecError


class Settings(BaseModel):
    """Base of every settings record: frozen, and a key that is not known is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _whole(value: object) -> object:
    if isinstance(value, bool | str) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(f"must be a whole number; got {value!r}")
    return value


LARGEST = 2**62  # so that it fits every file and database that it goes to
Positive = Annotated[int, BeforeValidator(_whole), Field(gt=0, le=LARGEST)]
NonNegative = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=LARGEST)]

LONGEST_VALUE = 80  # characters of a wrong value that a message repeats

S = TypeVar("S", bound=BaseModel)


def parse(model: type[S], values: Mapping[str, Any], where: str) -> S:
    """Validate `values` as `model`. Raises SpecError with one line that names the first wrong key within `where`."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as problem:
        raise SpecError(explain(problem, model, where)) from None


def explain(problem: ValidationError, model: type[BaseModel], where: str) -> str:
    """The first of a ValidationError's complaints as one line: where, what was wanted, what came."""
    errors = problem.errors()
    first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])  # likely a name misspelt
    path = ".".join(str(part) for part in first["loc"])
    name = f"{where}.{path}" if where and path else where or path
    others = problem.error_count() - 1
    more = f" ({others} more problem{'s' if others > 1 else ''} after this one)" if others else ""
    if first["type"] == "extra_forbidden":
        return f"{name}: unknown key.{_known_keys(model, first['loc'])}{more}"
    if first["type"] == "missing":
        return f"{name}: this key is needed and absent.{more}"
    message = first["msg"].removeprefix("Value error, ").replace("valid tuple", "list").rstrip(".")
    came = "" if "got" in message or isinstance(first["input"], dict | list) else f"; got {_short(first['input'])}"
    return f"{name}: {message[0].lower()}{message[1:]}{came}.{more}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


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
    """Safe YAML without aliases (whose expansion may be without bound) and without keys that stand twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not taken")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [key.value for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.YAMLError(f"key {twice[0]!r} stands twice")
        return super().construct_mapping(node, deep)


def read_yaml(text: str, name: str) -> object:
    """What a YAML text says, plain values only. Raises SpecError."""
    try:
        return yaml.load(text, _PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise SpecError(f"{name}: not YAML ({' '.join(str(problem).split())}).") from None


def apply_changes(values: Mapping[str, Any], changes: list[str]) -> dict[str, Any]:
    """A copy of nested `values` after changes of the form "a.b.0.c=value", each value read as YAML. Raises SpecError."""
    changed: dict[str, Any] = copy.deepcopy(dict(values))
    for change in changes:
        path, equals, text = change.partition("=")
        keys = path.split(".")
        if not equals or not all(keys):
            raise SpecError(f"--set {change}: write key=value, with dots between nested keys.")
        place: Any = changed
        try:
            for key in keys[:-1]:
                place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
            place[int(keys[-1]) if isinstance(place, list) else keys[-1]] = read_yaml(text, f"--set {change}")
        except (ValueError, IndexError, TypeError, AttributeError):
            raise SpecError(f"--set {change}: {path} does not lead to a value that can be set.") from None
    return changed
