"""Adversaries of a defended target, and what each knows of the defence."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from ganguard.audit.spec.adversary import Adversary, Asking
from ganguard.audit.spec.chains import Chain, guessed_chain, swept
from ganguard.audit.spec.defeating import CodePairs, DenoisingAdversary, Reweighting
from ganguard.audit.spec.labels import numbered
from ganguard.base.errors import SpecError, unknown_name
from ganguard.base.settings import Float, Positive, parse
from ganguard.defences.output_noise import GaussianNoise
from ganguard.defences.protocol import Defence, chain_label

MOST_SIMULATED = 256  # answers of which a training simulates the mean


class Naive(Adversary):
    """An adversary that trains on the images that it gets, as if there were no defence."""

    kind: Literal["naive"] = "naive"

    def label(self) -> str:
        """Return its name in results and reports."""
        return "naive"


class ThroughDefence(Adversary):
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


class Averaging(Adversary):
    """An adversary that sends codes, asks for each image several times, and trains on the means.

    It pays for every query, so that its budget buys fewer images.

    Attributes:
        copies: how many queries make one image.
        moved: how far the codes of one image differ, in standard deviations of the prior; 0 sends the
            same code each time.
        residual: whether it trains through what averaging leaves of Gaussian noise: about 1 / √copies of
            noise that is fresh for each query, all of the noise that follows from the code.
    """

    kind: Literal["averaging"] = "averaging"
    copies: Annotated[Positive, Field(ge=2, le=10_000)] = 8
    moved: Annotated[Float, Field(ge=0, le=10)] = 0.05
    residual: bool = False

    def label(self) -> str:
        """Return its name in results and reports."""
        moved = f", codes moved by {self.moved:g}" if self.moved else ""
        return f"averaging {self.copies}{moved}" + (", through the residual" if self.residual else "")

    @model_validator(mode="after")
    def _simulated(self) -> Self:
        if self.residual and self.copies > MOST_SIMULATED:
            raise ValueError(
                f"residual simulates every answer in the training, at most {MOST_SIMULATED}; got copies "
                f"{self.copies:,}. Set residual: false"
            )
        return self

    def believes(self, chain: Chain) -> Chain:
        """Return the defences whose residual it puts into its training.

        The law of the residual is known behind chains of defences of images with Gaussian noise. It is not if
        codes are moved: the mean is then one of different images.
        """
        noisy = any(isinstance(defence, GaussianNoise) for defence in chain)
        known = noisy and all(defence.side == "output" for defence in chain)
        return chain if self.residual and known else ()

    def asking(self) -> Asking:
        """Return that each image is a mean."""
        return Asking(copies=self.copies, moved=self.moved)


NAIVE = Naive()
ADVERSARIES: dict[str, type[Adversary]] = {
    "naive": Naive,
    "through_defence": ThroughDefence,
    "averaging": Averaging,
    "code_pairs": CodePairs,
    "reweighting": Reweighting,
    "denoising": DenoisingAdversary,
}
_SWEPT = ("scale", "copies", "moved", "residual", "attribute", "method", "steps", "width")
"""Settings of an adversary that may be lists of values."""


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
