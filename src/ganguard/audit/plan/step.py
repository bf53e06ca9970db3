"""A step of an audit: its settings, and references to the steps whose output it reads."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Generic, TypeVar, cast

from ganguard.base.plugins import PluginTable
from ganguard.base.settings import Sparse
from ganguard.defences.protocol import Defence
from ganguard.metrics.features.network import FeatureSettings

WAITED_FOR = 1e6  # cost of steps that others wait for: they begin first
T = TypeVar("T")
U = TypeVar("U")


class StepSettings(Sparse):
    """Base of the settings of a kind of step: everything that its result depends on beside its inputs.

    Attributes:
        kind: the name of the kind in `steps.kinds`.
        unsaid: fields that a key holds only if they are set. They came later, and keys of before are kept.
    """

    kind: ClassVar[str]
    unsaid: ClassVar[frozenset[str]] = frozenset()

    def said(self) -> Mapping[str, object]:
        """Return the settings as JSON values, as they enter the step's key."""
        return self.model_dump(mode="json")

    def defences(self) -> tuple[Defence, ...]:
        """Return every defence whose code the step runs, including guessed ones."""
        return ()

    def networks(self) -> tuple[FeatureSettings, ...]:
        """Return the feature networks that the step loads itself, apart from those of defences."""
        return ()

    def plugins(self) -> list[tuple[PluginTable, str]]:
        """Return the tables and names of the other plugins whose code the step runs."""
        return []

    def libraries(self) -> tuple[str, ...]:
        """Return libraries, beside those that every step depends on, whose version may change the result."""
        return ()


@dataclass(frozen=True, eq=False)
class Step:
    """One piece of an audit's work. Two steps are equal only if they are the same object.

    Attributes:
        name: unique in its plan, and readable.
        settings: everything that its result depends on, beside its inputs.
        inputs: the outputs of other steps that it reads.
        after: steps that must have succeeded before, although their output is not read.
        volatile: whether it runs each time, because only that shows if its result changes (a user's factory).
        cost: rough relative time: long steps begin first. WAITED_FOR for those that others wait for.
    """

    name: str
    settings: StepSettings
    inputs: "Inputs[Input]"
    after: "tuple[Step, ...]" = ()
    volatile: bool = False
    cost: float = 0.0

    @property
    def kind(self) -> str:
        """The name of its kind."""
        return self.settings.kind


@dataclass(frozen=True)
class Input:
    """The output of another step.

    Attributes:
        step: the step that writes it.
        part: the part of it that the reader depends on: a key of that step's digests.
    """

    step: Step
    part: str = "result"


@dataclass(frozen=True)
class Inputs(Generic[T]):
    """Base of the inputs of a kind of step. Each field is a role.

    In a plan, T is `Input`. When the step runs, T is the directory of that input. A field may be None, or
    hold several inputs in a tuple or a mapping.
    """

    def by_role(self) -> dict[str, T]:
        """Return all inputs by role: the field's name and, if it holds several, the place or key."""
        return dict(self._items())

    def located(self, place: Callable[[T], U]) -> "Inputs[U]":
        """Return the same record, with each input replaced by the value that `place` returns for it."""
        changed = {field.name: _each(getattr(self, field.name), place) for field in fields(self)}
        return cast("Inputs[U]", replace(self, **changed))

    def _items(self) -> Iterator[tuple[str, T]]:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple | dict):
                several = value.items() if isinstance(value, dict) else enumerate(value)
                yield from ((f"{field.name} {place}", one) for place, one in several)
            elif value is not None:
                yield field.name, value


def _each(
    value: T | tuple[T, ...] | dict[str, T] | None, change: Callable[[T], U]
) -> U | tuple[U, ...] | dict[str, U] | None:
    """Return the value of a field with each input changed."""
    if value is None:
        return None
    if isinstance(value, tuple):
        return tuple(map(change, cast(tuple[T, ...], value)))
    if isinstance(value, dict):
        return {name: change(one) for name, one in cast(dict[str, T], value).items()}
    return change(value)
