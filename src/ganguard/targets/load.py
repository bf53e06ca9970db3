"""From the value of `target:` in a spec to a target that gives images."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol, cast

from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError, TargetError, unknown_name
from ganguard.base.settings import Settings, one_line, parse, shortened
from ganguard.targets import TARGETS
from ganguard.targets.protocol import BlackBoxTarget


class TargetSettings(Settings):
    """Base of a target's settings. The field named like the kind says where the target is.

    Attributes:
        remote: whether another machine makes the images. Then they may change on the way, and the auditor's
            own draws cost as much as the adversary's.
        keeps_answers: whether an image is paid for once, whoever asks for it again: also one behind a defence
            that stands before it here.
    """

    remote: ClassVar[bool] = False
    keeps_answers: ClassVar[bool] = False

    @property
    def volatile(self) -> bool:
        """Whether only opening the target tells what its images are, whatever digest its file has."""
        return False

    def place(self) -> str | None:
        """Return what describes the target to a person, beside its kind; None for the value of the field
        that is named like the kind."""
        return None


class LoadsTarget(Protocol):
    """The methods of every target's settings."""

    def fingerprint(self) -> str | None: ...
    def load(self, compute: Compute) -> BlackBoxTarget: ...


def parse_target(value: object) -> TargetSettings:
    """Return the settings of a target, from a mapping such as {"checkpoint": "runs/a"}.

    One of its keys names the kind. Raises SpecError.
    """
    if isinstance(value, TargetSettings):
        return value
    if not isinstance(value, Mapping):
        raise SpecError(
            f"target must be a mapping with one of {', '.join(sorted(TARGETS.table()))}; got "
            f"{shortened(value)}."
        )
    values = cast(Mapping[str, Any], value)
    kinds = [key for key in values if key in TARGETS.table()]
    if not kinds:
        raise SpecError(unknown_name("target", next(iter(values), ""), list(TARGETS.table())))
    return parse(TARGETS.load(kinds[0]), values, "target")


def kind_of(settings: TargetSettings) -> str:
    """Return the kind of a target, after which one of its fields is named."""
    return next(name for name in type(settings).model_fields if name in TARGETS.table())


def described(settings: TargetSettings) -> str:
    """Return the kind of a target and its place. One of its fields is named after the kind, and holds it."""
    kind = kind_of(settings)
    value = settings.model_dump(mode="json")[kind]
    place = settings.place() or (value if isinstance(value, str) else value.get("path", value.get("kind")))
    return f"{kind}: {place}"


def fingerprint(settings: TargetSettings) -> str | None:
    """Return a digest that changes whenever the target may have changed, or None if only opening it tells.

    Raises InputError.
    """
    found = cast(LoadsTarget, settings).fingerprint()
    return None if settings.volatile else found


@contextmanager
def naming(target: str) -> Generator[None]:
    """Put the target's name before the message of a TargetError in the body, in one line."""
    try:
        yield
    except TargetError as problem:
        raise TargetError(f"{target}: {one_line(str(problem).removeprefix(f'{target}: '))}") from None


def load_target(settings: TargetSettings, compute: Compute) -> BlackBoxTarget:
    """Open the target that `settings` describe. Raises TargetError or CheckpointError."""
    return cast(LoadsTarget, settings).load(compute)
