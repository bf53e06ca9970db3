"""Refining a purchase: from bought images, real ones and D to the images that are trained on (Hu & Pang 2021, Algorithm 1).

The bought images are the pool: those that the density ratio is fitted to are among them, chains walk inside it, and nothing is
asked for twice. Tempering raises the ratio to a power in [0, 1], which the adversary's judge chooses.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from ganguard.attacks.subsampling.density_ratio import JudgedRatio, fit_density_ratio, reads_of
from ganguard.attacks.subsampling.metropolis_hastings import Chains, ChainsStuck, NeverMoved, metropolis_hastings
from ganguard.attacks.subsampling.proposals import Pool
from ganguard.base.cache import write_json, write_tensors
from ganguard.base.errors import SpecError, StepError
from ganguard.base.settings import Positive, Settings
from ganguard.targets.protocol import Discriminator

PLAIN = "logistic"  # the ratio of Algorithm 1
REFINEMENT, KEPT = "refinement.json", "refined.safetensors"
BINS = 30  # of the histograms of log ratios


def _known_ratio(kind: str) -> str:
    reads_of(kind)
    return kind


class Refining(Settings):
    """ratio: name of the density ratio. steps: K, proposals a chain.
    count: N, images kept; None keeps as many as were bought.
    never_moved: what becomes of a chain that never left its real image.
    powers: of the ratio, among which the judge chooses. judged: images of each that it looks at.
    """

    ratio: Annotated[str, AfterValidator(_known_ratio)] = "feature_head"
    steps: Positive = 640
    count: Positive | None = None
    never_moved: NeverMoved = "discard"
    powers: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1)] = (0.0, 0.25, 0.5, 0.75, 1.0)
    judged: Positive = 2000


@dataclass(frozen=True)
class Refined:
    """One refined set. kept: indices (N,) into the bought images. score: what the judge said of them, lower is better.
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
    """What was tried and chosen. stuck: powers at which the chains never left their real images, and why. plain: Algorithm 1 as
    it stands (logistic ratio, power 1), whatever was chosen; None where its chains were stuck."""

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

    judge: of images; lower is better. Raises SpecError for a count above N, fewer than 4 real images and NaN of D; StepError
    where all chains are stuck at every power, and where the judge gives no finite number.
    """
    count = len(images) if settings.count is None else settings.count
    if count > len(images):
        raise SpecError(f"refining.count must be at most the images bought, {len(images):,}; got {count:,}.")

    def walk(log_ratios: tuple[Tensor, Tensor], power: float) -> Refined:
        of_images, of_real = (power * values for values in log_ratios)
        chains = None
        kept = torch.arange(count)
        if power > 0:
            pool = Pool(of_images, seed=seed)
            chains = metropolis_hastings(
                of_real, pool, count=count, steps=settings.steps, seed=seed, never_moved=settings.never_moved
            )
            kept = chains.handles
        score = float(judge(images[kept[: settings.judged]]))
        if not math.isfinite(score):
            raise StepError(
                f"the judge of refined images gave {score} at power {power:g}. Look at the images and its real ones."
            )
        return Refined(power, kept, score, chains)

    ratio, log_ratios = _fitted(settings.ratio, images, real, D, len(images), seed)
    plain_ratio, plain_log_ratios = _fitted(PLAIN, images, real, D, len(real), seed)
    tried, stuck = _tried(lambda power: walk(log_ratios, power), sorted(set(settings.powers)))
    if not tried:
        raise StepError(next(iter(stuck.values())))
    plain, _ = _tried(lambda power: walk(plain_log_ratios, power), [1.0])
    return Refinement(ratio, log_ratios[0], tuple(tried), stuck, plain_ratio, plain[0] if plain else None)


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


def require_readable(D: Discriminator, real: Tensor, settings: Refining) -> None:
    """Raise SpecError or TargetError, before anything is bought, where D does not give what the ratio reads."""
    _read(settings.ratio, D, real[:1])


def write_refinement(refinement: Refinement, directory: Path) -> None:
    """Write what was chosen to `directory`/refined.safetensors (kept, plain) and what it was chosen by to refinement.json."""
    plain = refinement.plain
    write_tensors(directory / KEPT, {"kept": refinement.kept} | ({"plain": plain.kept} if plain else {}))
    before, after = refinement.log_ratios, refinement.log_ratios[refinement.kept]
    edges = torch.linspace(before.min().item(), max(before.max().item(), before.min().item() + 1e-9), BINS + 1).double()
    said = {
        "ratio": {"kind": refinement.ratio.kind, **asdict(refinement.ratio.diagnosis)},
        "tried": [refined.said() for refined in refinement.tried],
        "stuck": {str(power): reason for power, reason in refinement.stuck.items()},
        "chosen": refinement.best.power,
        "plain": {"kind": PLAIN, **asdict(refinement.plain_ratio.diagnosis), **(plain.said() if plain else {"stuck": True})},
        "log_ratios": {
            "edges": edges.tolist(),
            "before": _histogram(before, edges),
            "after": _histogram(after, edges),
        },
    }
    write_json(directory / REFINEMENT, said)


def _histogram(values: Tensor, edges: Tensor) -> list[int]:
    bins = torch.bucketize(values, edges[1:-1])
    return torch.bincount(bins, minlength=len(edges) - 1).tolist()


def _fitted(
    kind: str, images: Tensor, real: Tensor, D: Discriminator, fakes: int, seed: int
) -> tuple[JudgedRatio, tuple[Tensor, Tensor]]:
    """A ratio fitted to the first `fakes` images and the real ones, and its logarithms for all of both."""
    of_images, of_real = _read(kind, D, images), _read(kind, D, real)
    judged = fit_density_ratio(kind, of_real, of_images[:fakes], seed=seed)
    return judged, (judged.log_ratio(of_images), judged.log_ratio(of_real))


def _read(kind: str, D: Discriminator, images: Tensor) -> Tensor:
    """What a ratio reads of images: D's scores (N, 1), or its features (N, F). Raises SpecError for NaN."""
    rows = D.scores(images)[:, None] if reads_of(kind) == "scores" else D.features(images)
    if not torch.isfinite(rows).all():
        raise SpecError("the discriminator gave NaN or infinity. Look at its weights.")
    return rows.double()
