"""A piece of an audit's work: its settings, and references to the steps whose output it reads."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Generic, TypeVar

from ganguard.base.plugins import PluginTable
from ganguard.base.settings import Settings
from ganguard.defences.protocol import Defence
from ganguard.metrics.features.network import FeatureSettings

WAITED_FOR = 1e6  # cost of steps that others wait for: they begin first
T = TypeVar("T")


class StepSettings(Settings):
    """Base of the settings of a kind of step: all that its result depends on beside what it reads.

    Attributes:
        kind: the name of the kind in `steps.kinds`.
    """

    kind: ClassVar[str]

    def said(self) -> dict[str, Any]:
        """Return the settings as JSON values, as they enter the step's key."""
        return self.model_dump(mode="json")

    def defences(self) -> tuple[Defence, ...]:
        """Return every defence that the step runs through, guessed ones too."""
        return ()

    def networks(self) -> tuple[FeatureSettings, ...]:
        """Return the feature networks that the step loads by itself."""
        return ()

    def plugins(self) -> list[tuple[PluginTable, str]]:
        """Return the tables and names of plugins whose code the step runs through, defences and networks apart."""
        return []

    def libraries(self) -> tuple[str, ...]:
        """Return libraries whose version may change the result, beside those that every step depends on."""
        return ()


@dataclass(frozen=True, eq=False)
class Step:
    """A piece of work. Two steps are the same only if they are one object.

    Attributes:
        name: unique in its plan, for people.
        settings: what its result depends on, beside what it reads.
        inputs: what it reads.
        after: steps that must have succeeded before, though nothing of theirs is read.
        volatile: only doing it tells whether anything changed (a user's factory), so it is done each time.
        cost: rough relative time, so that long steps begin first; 1e6 for those that others wait for.
    """

    name: str
    settings: StepSettings
    inputs: "Inputs[Input]"
    after: "tuple[Step, ...]" = ()
    volatile: bool = False
    cost: float = 0.0

    @property
    def kind(self) -> str:
        """The kind of step."""
        return self.settings.kind


@dataclass(frozen=True)
class Input:
    """The output of another step, and which of that step's digests the reader depends on."""

    step: Step
    part: str = "result"


@dataclass(frozen=True)
class Inputs(Generic[T]):
    """Base of what a kind of step reads, a field a role.

    In a plan each is an `Input`; when the step runs it is the directory of that input. A field may be None, or hold
    several in a tuple or a mapping.
    """

    def by_role(self) -> dict[str, T]:
        """Return all inputs by role: the field's name, followed by the place of one among several."""
        return dict(self._items())

    def located(self, place: Callable[[T], Any]) -> Any:
        """Return the same record, each input replaced by what `place` makes of it."""
        changed = {field.name: _each(getattr(self, field.name), place) for field in fields(self)}
        return replace(self, **changed)

    def _items(self) -> Iterator[tuple[str, T]]:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple | dict):
                several = value.items() if isinstance(value, dict) else enumerate(value)
                yield from ((f"{field.name} {place}", one) for place, one in several)
            elif value is not None:
                yield field.name, value


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    if value is None:
        return None
    if isinstance(value, tuple):
        return tuple(map(change, value))
    if isinstance(value, dict):
        return {name: change(one) for name, one in value.items()}
    return change(value)
