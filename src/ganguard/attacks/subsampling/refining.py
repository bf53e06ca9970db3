"""Refining a purchase: from bought images, real ones and D to the images that are trained on (Hu & Pang 2021,
Algorithm 1).

The bought images are the pool: those that the density ratio is fitted to are among them, chains walk inside
it, and nothing is asked for twice. Tempering raises the ratio to a power in [0, 1], which the adversary's
judge chooses.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, Field, model_validator
from torch import Tensor

from ganguard.attacks.subsampling.density_ratio import FEWEST, JudgedRatio, Reads, fit_density_ratio, reads_of
from ganguard.attacks.subsampling.metropolis_hastings import (
    Chains,
    ChainsStuck,
    NeverMoved,
    metropolis_hastings,
)
from ganguard.attacks.subsampling.proposals import Pool, Stream
from ganguard.base.errors import SpecError, StepError, TargetError
from ganguard.base.settings import Positive, Settings
from ganguard.targets.protocol import Discriminator

PLAIN = "logistic"  # the ratio of Algorithm 1
FEWEST_JUDGED = 2  # images, between which a judge's distance can be taken


def _known_ratio(kind: str) -> str:
    reads_of(kind)
    return kind


class Refining(Settings):
    """ratio: name of the density ratio. steps: K, proposals a chain.
    proposals: "pool", all bought images, among which chains walk; or "stream", where each image is offered
        once, so that chains take K queries each.
    count: N, images kept; None keeps as many as were bought. A stream must say it.
    never_moved: what becomes of a chain that never left its real image. None is "discard" in a pool, and
        "restart" in a stream, which has no further chains to run.
    powers: of the ratio, among which the judge chooses. judged: images of each that it looks at.
    """

    ratio: Annotated[str, AfterValidator(_known_ratio)] = "feature_head"
    steps: Positive = 640
    proposals: Literal["pool", "stream"] = "pool"
    count: Annotated[int, Field(ge=FEWEST_JUDGED)] | None = None
    never_moved: NeverMoved | None = None
    powers: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1)] = (
        0.0,
        0.25,
        0.5,
        0.75,
        1.0,
    )
    judged: Annotated[int, Field(ge=FEWEST_JUDGED)] = 2000

    @model_validator(mode="after")
    def _counted(self) -> "Refining":
        if self.proposals == "stream" and self.count is None:
            raise ValueError("proposals: stream needs count, the images to keep")
        return self

    def require_budget(self, bought: int, own: int) -> None:
        """Raise SpecError where `bought` images are fewer than those kept, or than a stream offers after the
        `own` that the density ratio is fitted to, one for each real image."""
        if self.proposals == "stream":
            needed = own + self.steps * (self.count or 0)
            why = f"{self.count or 0:,} images of {self.steps:,} proposals each, after {own:,} that the ratio is fitted to"
        else:
            needed, why = self.count or 0, f"refining.count, {self.count or 0:,}"
            if needed < FEWEST:
                needed, why = FEWEST, "a density ratio"
        if bought < needed:
            raise SpecError(f"query_budget must be at least {needed:,} for {why}; got {bought:,}.")


@dataclass(frozen=True)
class Refined:
    """One refined set. kept: indices (N,) into the bought images. score: what the judge said of them, lower
    is better.
    chains: None for the power 0, which takes the images as they came."""

    power: float
    kept: Tensor
    score: float
    chains: Chains | None

    def said(self) -> dict[str, Any]:
        """For people and reports."""
        chains = self.chains
        moves = {"acceptance_rate": 1.0, "never_moved": 0, "proposals": 0}
        if chains is not None:
            moves = {key: getattr(chains, key) for key in moves}
        return {"power": self.power, "score": self.score, "distinct": len(self.kept.unique()), **moves}


@dataclass(frozen=True)
class Refinement:
    """What was tried and chosen. stuck: powers at which the chains never left their real images, and why.
    plain: Algorithm 1 as it stands (logistic ratio, power 1), whatever was chosen; None where its chains were
    stuck."""

    ratio: JudgedRatio
    log_ratios: Tensor  # of the bought images, (N,)
    tried: tuple[Refined, ...]
    stuck: dict[float, str]
    plain_ratio: JudgedRatio
    plain: Refined | None

    @property
    def best(self) -> Refined:
        """The set that the judge liked most; of several, the one of the least power."""
        return min(self.tried, key=lambda refined: (refined.score, refined.power))

    @property
    def kept(self) -> Tensor:
        """Indices (N,) into the bought images, of those to train on."""
        return self.best.kept


def refine(
    images: Tensor,
    real: Tensor,
    D: Discriminator,
    settings: Refining,
    judge: Callable[[Tensor], float],
    *,
    seed: int,
) -> Refinement:
    """Refine bought images (N, C, H, W) uint8 by D and real images (m, C, H, W) uint8.

    judge: of images, as they would be trained on, repeats among them; lower is better. Chains begin at real
    images that the ratio was not fitted to. Raises SpecError for too few images, fewer than 4 real ones and
    NaN of D; StepError where all chains are stuck at every power, and where the judge gives no finite number.
    """
    settings.require_budget(len(images), len(real))
    rows = _Rows(D, images, real)
    if settings.proposals == "pool":
        supply, fitted = _OfPool(settings, seed), len(images)
    else:
        supply, fitted = _OfStream(settings, len(real)), len(real)

    def walk(ratio: JudgedRatio, power: float) -> Refined:
        of_images, of_real = (power * values for values in rows.log_ratios(ratio))
        kept, chains = supply.unrefined(len(images)), None
        if power > 0:
            chains = supply.walk(of_real[ratio.held_out], of_images, len(kept), seed)
            kept = chains.handles
        score = float(judge(images[kept[: settings.judged]]))
        if not math.isfinite(score):
            raise StepError(
                f"the judge of refined images gave {score} at power {power:g}. Look at the images and its "
                "real ones."
            )
        return Refined(power, kept, score, chains)

    ratio, plain_ratio = rows.fit(settings.ratio, fitted, seed), rows.fit(PLAIN, len(real), seed)
    tried, stuck = _tried(lambda power: walk(ratio, power), sorted(set(settings.powers)))
    if not tried:
        raise StepError(next(iter(stuck.values())))
    plain, _ = _tried(lambda power: walk(plain_ratio, power), [1.0])
    log_ratios = rows.log_ratios(ratio)[0]
    return Refinement(ratio, log_ratios, tuple(tried), stuck, plain_ratio, plain[0] if plain else None)


@dataclass(frozen=True)
class _OfPool:
    """Chains walk among all images."""

    settings: Refining
    seed: int

    def unrefined(self, bought: int) -> Tensor:
        """What the power 0 keeps."""
        return torch.arange(self.settings.count or bought)

    def walk(self, starts: Tensor, log_ratios: Tensor, count: int, seed: int) -> Chains:
        """Chains until `count` have moved."""
        pool, never_moved = Pool(log_ratios, seed=self.seed), self.settings.never_moved or "discard"
        return metropolis_hastings(
            starts, pool, count=count, steps=self.settings.steps, seed=seed, never_moved=never_moved
        )


@dataclass(frozen=True)
class _OfStream:
    """Chains are offered each image once, from the one numbered `first` on."""

    settings: Refining
    first: int

    def unrefined(self, bought: int) -> Tensor:
        """What the power 0 keeps."""
        return torch.arange(self.first, self.first + (self.settings.count or 0))

    def walk(self, starts: Tensor, log_ratios: Tensor, count: int, seed: int) -> Chains:
        """As many chains as the stream allows, until `count` have moved."""
        offered, steps = log_ratios[self.first :], self.settings.steps
        never_moved = self.settings.never_moved or "restart"
        return metropolis_hastings(
            starts,
            Stream(offered, first=self.first),
            count=count,
            steps=steps,
            seed=seed,
            never_moved=never_moved,
            max_chains=len(offered) // steps,
        )


class _Rows:
    """What density ratios read of images and real images: D is asked once for each."""

    def __init__(self, D: Discriminator, images: Tensor, real: Tensor) -> None:
        self._D, self._sets = D, (images, real)
        self._read: dict[Reads, tuple[Tensor, Tensor]] = {}

    def fit(self, kind: str, fakes: int, seed: int) -> JudgedRatio:
        """A ratio fitted to the first `fakes` images and the real ones."""
        of_images, of_real = self._of(reads_of(kind))
        return fit_density_ratio(kind, of_real, of_images[:fakes], seed=seed)

    def log_ratios(self, ratio: JudgedRatio) -> tuple[Tensor, Tensor]:
        """Of all images, and of all real ones."""
        of_images, of_real = self._of(ratio.reads)
        return ratio.log_ratio(of_images), ratio.log_ratio(of_real)

    def _of(self, reads: Reads) -> tuple[Tensor, Tensor]:
        if reads not in self._read:
            images, real = self._sets
            self._read[reads] = read(reads, self._D, images), read(reads, self._D, real)
        return self._read[reads]


def _tried(walk: Callable[[float], Refined], powers: list[float]) -> tuple[list[Refined], dict[float, str]]:
    """What came of each power, and at which the chains were stuck, and why."""
    tried: list[Refined] = []
    stuck: dict[float, str] = {}
    for power in powers:
        try:
            tried.append(walk(power))
        except ChainsStuck as problem:
            stuck[power] = str(problem)
    return tried, stuck


def require_readable(D: Discriminator, image_shape: tuple[int, int, int], settings: Refining) -> None:
    """Raise SpecError or TargetError, before anything is bought, where D does not give of images (C, H, W)
    what is read."""
    grey = torch.full((2, *image_shape), 128, dtype=torch.uint8)
    for kind in (settings.ratio, PLAIN):
        read(reads_of(kind), D, grey)


def read(reads: Reads, D: Discriminator, images: Tensor) -> Tensor:
    """What a ratio reads of images (N, C, H, W) uint8: D's scores (N, 1), or its features (N, F), float64.

    Raises SpecError for NaN or infinity, TargetError for features of another shape.
    """
    rows = D.scores(images)[:, None] if reads == "scores" else D.features(images)
    if rows.ndim != 2 or len(rows) != len(images):
        raise TargetError(
            f"the discriminator's features of {len(images)} images must be (N, F); got {tuple(rows.shape)}."
        )
    if not torch.isfinite(rows).all():
        raise SpecError("the discriminator gave NaN or infinity. Look at its weights.")
    return rows.double()
