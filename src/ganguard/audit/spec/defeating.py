"""Adversaries that know what undoes one kind of defence, and refuse to face others."""

import math
from typing import Annotated, Literal

from pydantic import Field

from ganguard.attacks.reweighting import Shift, density_ratio, effective_size, middles
from ganguard.audit.spec.adversary import Adversary, Asking, Elsewhere, Rework
from ganguard.audit.spec.chains import Chain
from ganguard.base.errors import SpecError
from ganguard.base.settings import Float, Positive
from ganguard.comparison.directions import needs_classifier, require_attribute
from ganguard.defences.input_linear_interpolation import LinearInterpolation
from ganguard.defences.input_semantic_interpolation import SemanticInterpolation
from ganguard.defences.output_noise import GaussianNoise
from ganguard.training.denoiser import DenoiserSettings

SAME = "same"
FEWEST_EFFECTIVE = 10.0  # images that a resampled purchase must be worth


class Defeating(Adversary):
    """Base of an adversary that undoes one kind of defence.

    Attributes:
        elsewhere: what happens behind a defence that it cannot undo: "refuse" refuses the spec, "skip" makes
            no copy there.
    """

    elsewhere: Elsewhere = "refuse"

    @property
    def skips(self) -> bool:
        """Whether it makes no copy behind a defence that it cannot undo."""
        return self.elsewhere == "skip"


class CodePairs(Defeating):
    """An adversary that sends equal codes as a request of their own, against linear interpolation: each line
    ends where it begins, so that the undefended image comes back.

    It pays for every query, and trains on the mean of the answers of a request.

    Attributes:
        copies: how many equal codes are a request. Two are enough, unless fresh noise is averaged as well.
    """

    kind: Literal["code_pairs"] = "code_pairs"
    copies: Annotated[Positive, Field(ge=2, le=64)] = 2

    def label(self) -> str:
        """Return its name in results and reports."""
        return "code pairs" if self.copies == 2 else f"code pairs, {self.copies} equal codes"

    def misfit(self, chain: Chain) -> str:
        """Return why it can do nothing: no codes are mixed, or the mixed ones follow the prior."""
        mixing = [defence for defence in chain if isinstance(defence, LinearInterpolation)]
        if not mixing:
            return "it sends equal codes, which undoes linear_interpolation alone"
        if any(defence.preserve_distribution for defence in mixing):
            return (
                "preserve_distribution makes equal codes longer, while the codes of honest requests follow "
                "the prior as they are"
            )
        return ""

    def asking(self) -> Asking:
        """Return that equal codes are a request of their own."""
        return Asking(copies=self.copies, apart=True)


class Reweighting(Defeating):
    """An adversary that resamples its purchase, against semantic interpolation: images whose codes the
    defence made too frequent are taken less often.

    It knows the law by which codes are moved, and ranks the bought images by its own score of the attribute.

    Attributes:
        attribute: "same" as the defence's, or the name of one that it believes in instead.
        scale: how many times as far as they are it believes codes to be moved.
    """

    kind: Literal["reweighting"] = "reweighting"
    attribute: Annotated[str, Field(min_length=1, max_length=60)] = SAME
    scale: Annotated[Float, Field(gt=0, le=100)] = 1.0

    def label(self) -> str:
        """Return its name in results and reports: the attribute, if it is a guess, and the strength."""
        by = "" if self.attribute == SAME else f" by {self.attribute}"
        return f"reweighting{by}" + ("" if self.scale == 1 else f", guessed {self.scale:g} times as far")

    def misfit(self, chain: Chain) -> str:
        """Return why it can do nothing: codes are moved by another law, or along an unknown direction."""
        moves = [defence for defence in chain if defence.side == "input"]
        if not moves or not all(isinstance(defence, SemanticInterpolation) for defence in moves):
            return "it knows the law of codes that semantic_interpolation alone moves"
        if self.attribute != SAME and len(moves) > 1:
            return "codes are moved along several directions; leave its attribute out"
        try:
            shifts = self._shifts(chain)
        except SpecError as problem:
            return str(problem).rstrip(".")
        unknown = "the direction's attribute is not known; set attribute to what grows along it"
        return "" if shifts else unknown

    def rework(self, chain: Chain) -> Rework:
        """Return that the purchase is resampled."""
        return Rework(shifts=self._shifts(chain))

    def leaves(self, chain: Chain, images: int) -> float:
        """Return how many images a purchase is worth once it is resampled, whatever it holds."""
        shares = [
            effective_size(density_ratio(middles(images), shift)) / images for shift in self._shifts(chain)
        ]
        return images * math.prod(shares)

    def _shifts(self, chain: Chain) -> tuple[Shift, ...]:
        """Return each movement as it believes in it; none if the attribute of one is not known."""
        found: list[Shift] = []
        for move in chain:
            if not isinstance(move, SemanticInterpolation):
                continue
            name = move.attribute if self.attribute == SAME else self.attribute
            if name is None:
                return ()
            require_attribute(name)
            if needs_classifier(name) and name != move.attribute:
                raise SpecError(f"{name} is scored by the classifier of the defence's own attribute alone.")
            amount = self.scale * move.amount
            found.append(Shift(attribute=name, amount=amount, movement=move.movement))
        return tuple(found)


class DenoisingAdversary(Defeating):
    """An adversary that learns a denoiser from its purchase alone, and trains on what it makes of the
    purchase.

    Attributes:
        method: "noise2self" hides pixels, and predicts them from others. "noise2noise" sends every code
            twice, and predicts one answer from the other: half as many codes, and only if each query meets
            fresh noise.
        steps: updates of the denoiser.
        width: channels of its layers.
        scale: how many times as strong as it is it believes the noise to be, when it undoes its clamping to
            the range of a pixel.
    """

    kind: Literal["denoising"] = "denoising"
    method: Literal["noise2self", "noise2noise"] = "noise2self"
    steps: Positive = DenoiserSettings().steps
    width: Annotated[Positive, Field(le=1024)] = DenoiserSettings().width
    scale: Annotated[Float, Field(gt=0, le=100)] = 1.0

    def label(self) -> str:
        """Return its name in results and reports, with the settings that differ from the defaults."""
        usual = DenoisingAdversary()
        said = ["codes asked twice"] if self.method == "noise2noise" else []
        said += [f"{self.steps:,} steps"] if self.steps != usual.steps else []
        said += [f"width {self.width}"] if self.width != usual.width else []
        said += [f"noise guessed {self.scale:g} times as strong"] if self.scale != 1 else []
        return ", ".join(["denoising", *said])

    def misfit(self, chain: Chain) -> str:
        """Return why it can do nothing: the noise of a pixel is not independent of that of others."""
        if not chain or not isinstance(chain[-1], GaussianNoise):
            return "a denoiser needs noise of each pixel by itself: gaussian_noise, and nothing after it"
        if self.method == "noise2noise" and any(defence.side == "input" for defence in chain):
            return "codes are moved, so that two answers for a code are of two images"
        if self.method == "noise2noise" and chain[-1].randomness != "per_request":
            return "the noise follows from the code, so that two answers for a code are equal"
        return ""

    def asking(self) -> Asking | None:
        """Return that every code is sent twice, if it is."""
        return Asking(copies=2, kept="each") if self.method == "noise2noise" else None

    def rework(self, chain: Chain) -> Rework:
        """Return that the purchase is cleaned."""
        last = chain[-1]
        noise = last.scaled(self.scale).std if isinstance(last, GaussianNoise) else 0.0
        settings = DenoiserSettings(steps=self.steps, width=self.width, noise=noise)
        return Rework(denoiser=settings, paired=self.method == "noise2noise")
