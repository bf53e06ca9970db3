"""Every error that ganguard raises on purpose.

    GanguardError
    ├── InputError            what the user gave cannot be used; the CLI prints one line and exits with 2
    │   ├── SpecError         a key, kind, preset or value in a spec or setting
    │   ├── DataError         real images: folder, file, shape
    │   ├── TargetError       a target that is missing, raises, or answers with something that is not images
    │   ├── CheckpointError   a checkpoint file: absent, truncated, of other shapes, or a pickle
    │   ├── BudgetError       a purchase larger than what the account may still buy
    │   │   └── ReservationError  an id that already stands for another purchase
    │   └── MetricError       too few images, NaN, or shapes that do not match
    └── StepError             a step of an audit failed for a reason that is not the user's input

Each message says what was wanted, what came, and what to do.
"""

from difflib import get_close_matches


class GanguardError(Exception):
    """Root of the tree."""


class InputError(GanguardError):
    """The user's input cannot be used."""


class SpecError(InputError):
    """A key, kind, preset or value in a spec or setting is wrong."""


class DataError(InputError):
    """Real images cannot be read or do not fit."""


class TargetError(InputError):
    """A target is missing, raises, or answers with something that is not images."""


class CheckpointError(InputError):
    """A checkpoint is absent, truncated, of other shapes, or a pickle."""


class BudgetError(InputError):
    """A purchase is larger than what the account may still buy."""


class ReservationError(BudgetError):
    """The id of a reservation already stands for another purchase."""


class MetricError(InputError):
    """A metric was given too few images, NaN, or shapes that do not match."""


class StepError(GanguardError):
    """A step of an audit failed for a reason that is not the user's input."""


def unknown_name(what: str, name: object, known: list[str]) -> str:
    """Return one line about an unknown name: it lists the known names and suggests the nearest, if one is
    near.

    >>> unknown_name("architecture", "sngam", ["dcgan", "sngan"])
    "unknown architecture 'sngam'; did you mean 'sngan'? Known: dcgan, sngan"
    """
    near = get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"unknown {what} {str(name)!r}{hint} Known: {', '.join(sorted(known))}"
