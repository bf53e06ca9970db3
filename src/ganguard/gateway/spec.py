"""What the owner writes: the spec of a gateway."""

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, Field, PlainSerializer, SerializeAsAny, field_validator, model_validator

from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError
from ganguard.base.settings import (
    LONGEST_YAML,
    Positive,
    Settings,
    TooLarge,
    absolute,
    apply_changes,
    parse,
    read_bounded,
    read_yaml,
)
from ganguard.defences.input_semantic_interpolation import SemanticInterpolation
from ganguard.defences.protocol import Defence, parse_chain
from ganguard.targets.batching_target import BatchingSettings
from ganguard.targets.load import TargetSettings, parse_target

DEFAULT_CLASS = "default"
_VARIABLE = re.compile(
    r"env:[A-Za-z_][A-Za-z0-9_]*"
)  # an address may hold a password, and no message repeats it


def _chain(value: object) -> tuple[Defence, ...]:
    chain = parse_chain(value)
    if any(isinstance(defence, SemanticInterpolation) and defence.attribute for defence in chain):
        raise SpecError(
            "semantic_interpolation: nothing is fitted here. Name a `direction`, from `ganguard directions "
            "fit`."
        )
    return chain


def _dumped(chain: tuple[Defence, ...]) -> list[Any]:
    return [defence.model_dump(mode="json") for defence in chain]


class AccountClass(Settings):
    """What stands before the target for accounts of one class.

    defences: "none", a defence, or a list of them, one after the other. images_a_minute: most that an account
    may ask for, in the long run, and at once; None: no limit but its budget.
    """

    defences: Annotated[tuple[Defence, ...], BeforeValidator(_chain), PlainSerializer(_dumped)] = ()
    images_a_minute: Positive | None = None


class RiskSettings(Settings):
    """results: a directory that `ganguard audit` wrote, or its results.json. thresholds: Fréchet distances to
    the target; an account that has bought enough to come as near is logged and counted."""

    results: str
    thresholds: tuple[Annotated[float, Field(gt=0, le=1e9)], ...] = ()

    @field_validator("results")
    @classmethod
    def _absolute(cls, results: str) -> str:
        return absolute(results)


class GatewaySpec(Settings):
    """A gateway.

    target: whose images are served: a kind of target, as in an audit's spec.
    directory: where its ledger, its secret and its records lie.
    ledger: "env:NAME", a variable that holds postgresql://…; None keeps an SQLite file in the directory.
    host, port: where it listens; port 0 takes a free one.
    most_images: that any request may ask for.
    classes: defences and limits by class of account; "default" is for keys that name none.
    """

    target: Annotated[SerializeAsAny[TargetSettings], BeforeValidator(parse_target)]
    directory: Annotated[str, Field(min_length=1, validate_default=True)] = "gateway"
    ledger: str | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(strict=True, ge=0, le=65535)] = 8000
    most_images: Annotated[Positive, Field(le=1 << 16)] = 512
    classes: dict[Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}$")], AccountClass] = Field(
        default_factory=dict
    )
    batching: BatchingSettings = BatchingSettings()
    risk: RiskSettings | None = None
    compute: Compute = Compute()

    @field_validator("directory")
    @classmethod
    def _absolute(cls, directory: str) -> str:
        return absolute(directory)

    @field_validator("ledger")
    @classmethod
    def _named(cls, ledger: str | None) -> str | None:
        if ledger is not None and not _VARIABLE.fullmatch(ledger):
            raise ValueError("must be env:NAME, a variable that holds the address; got something else")
        return ledger

    @field_validator("host")
    @classmethod
    def _address(cls, host: str) -> str:
        try:
            return str(ipaddress.ip_address(host))
        except ValueError:
            raise ValueError(
                f"must be an address such as 127.0.0.1, or 0.0.0.0 for every one; got {host[:80]!r}"
            ) from None

    @model_validator(mode="after")
    def _room(self) -> "GatewaySpec":
        if self.most_images > self.batching.most_waiting:
            raise ValueError(f"batching.most_waiting must be at least most_images, {self.most_images}")
        return self

    def class_of(self, name: str) -> AccountClass:
        """The class of that name. Raises SpecError where there is none."""
        if name not in self.classes and name != DEFAULT_CLASS:
            raise SpecError(
                f"no class of accounts {name!r}. Known: {', '.join(sorted({DEFAULT_CLASS, *self.classes}))}"
            )
        return self.classes.get(name, AccountClass())

    def place(self) -> Path | str:
        """Where the ledger is. Raises SpecError where the variable that holds its address is not set."""
        if self.ledger is None:
            return Path(self.directory) / "ledger.sqlite"
        name = self.ledger.removeprefix("env:")
        if not (address := os.environ.get(name)):
            raise SpecError(
                f"ledger: the environment variable {name} must hold postgresql://…; it is not set."
            )
        return address


def read_gateway_spec(file: str, changes: list[str]) -> GatewaySpec:
    """The spec of a YAML file, after changes of the form "port=0". Raises SpecError with one line that names
    the key."""
    path = Path(file)
    try:
        text = read_bounded(path, 4 * LONGEST_YAML).decode(errors="replace")
    except TooLarge as problem:
        raise SpecError(f"{path}: {problem}.") from None
    except (OSError, ValueError) as problem:
        said = problem.strerror if isinstance(problem, OSError) else problem
        raise SpecError(
            f"{path}: cannot be read ({said}). Give the spec of a gateway, a .yaml file."
        ) from None
    found = read_yaml(text, file)
    if not isinstance(found, Mapping):
        raise SpecError(
            f"{file}: a gateway's spec is a mapping with keys like target, directory; got "
            f"{type(found).__name__}."
        )
    return parse(GatewaySpec, apply_changes(cast(Mapping[str, Any], found), changes), "spec")
