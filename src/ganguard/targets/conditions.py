"""What a conditional generator is asked for: a class, or a prompt, for each image.

A target that is not conditional has no `conditions`, and nothing here concerns it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import Annotated, Any, Literal, Protocol, cast, runtime_checkable

import torch
from pydantic import BeforeValidator, Field, field_validator
from torch import Tensor

from ganguard.base.cache import tensor_digest
from ganguard.base.errors import SpecError, TargetError, unknown_name
from ganguard.base.settings import Name, NonNegative, Positive, Respelt, Settings, one_line, shortened
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget

MOST_CONDITIONS = 100_000
LONGEST_LISTED = 12  # names that a message lists
LONGEST_SAID = 80  # characters of a name that a message repeats


class Conditions(Settings):
    """What a target can be asked for. A condition is a number, its place among the names.

    Attributes:
        kind: "classes" have names, "prompts" are texts.
        names: distinct, in the order of the numbers.
        in_turn: if all are asked for equally often, image i is asked for the condition i mod their number.
            If not, it is drawn.
        together: how many consecutive images are asked for alike, because one request brings them. They count
            as one image above.
        given: number of each image's condition, of images that were bought before: nobody can ask for others.
    """

    kind: Literal["classes", "prompts"] = "classes"
    names: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MOST_CONDITIONS)]
    in_turn: bool = False
    together: Positive = 1
    given: Annotated[tuple[NonNegative, ...] | None, Field(repr=False)] = None

    @field_validator("names")
    @classmethod
    def _distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        seen = set[str]()
        for name in names:
            if name in seen:
                raise ValueError(f"must name each condition once; {shortened(name)} is there twice")
            seen.add(name)
        return names

    def __len__(self) -> int:
        return len(self.names)

    def __str__(self) -> str:
        """Return how many there are, and the first of them, in one line."""
        what = self.kind if len(self) > 1 else self.kind.removesuffix("es" if self.kind == "classes" else "s")
        first = ", ".join(shortened(name) for name in self.names[:LONGEST_LISTED])
        return f"{len(self):,} {what}: {first}{', …' if len(self) > LONGEST_LISTED else ''}"

    def number(self, name: str) -> int:
        """Return the number of a condition. Raises SpecError, with the known names, if there is none."""
        try:
            return self.names.index(name)
        except ValueError:
            what = "class" if self.kind == "classes" else "prompt"
            listed = [one_line(known, LONGEST_SAID) for known in self.names[:LONGEST_LISTED]]
            if len(self.names) <= LONGEST_LISTED:
                raise SpecError(unknown_name(what, one_line(name, LONGEST_SAID), listed)) from None
            first = ", ".join(listed)
            raise SpecError(
                f"unknown {what} {shortened(name)}. The first of the {len(self.names):,} known: {first}"
            ) from None

    def numbers(self, names: Sequence[str]) -> Tensor:
        """Return the numbers of some conditions, (N,) int64. Raises SpecError if one is unknown."""
        places = self._places
        known = [places[name] if name in places else self.number(name) for name in names]
        return torch.tensor(known, dtype=torch.int64)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    def said(self, numbers: Tensor) -> list[str]:
        """Return the names of conditions (N,)."""
        return [self.names[number] for number in numbers.tolist()]


def as_name(value: object) -> object:
    """Return the name of a condition, which YAML reads as a number if it looks like one.

    Raises ValueError if YAML reads it as something whose spelling is lost: yes, 2.50, 007, a date.
    """
    if isinstance(value, Respelt):
        read = shortened(int(value))
        raise ValueError(
            f"names are texts; YAML reads {shortened(value.text)} here as {read}. Put that name in quotes"
        )
    if isinstance(value, bool | float | date):
        raise ValueError(f"names are texts; YAML reads one here as {value}. Put that name in quotes")
    return str(value) if isinstance(value, int) else value


def _named(value: object) -> object:
    """Return the field of Conditions from a number of classes, or a list of their names."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= MOST_CONDITIONS:
            raise ValueError(f"must be 1 to {MOST_CONDITIONS:,}, or a list of names; got {value}")
        return {"names": [str(number) for number in range(value)]}
    if isinstance(value, list | tuple):
        return {"names": [as_name(name) for name in cast(list[Any], value)]}
    if value is None or isinstance(value, Conditions) or _as_dumped(value):
        return value
    raise ValueError(f"must be a number or a list of names; got {shortened(value)}")


def _as_dumped(value: object) -> bool:
    """Return whether a value is what settings say of classes when they are dumped. All else that Conditions
    hold is the target's to know."""
    if not isinstance(value, Mapping):
        return False
    said, names = cast(Mapping[Any, Any], value), cast(Mapping[Any, Any], value).get("names")
    fields = Conditions.model_fields
    usual = all(said.get(name) == field.default for name, field in fields.items() if name != "names")
    return said.keys() == fields.keys() and usual and isinstance(names, list | tuple)


Classes = Annotated[Conditions | None, BeforeValidator(_named)]
"""`classes:` of a target's settings: their number, or their names. None if it is not conditional."""


@runtime_checkable
class ConditionalTarget(BlackBoxTarget, Protocol):
    """A target that is asked for a condition with each image.

    If it takes codes, `generate(latents, conditions=...)` takes conditions too, and `sample(indices, seed,
    conditions)` equals `generate(draw_latents(indices, seed), conditions)`.

    Attributes:
        conditions: what it can be asked for; None for a target that is not conditional after all.
    """

    @property
    def conditions(self) -> Conditions | None: ...

    def sample(self, indices: range, *, seed: int, conditions: Tensor | None = None) -> Tensor:
        """Return images (len(indices), C, H, W) uint8. Image i is a pure function of seed, i and its own
        condition.

        conditions: (len(indices),) int64; None takes what the target shows if nobody asks.
        """
        ...


def conditions_of(target: object) -> Conditions | None:
    """Return what a target can be asked for; None if it is not conditional."""
    return cast(Conditions | None, getattr(target, "conditions", None))


def sample(target: BlackBoxTarget, indices: range, *, seed: int, conditions: Tensor | None) -> Tensor:
    """Return images of a target, asked for conditions (len(indices),) if there are any.

    Raises TargetError if conditions are given, and the target takes none or others.
    """
    if conditions is None:
        return target.sample(indices, seed=seed)
    require_conditions(conditions, conditions_of(target), len(indices))
    return cast(ConditionalTarget, target).sample(indices, seed=seed, conditions=conditions)


def generate(target: LatentTarget, latents: Tensor, conditions: Tensor | None) -> Tensor:
    """Return images of codes (N, latent_dim), asked for conditions (N,) if there are any.

    Raises TargetError if conditions are given, and the target takes none or others.
    """
    if conditions is None:
        return target.generate(latents)
    require_conditions(conditions, conditions_of(target), len(latents))
    return cast(Any, target).generate(latents, conditions=conditions)


def with_conditions(latents: Tensor, conditions: Tensor | None, known: Conditions | None) -> Tensor:
    """Return codes (N, d), and behind each the number of its condition if the target takes any: float32 holds
    these numbers exactly.

    Raises TargetError if a conditional target is asked for none, or another one for any.
    """
    require_with_codes(conditions, known, len(latents))
    return latents if conditions is None else torch.cat([latents, conditions[:, None].to(latents)], 1)


def require_with_codes(conditions: Tensor | None, known: Conditions | None, count: int) -> None:
    """Raise TargetError if a conditional target gets `count` codes without a condition for each, or another
    one gets codes with any."""
    if conditions is not None:
        require_conditions(conditions, known, count)
    elif known is not None:
        raise TargetError("this target is asked for a condition with each code, and none was given.")


def require_conditions(conditions: Tensor, known: Conditions | None, count: int) -> None:
    """Raise TargetError unless conditions are `count` whole numbers of known ones."""
    if known is None:
        raise TargetError("conditions were asked for, and this target takes none. Leave them out.")
    whole = conditions.dtype == torch.int64 and tuple(conditions.shape) == (count,)
    if not whole or (count and not 0 <= int(conditions.min()) <= int(conditions.max()) < len(known)):
        raise TargetError(
            f"conditions must be ({count},) int64 from 0 to {len(known) - 1}; got {conditions.dtype} "
            f"{tuple(conditions.shape)}."
        )


def names_of(known: Conditions | None, conditions: Tensor | None) -> list[str] | None:
    """Return the names of conditions (N,) of a target; None if there are none."""
    return None if known is None or conditions is None else known.said(conditions)


def request_digest(latents: Tensor, conditions: Tensor | None) -> str:
    """Return the digest of codes and of the conditions that they are sent with; without conditions, that of
    the codes."""
    parts = {"latents": latents} | ({} if conditions is None else {"conditions": conditions})
    return tensor_digest(parts)


def conditions_words(conditions: Tensor | None) -> str:
    """Return the end of the words of a request, which say its conditions; "" if there are none."""
    if conditions is None:
        return ""
    return f" conditions={hashlib.sha256(conditions.numpy().tobytes()).hexdigest()[:32]}"
