"""Cross-fitting: every real image fits density ratios, and judges what others choose (Chernozhukov et al.
2018, "Double/debiased machine learning for treatment and structural parameters", section 3).

Real and bought images are dealt to folds. The ratio of a fold is fitted to the other folds. Chains walk among
the fold's own bought images, from its own real images, and these judge what the chains kept. So no ratio has
seen an image that it chooses from, begins at, or is judged by. The refined set is that of all folds together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from ganguard.attacks.subsampling.density_ratio import RATIOS, RatioKind, require_rows
from ganguard.attacks.subsampling.diagnostics import Diagnosis, diagnose
from ganguard.attacks.subsampling.metropolis_hastings import Chains, NeverMoved
from ganguard.attacks.subsampling.within_clusters import joined, walk_among
from ganguard.base.seeds import derived_seed, torch_generator

FOLDS = 5
FEWEST_A_FOLD = 2  # images of each kind: a judge's distance needs as many
FEWEST_KEPT = 2 * FEWEST_A_FOLD

Judge = Callable[[Tensor], float]


@dataclass(frozen=True)
class Fold:
    """The images that one ratio was not fitted to.

    Attributes:
        real: rows of the real images, sorted int64.
        bought: rows of the bought images, sorted int64.
        count: images that are kept of them.
    """

    real: Tensor
    bought: Tensor
    count: int


@dataclass(frozen=True)
class CrossFitted:
    """Ratios that were fitted without one fold each.

    Attributes:
        kind: name of the ratio in `RATIOS`.
        folds: what each of them was fitted without.
        of_real: (m,) log r of the real images, each by the ratio that has not seen it.
        of_bought: (N,) log r of the bought images, likewise.
        diagnosis: how they did on all images.
    """

    kind: str
    folds: tuple[Fold, ...]
    of_real: Tensor
    of_bought: Tensor
    diagnosis: Diagnosis

    def unrefined(self) -> Tensor:
        """Return the indices (count,) of the images that the power 0 keeps: the first of each fold."""
        return torch.cat([fold.bought[: fold.count] for fold in self.folds]).sort().values

    def walk(self, power: float, *, steps: int, never_moved: NeverMoved, seed: int) -> Chains:
        """Run the chains of all folds, with the ratios to a power above 0. Raises ChainsStuck if those of a
        fold are stuck."""
        return joined(
            [
                self._walk_in(fold, power, steps, never_moved, derived_seed(seed, "fold", str(number)))
                for number, fold in enumerate(self.folds)
            ]
        )

    def _walk_in(self, fold: Fold, power: float, steps: int, never_moved: NeverMoved, seed: int) -> Chains:
        return walk_among(
            fold.bought,
            power * self.of_real[fold.real],
            power * self.of_bought[fold.bought],
            count=fold.count,
            steps=steps,
            never_moved=never_moved,
            seed=seed,
        )

    def score(self, kept: Tensor, images: Tensor, judges: Sequence[Judge], judged: int) -> float:
        """Return the mean over the folds of what each fold's judge says of the images kept of the fold.

        Args:
            kept: (count,) indices into the bought images.
            images: the bought images, (N, C, H, W) uint8.
            judges: of each fold, by its own real images; lower is better.
            judged: most images of a fold that its judge sees.
        """
        number = torch.empty(len(images), dtype=torch.int64)
        for index, fold in enumerate(self.folds):
            number[fold.bought] = index
        of = number[kept]
        scores = [float(judge(images[kept[of == index][:judged]])) for index, judge in enumerate(judges)]
        return sum(scores) / len(scores)


def cross_fit(kind: str, real: Tensor, bought: Tensor, *, count: int, seed: int) -> CrossFitted:
    """Fit a ratio to rows real (m, F) and bought (N, F) without each of at most 5 folds in turn.

    count: images that will be kept of all folds, at least 4.

    Raises SpecError as `fit_density_ratio` does.
    """
    fit = cast(RatioKind, RATIOS.load(kind)).fit
    real, bought = require_rows(real, bought)
    number = min(FOLDS, *(size // FEWEST_A_FOLD for size in (len(real), len(bought), count)))
    generator = torch_generator(seed, "cross_fit")
    dealt = [_deal(size, number, generator) for size in (len(real), len(bought))]
    of_real, of_bought = real.new_empty(len(real)), real.new_empty(len(bought))
    folds: list[Fold] = []
    for index in range(number):
        own_real, own_bought = (turns == index for turns in dealt)
        own_seed = derived_seed(seed, "fold", str(index))
        log_ratio = fit(real[~own_real], bought[~own_bought], seed=own_seed)
        of_real[own_real], of_bought[own_bought] = log_ratio(real[own_real]), log_ratio(bought[own_bought])
        share = count // number + (index < count % number)
        folds.append(Fold(own_real.nonzero()[:, 0], own_bought.nonzero()[:, 0], share))
    return CrossFitted(kind, tuple(folds), of_real, of_bought, diagnose(of_real, of_bought))


def _deal(size: int, folds: int, generator: torch.Generator) -> Tensor:
    """Return the folds (size,) of the rows 0 ... size - 1, drawn at random, of nearly equal sizes."""
    turns = torch.arange(size) % folds
    return turns[torch.randperm(size, generator=generator)]
