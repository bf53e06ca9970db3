"""From what a user writes under `target:` to a target that gives images."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol, cast

from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError, TargetError, unknown_name
from ganguard.base.settings import Settings, one_line, parse, shortened
from ganguard.targets import TARGETS
from ganguard.targets.protocol import BlackBoxTarget


class TargetSettings(Settings):
    """Base of a target's settings. The field that has the name of its kind says where the target is.

    remote: somebody else's machine makes the images, and may change them on the way; its own draws cost what
    others' do.
    """

    remote: ClassVar[bool] = False


class LoadsTarget(Protocol):
    """What every target's settings can do."""

    def fingerprint(self) -> str | None: ...
    def load(self, compute: Compute) -> BlackBoxTarget: ...


def parse_target(value: object) -> TargetSettings:
    """A mapping with one key that names the kind ({"checkpoint": "runs/a"}) to that target's settings. Raises
    SpecError."""
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


def fingerprint(settings: TargetSettings) -> str | None:
    """Changes whenever what `load_target` opens may have changed; None where only opening it tells. Raises
    InputError."""
    return cast(LoadsTarget, settings).fingerprint()


@contextmanager
def naming(target: str) -> Generator[None]:
    """A TargetError in the body says which target it is about, in one line."""
    try:
        yield
    except TargetError as problem:
        raise TargetError(f"{target}: {one_line(str(problem).removeprefix(f'{target}: '))}") from None


def load_target(settings: TargetSettings, compute: Compute) -> BlackBoxTarget:
    """Open the target that `settings` describe. Raises TargetError or CheckpointError."""
    return cast(LoadsTarget, settings).load(compute)
