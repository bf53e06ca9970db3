"""What a piece of an audit's work is."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Input:
    """The output of another step that a step reads: under which role, and which of that step's digests it
    depends on."""

    role: str
    step: str
    part: str = "result"


@dataclass(frozen=True)
class Step:
    """A piece of work.

    name: unique in its plan, for people. kind: which runner does it. settings: all else that it depends on,
    as JSON values.
    inputs: what it reads. after: steps that must have succeeded before, though nothing of theirs is read.
    volatile: only doing it tells whether anything changed (a user's factory), so it is done anew each time.
    cost: rough relative time, so that long ones begin first; 1e6 for those that others wait for.
    checkpoint_every: steps of a training between saved states, of which its result does not depend.
    """

    name: str
    kind: str
    settings: dict[str, Any]
    inputs: tuple[Input, ...] = ()
    after: tuple[str, ...] = ()
    volatile: bool = False
    cost: float = 0.0
    checkpoint_every: int | None = None
