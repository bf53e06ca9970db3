"""Refine a purchase: choose the bought images to train on, by D and some real images (Hu & Pang 2021,
Algorithm 1).

The bought images are the pool: the density ratio is fitted to some of them, chains walk among them, and
nothing is bought twice. Tempering raises the ratio to a power in [0, 1], which the adversary's judge chooses.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from ganguard.attacks.subsampling.crossed import CrossFitted
from ganguard.attacks.subsampling.density_ratio import JudgedRatio, reads_of
from ganguard.attacks.subsampling.metropolis_hastings import (
    Chains,
    ChainsStuck,
    metropolis_hastings,
)
from ganguard.attacks.subsampling.proposals import Pool, Stream
from ganguard.attacks.subsampling.reading import NOTHING_SHOWN, OutputsOfD, Shown, read
from ganguard.attacks.subsampling.refining_settings import PLAIN, MakesJudges, Refining
from ganguard.base.errors import StepError
from ganguard.targets.protocol import Discriminator


@dataclass(frozen=True)
class Refined:
    """The set of images that one power of the ratio chose.

    Attributes:
        power: the power, in [0, 1].
        kept: (N,) indices into the bought images.
        score: the judge's score of them; lower is better.
        chains: the chains that chose them; None for the power 0, which keeps the images as they came.
    """

    power: float
    kept: Tensor
    score: float
    chains: Chains | None

    def summary(self) -> dict[str, Any]:
        """Return what people and reports read of it, ready for JSON."""
        chains = self.chains
        moves = {"acceptance_rate": 1.0, "never_moved": 0, "proposals": 0}
        if chains is not None:
            moves = {key: getattr(chains, key) for key in moves}
        return {"power": self.power, "score": self.score, "distinct": len(self.kept.unique()), **moves}


@dataclass(frozen=True)
class Refinement:
    """The refined sets that were tried, and the one that was chosen.

    Attributes:
        ratio: the density ratio, or those of all folds.
        log_ratios: (N,), of the bought images.
        tried: the refined sets, by ascending power.
        stuck: powers at which the chains never left their real images, with the reason.
        plain_ratio: the logistic ratio, fitted to half of the real images.
        plain: the set that Algorithm 1 chooses untempered (logistic ratio, power 1), for comparison; None if
            its chains were stuck. The paper's own algorithm differs from it: see `Refining.algorithm`.
    """

    ratio: JudgedRatio | CrossFitted
    log_ratios: Tensor
    tried: tuple[Refined, ...]
    stuck: dict[float, str]
    plain_ratio: JudgedRatio
    plain: Refined | None

    @property
    def best(self) -> Refined:
        """The set with the best score; among equal scores, the one of the lowest power."""
        return min(self.tried, key=lambda refined: (refined.score, refined.power))

    @property
    def kept(self) -> Tensor:
        """Indices (N,) of the bought images to train on."""
        return self.best.kept


def refine(
    images: Tensor,
    real: Tensor,
    D: Discriminator,
    settings: Refining,
    judge: Callable[[Tensor], float],
    *,
    seed: int,
    shown: Shown = NOTHING_SHOWN,
    judge_against: MakesJudges | None = None,
) -> Refinement:
    """Refine a purchase by Algorithm 1 of Hu & Pang, tempered.

    Chains begin at real images that the ratio was not fitted to; in the paper's own algorithm, at any.

    Args:
        images: the bought images, (N, C, H, W) uint8.
        real: the adversary's real images, (m, C, H, W) uint8.
        D: the target's discriminator.
        settings: how to refine.
        judge: from images as they would be trained on, repeats included, to a score; lower is better.
        seed: seed of the fits and of the chains.
        shown: the classes of both kinds of images, as which a conditional D scores them.
        judge_against: makes a judge of some of `real`. Cross-fitting needs it.

    Raises SpecError for too few images, fewer than 4 real ones, NaN from D, and cross-fitting without
    `judge_against`. Raises StepError if the chains are stuck at every power, or if the judge gives no finite
    number.
    """
    settings.require_budget(len(images), len(real))
    settings.require_judges(judge_against)
    rows = OutputsOfD(D, images, real, shown)
    if settings.proposals == "pool":
        source, fitted = _FromPool(settings, seed), len(images)
    else:
        source, fitted = _FromStream(settings, len(real)), len(real)

    def walk(ratio: JudgedRatio, power: float) -> Refined:
        of_images, of_real = (power * values for values in rows.log_ratios(ratio))
        kept, chains = source.unrefined(len(images)), None
        if power > 0:
            chains = source.walk(of_real[ratio.held_out], of_images, len(kept), seed)
            kept = chains.handles
        return _judged(power, kept, judge(images[kept[: settings.judged]]), chains)

    plain_ratio = rows.fit(PLAIN, len(real), seed)
    if settings.fitting == "crossed":
        ratio = rows.cross_fit(settings.ratio, settings.count or len(images), seed)
        log_ratios = ratio.of_bought
        choose = _crossed(ratio, images, real, settings, cast(MakesJudges, judge_against), seed)
    else:
        ratio = rows.fit(settings.ratio, fitted, seed, to_all=settings.algorithm == "paper")
        log_ratios = rows.log_ratios(ratio)[0]
        choose = partial(walk, ratio)
    tried, stuck = _tried(choose, sorted(set(settings.powers)))
    if not tried:
        raise StepError(next(iter(stuck.values())))
    plain, _ = _tried(partial(walk, plain_ratio), [1.0])
    return Refinement(ratio, log_ratios, tuple(tried), stuck, plain_ratio, plain[0] if plain else None)


def _crossed(
    ratio: CrossFitted,
    images: Tensor,
    real: Tensor,
    settings: Refining,
    judge_against: MakesJudges,
    seed: int,
) -> Callable[[float], Refined]:
    """Return the function from a power to the set that the ratios of all folds choose."""
    judges = [judge_against(real[fold.real]) for fold in ratio.folds]

    def choose(power: float) -> Refined:
        kept, chains = ratio.unrefined(), None
        if power > 0:
            never_moved = settings.never_moved or "discard"
            chains = ratio.walk(power, steps=settings.steps, never_moved=never_moved, seed=seed)
            kept = chains.handles
        return _judged(power, kept, ratio.score(kept, images, judges, settings.judged), chains)

    return choose


def _judged(power: float, kept: Tensor, score: float, chains: Chains | None) -> Refined:
    """Return the set of a power. Raises StepError if its score is not finite."""
    score = float(score)
    if not math.isfinite(score):
        raise StepError(
            f"the judge of refined images gave {score} at power {power:g}. Check the images and the "
            "judge's real ones."
        )
    return Refined(power, kept, score, chains)


@dataclass(frozen=True)
class _FromPool:
    """Chains that walk among all bought images."""

    settings: Refining
    seed: int

    def unrefined(self, bought: int) -> Tensor:
        """Return the indices (N,) of the images that the power 0 keeps."""
        return torch.arange(self.settings.count or bought)

    def walk(self, starts: Tensor, log_ratios: Tensor, count: int, seed: int) -> Chains:
        """Run chains until `count` have moved."""
        pool, never_moved = Pool(log_ratios, seed=self.seed), self.settings.never_moved or "discard"
        return metropolis_hastings(
            starts, pool, count=count, steps=self.settings.steps, seed=seed, never_moved=never_moved
        )


@dataclass(frozen=True)
class _FromStream:
    """Chains that are offered each bought image once, from image `first` on."""

    settings: Refining
    first: int

    def unrefined(self, bought: int) -> Tensor:
        """Return the indices (N,) of the images that the power 0 keeps."""
        return torch.arange(self.first, self.first + (self.settings.count or 0))

    def walk(self, starts: Tensor, log_ratios: Tensor, count: int, seed: int) -> Chains:
        """Run chains until `count` have moved, at most as many as the stream allows."""
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


def _tried(walk: Callable[[float], Refined], powers: list[float]) -> tuple[list[Refined], dict[float, str]]:
    """Return the refined set of each power, and for each power at which the chains were stuck the reason."""
    tried: list[Refined] = []
    stuck: dict[float, str] = {}
    for power in powers:
        try:
            tried.append(walk(power))
        except ChainsStuck as problem:
            stuck[power] = str(problem)
    return tried, stuck


def require_readable(
    D: Discriminator, image_shape: tuple[int, int, int], settings: Refining, *, conditional: bool = False
) -> None:
    """Raise SpecError or TargetError if D does not give what the ratios read, for images (C, H, W).

    Called before anything is bought.

    conditional: whether the images of the target are of classes.
    """
    grey = torch.full((2, *image_shape), 128, dtype=torch.uint8)
    for kind in (settings.ratio, PLAIN):
        read(reads_of(kind), D, grey, torch.zeros(2, dtype=torch.int64) if conditional else None)
