"""Undo a shift of codes by resampling (self-normalised importance sampling, as in Owen 2013, chapter 9).

Semantic interpolation moves each code along a direction. Along it, codes of the prior follow N(0, 1) in units
of its standard deviation; those that images are made from follow the sum with the movement, which is wider:

    drawn: N(0, 1) + U[-a, a], with density h(t) = (Φ(t + a) - Φ(t - a)) / 2a
    fixed: N(a, 1)

The adversary does not know the direction, but what attribute grows along it. So an image's rank by this
attribute, among those that it bought, estimates the quantile of its code, and the quantile gives t. It
chooses images with probabilities in the ratio of both densities, φ(t) / h(t), so that the attribute is spread
again as it is without the defence. The law is exact for a normal prior, and near for others of many entries.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ganguard.base.errors import StepError
from ganguard.base.seeds import torch_generator
from ganguard.base.settings import Float, Settings

Score = Callable[[Tensor], Tensor]
"""Takes images (N, C, H, W) uint8, and returns how much of an attribute each has, (N,)."""
BISECTIONS = 60  # halvings of a bracket, after which float64 has no more digits
_TAIL = 10.0  # standard deviations beyond which no quantile of a purchase lies
_STILL = 1e-6  # a shorter movement changes no weight


class Shift(Settings):
    """A movement of codes, as the adversary believes in it.

    Attributes:
        attribute: name of what grows along the direction.
        amount: how far codes move, a, in standard deviations of the prior.
        movement: "drawn" uniformly from [-a, a], or "fixed" at a.
    """

    attribute: str
    amount: Annotated[Float, Field(ge=0)]
    movement: Literal["drawn", "fixed"] = "drawn"


@dataclass(frozen=True)
class Reweighted:
    """Images that were chosen of a purchase.

    Attributes:
        rows: (N,) int64 ascending, as many as there were; some occur several times, some never.
        effective: effective sample size, (Σ w)² / Σ w² (Kish 1965).
    """

    rows: Tensor
    effective: float


def resample(weights: Tensor, *, seed: int) -> Reweighted:
    """Choose as many rows as there are weights (N,), each about as often as its weight is to their mean.

    Systematic resampling (Kitagawa 1996): a row is chosen ⌊w⌋ or ⌈w⌉ times, where w is the weight over the
    mean. Raises StepError unless the weights are finite, none is negative and some are above 0.
    """
    total = weights.double().sum()
    if not torch.isfinite(weights).all() or (weights < 0).any() or total <= 0:
        raise StepError("the weights of a purchase must be finite, 0 or more, and not all 0.")
    count = len(weights)
    begin = torch.rand(1, dtype=torch.float64, generator=torch_generator(seed, "resample"))
    places = (torch.arange(count, dtype=torch.float64) + begin) * total / count
    rows = torch.searchsorted(weights.double().cumsum(0), places, right=True).clamp_(max=count - 1)
    return Reweighted(rows, effective_size(weights))


def effective_size(weights: Tensor) -> float:
    """Return the number of equally weighted images that tell as much as those with these weights (N,): 0 if
    all weights are 0."""
    weights = weights.double() / weights.max()
    return (weights.sum().square() / weights.square().sum()).nan_to_num().item()


def weights_of(images: Tensor, scored: Sequence[tuple[Score, Shift]], groups: Tensor | None = None) -> Tensor:
    """Return the weights (N,) float64 of bought images (N, C, H, W) uint8: products over the movements.

    Args:
        images: the purchase.
        scored: each movement, with the adversary's score of its attribute.
        groups: (N,) int64; images are ranked within their group, such as what they were asked for. None
            ranks all together.
    """
    weights = torch.ones(len(images), dtype=torch.float64)
    for score, shift in scored:
        scores = score(images)
        if scores.shape != (len(images),) or not torch.isfinite(scores).all():
            raise StepError(
                f"{shift.attribute}: each of {len(images):,} images needs one finite score; got "
                f"{tuple(scores.shape)}."
            )
        weights *= density_ratio(quantiles(scores, groups), shift)
    return weights


def quantiles(scores: Tensor, groups: Tensor | None = None) -> Tensor:
    """Return the quantile in (0, 1) of each score (N,) within its group; equal scores share their mean."""
    if groups is None:
        return _quantiles(scores)
    found = torch.empty(len(scores), dtype=torch.float64)
    for group in groups.unique().tolist():
        own = groups == group
        found[own] = _quantiles(scores[own])
    return found


def middles(count: int) -> Tensor:
    """Return the quantiles (count,) of different scores, in ascending order."""
    return (torch.arange(count, dtype=torch.float64) + 0.5) / count


def _quantiles(scores: Tensor) -> Tensor:
    _, places, counts = scores.double().unique(return_inverse=True, return_counts=True)
    below = counts.cumsum(0) - counts
    return ((below + 0.5 * counts.double()) / len(scores))[places]


def density_ratio(quantiles: Tensor, shift: Shift) -> Tensor:
    """Return how much more often codes at quantiles (N,) of the moved codes occur among unmoved ones.

    Its mean over the moved codes is 1.
    """
    amount, q = shift.amount, quantiles.double()
    if amount < _STILL:
        return torch.ones_like(q)
    if shift.movement == "fixed":
        t = torch.special.ndtri(q) + amount
        return torch.exp(amount * (amount / 2 - t))
    t = moved_quantile(q, amount).abs()
    clean = torch.exp(-t.square() / 2) / (2 * torch.pi) ** 0.5
    # By symmetry at |t|, since Φ keeps its digits only in the lower tail.
    moved = (torch.special.ndtr(amount - t) - torch.special.ndtr(-amount - t)) / (2 * amount)
    return clean / moved


def moved_quantile(quantiles: Tensor, amount: float) -> Tensor:
    """Return t (N,) at which the distribution of N(0, 1) + U[-a, a] reaches each quantile, by bisection.

    H(t) = (G(t + a) - G(t - a)) / 2a, where G(s) = s Φ(s) + φ(s)
    """
    low = torch.full_like(quantiles, -amount - _TAIL)
    high = -low
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        under = (_integral(middle + amount) - _integral(middle - amount)) / (2 * amount) < quantiles
        low, high = torch.where(under, middle, low), torch.where(under, high, middle)
    return (low + high) / 2


def _integral(s: Tensor) -> Tensor:
    """Return the integral of Φ up to s."""
    return s * torch.special.ndtr(s) + torch.exp(-s.square() / 2) / (2 * torch.pi) ** 0.5
