"""The spec of a gateway: what its owner writes in YAML."""

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, PlainSerializer, SerializeAsAny, field_validator, model_validator

from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError
from ganguard.base.settings import (
    LONGEST_YAML,
    Name,
    Positive,
    Settings,
    TooLarge,
    Words,
    absolute,
    apply_changes,
    parse,
    read_bounded,
    read_yaml,
)
from ganguard.base.text_files import decoded
from ganguard.defences.input_semantic_interpolation import SemanticInterpolation
from ganguard.defences.protocol import Defence, parse_chain
from ganguard.queries.ledger_tables import LARGEST
from ganguard.targets.batching_target import BatchingSettings
from ganguard.targets.conditions import Conditions, as_name
from ganguard.targets.load import TargetSettings, parse_target

DEFAULT_CLASS = "default"
_VARIABLE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")


def _chain(value: object) -> tuple[Defence, ...]:
    chain = parse_chain(value)
    if any(isinstance(defence, SemanticInterpolation) and defence.attribute for defence in chain):
        raise SpecError(
            "semantic_interpolation: the gateway fits no direction. Name a `direction`, from `ganguard "
            "directions fit`."
        )
    return chain


def _dumped(chain: tuple[Defence, ...]) -> list[Any]:
    return [defence.model_dump(mode="json") for defence in chain]


def _named(value: object) -> object:
    """Return a mapping whose names are texts: YAML reads some as numbers."""
    if not isinstance(value, Mapping):
        return value
    return {as_name(name): images for name, images in cast(Mapping[Any, Any], value).items()}


Budget = Annotated[int, Field(strict=True, ge=0, le=LARGEST)]
REQUESTS_A_MINUTE = 12_000  # more than honest clients send, and too few to slow others down


class AccountClass(Settings):
    """The defences and the rate limits for accounts of one class.

    Attributes:
        defences: "none", a defence, or a list of defences that are applied one after the other.
        images_a_minute: the most images that an account may ask for at once, and per minute in the long run;
            None sets no limit besides the budget.
        requests_a_minute: the most requests that an account may send per minute in the long run, whatever
            becomes of them; a large body counts as one more for each 64 KiB. None sets no limit.
        budgets: images of a condition that an account may buy in all, by the condition's name, within its
            whole budget. `ganguard keys set-budget --condition` gives an account another one.
    """

    defences: Annotated[tuple[Defence, ...], BeforeValidator(_chain), PlainSerializer(_dumped)] = ()
    images_a_minute: Positive | None = None
    requests_a_minute: Positive | None = REQUESTS_A_MINUTE
    budgets: Annotated[dict[Name, Budget], BeforeValidator(_named)] = Field(default_factory=dict)


class RiskSettings(Settings):
    """How the gateway estimates extraction risk.

    Attributes:
        results: a directory that `ganguard audit` wrote, or its results.json.
        thresholds: Fréchet distances to the target; the gateway logs and counts each account that has bought
            enough images for a copy that near.
        even_if: what would stop the gateway, and shall not, as a word or a list. "another_generator": the
            audit is of another generator than the one that is served.
    """

    results: str
    thresholds: tuple[Annotated[float, Field(gt=0, le=1e9)], ...] = ()
    even_if: Words[Literal["another_generator"]] = ()

    @field_validator("results")
    @classmethod
    def _absolute(cls, results: str) -> str:
        return absolute(results)


class GatewaySpec(Settings):
    """A gateway.

    Attributes:
        target: the target that serves the images: any kind of target, as in an audit's spec.
        directory: the directory for the ledger, the secret and other records.
        ledger: "env:NAME", an environment variable that holds postgresql://…; None keeps the ledger in an
            SQLite file in the directory.
        host: the IP address to listen on.
        port: the TCP port to listen on; 0 takes a free one.
        most_images: the most images that any request may ask for.
        most_mib: memory in MiB for the images that are being made or sent, of all requests together.
        classes: defences and limits by class of account; keys that name no class use "default".
        batching: how requests are grouped into batches for the target.
        risk: how extraction risk is estimated; None estimates none.
        compute: the device and threads that make the images.
    """

    target: Annotated[SerializeAsAny[TargetSettings], BeforeValidator(parse_target)]
    directory: Annotated[str, Field(min_length=1, validate_default=True)] = "gateway"
    ledger: str | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(strict=True, ge=0, le=65535)] = 8000
    most_images: Annotated[Positive, Field(le=1 << 16)] = 512
    most_mib: Annotated[Positive, Field(le=1 << 24)] = 1024
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
        # The message does not repeat what came: an address may hold a password.
        if ledger is not None and not _VARIABLE.fullmatch(ledger):
            raise ValueError(
                "must be env:NAME, an environment variable that holds the address; got something else"
            )
        return ledger

    @field_validator("host")
    @classmethod
    def _address(cls, host: str) -> str:
        try:
            return str(ipaddress.ip_address(host))
        except ValueError:
            raise ValueError(
                f"must be an IP address such as 127.0.0.1, or 0.0.0.0 for all interfaces; got {host[:80]!r}"
            ) from None

    @model_validator(mode="after")
    def _room(self) -> "GatewaySpec":
        if self.most_images > self.batching.most_waiting:
            raise ValueError(
                f"batching.most_waiting must be at least most_images ({self.most_images}); got "
                f"{self.batching.most_waiting}"
            )
        return self

    def class_of(self, name: str) -> AccountClass:
        """Return the class named `name`. Raises SpecError if there is none."""
        if name not in self.classes and name != DEFAULT_CLASS:
            raise SpecError(
                f"no class of accounts {name!r}. Known: {', '.join(sorted({DEFAULT_CLASS, *self.classes}))}"
            )
        return self.classes.get(name, AccountClass())

    def require_conditions(self, known: Conditions | None) -> None:
        """Raise SpecError if a class has a budget for what the target cannot be asked for.

        known: what it can be asked for; None if it takes no conditions.
        """
        for class_, of in self.classes.items():
            where = f"spec.classes.{class_}.budgets"
            if known is None and of.budgets:
                raise SpecError(
                    f"{where}: names conditions, and the target has no classes and no prompts. Leave it out."
                )
            for name in of.budgets:
                try:
                    cast(Conditions, known).number(name)
                except SpecError as problem:
                    raise SpecError(f"{where}: {problem}") from None

    def place(self) -> Path | str:
        """Return the ledger's file or address. Raises SpecError if the address's variable is not set."""
        if self.ledger is None:
            return Path(self.directory) / "ledger.sqlite"
        name = self.ledger.removeprefix("env:")
        if not (address := os.environ.get(name)):
            raise SpecError(
                f"ledger: the environment variable {name} must hold postgresql://…; it is not set."
            )
        return address


def read_gateway_spec(file: str, changes: list[str]) -> GatewaySpec:
    """Read the spec in a YAML file and apply changes of the form "port=0" to it.

    Raises SpecError, with a one-line message that names the key, if the spec is not valid.
    """
    path = Path(file)
    try:
        text = decoded(read_bounded(path, 4 * LONGEST_YAML), "replace")
    except TooLarge as problem:
        raise SpecError(f"{path}: {problem}.") from None
    except (OSError, ValueError) as problem:
        said = problem.strerror if isinstance(problem, OSError) else problem
        wanted = "Give the spec of a gateway, a .yaml file."
        raise SpecError(f"{path}: cannot be read ({said}). {wanted}") from None
    found = read_yaml(text, file)
    if not isinstance(found, Mapping):
        raise SpecError(
            f"{file}: a gateway's spec must be a mapping with keys such as target and directory; got "
            f"{type(found).__name__}."
        )
    return parse(GatewaySpec, apply_changes(cast(Mapping[str, Any], found), changes), "spec")
