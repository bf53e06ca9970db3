"""Adversaries of a defended target, and what each knows of the defence."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, SerializeAsAny

from ganguard.audit.spec.chains import Chain, guessed_chain, swept
from ganguard.audit.spec.labels import numbered
from ganguard.base.errors import SpecError, unknown_name
from ganguard.base.settings import Float, Positive, Settings, parse
from ganguard.defences.protocol import Defence, chain_label


class Naive(Settings):
    """An adversary that trains on the images that it gets, as if there were no defence."""

    kind: Literal["naive"] = "naive"

    def label(self) -> str:
        """Return its name in results and reports."""
        return "naive"

    def believes(self, chain: Chain) -> Chain:
        """Return the defences that it puts into its training: none."""
        return ()


class ThroughDefence(Settings):
    """An adversary that knows which defence there is, and puts its guess of it into its own training.

    Attributes:
        guess: "same", or the defences that it believes in.
        scale: how many times as strong as the true (or given) defences it believes them to be.
    """

    kind: Literal["through_defence"] = "through_defence"
    guess: Annotated[
        SerializeAsAny[Literal["same"] | tuple[SerializeAsAny[Defence], ...]],
        BeforeValidator(lambda value: value if value == "same" else guessed_chain(value)),
    ] = "same"
    scale: Annotated[Float, Field(gt=0, le=100)] = 1.0

    def label(self) -> str:
        """Return its name in results and reports: the defences that it believes in, and the strength."""
        through = "it" if self.guess == "same" else chain_label(self.guess)
        return f"through {through}" + ("" if self.scale == 1 else f", guessed {self.scale:g} times as strong")

    def believes(self, chain: Chain) -> Chain:
        """Return the defences that it puts into its training, if `chain` stands before the target."""
        guessed = chain if self.guess == "same" else self.guess
        return tuple(defence.scaled(self.scale) for defence in guessed)


class Averaging(Settings):
    """An adversary that sends codes, asks for each image several times, and trains on the means.

    It pays for every query, so that its budget buys fewer images.

    Attributes:
        copies: how many queries make one image.
        moved: how far the codes of one image differ, in standard deviations of the prior; 0 sends the
            same code each time.
    """

    kind: Literal["averaging"] = "averaging"
    copies: Annotated[Positive, Field(ge=2, le=10_000)] = 8
    moved: Annotated[Float, Field(ge=0, le=10)] = 0.05

    def label(self) -> str:
        """Return its name in results and reports."""
        return f"averaging {self.copies}" + (f", codes moved by {self.moved:g}" if self.moved else "")

    def believes(self, chain: Chain) -> Chain:
        """Return the defences that it puts into its training: none, once it has averaged."""
        return ()


Adversary = Naive | ThroughDefence | Averaging
NAIVE = Naive()
ADVERSARIES: dict[str, type[Adversary]] = {
    "naive": Naive,
    "through_defence": ThroughDefence,
    "averaging": Averaging,
}
_SWEPT = ("scale", "copies", "moved")  # settings of an adversary that may be lists of values


def parse_adversaries(value: object) -> tuple[Adversary, ...]:
    """Return the adversaries that a spec lists, one for each combination of swept values.

    Raises SpecError if the list is wrong, or one of them is listed twice.
    """
    if not isinstance(value, list | tuple) or not value:
        raise SpecError("adversaries must be a list with at least one adversary.")
    found: list[Adversary] = []
    for number, item in enumerate(cast(list[Any], value)):
        if isinstance(item, Adversary):
            found.append(item)
            continue
        values = cast(Mapping[str, Any], item) if isinstance(item, Mapping) else {"kind": item}
        kind = values.get("kind")
        if not isinstance(kind, str) or kind not in ADVERSARIES:
            raise SpecError(f"adversaries.{number}: {unknown_name('adversary', kind, list(ADVERSARIES))}")
        for said in swept(values, f"adversaries.{number}", _SWEPT):
            adversary = parse(ADVERSARIES[kind], said, f"adversaries.{number}")
            if adversary in found:
                raise SpecError(f"adversaries.{number}: {adversary.label()} is listed twice. Remove one.")
            found.append(adversary)
    return tuple(found)


def adversary_labels(adversaries: Sequence[Adversary]) -> tuple[str, ...]:
    """Return the adversaries' unique labels in results and reports."""
    return tuple(numbered([adversary.label() for adversary in adversaries]))


AdversariesField = Annotated[tuple[SerializeAsAny[Adversary], ...], BeforeValidator(parse_adversaries)]
