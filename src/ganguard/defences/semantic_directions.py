"""Semantic directions: along which direction in the space of codes does an attribute of the images grow?

Shen et al. 2020, "Interpreting the Latent Space of GANs for Semantic Face Editing" (InterFaceGAN).

A linear SVM separates codes whose images have the most of the attribute from codes whose images have the
least; the direction is the normal of its plane. The plane's intercept, which the published code drops, is
kept, since a code's distance from the plane depends on it. The caller scores images: here only codes and
their scores are known.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ganguard.base.cache import content_key, tensor_digest
from ganguard.base.errors import MetricError
from ganguard.base.seeds import torch_generator
from ganguard.base.settings import one_line

SHARE = 0.02  # share of all codes in a class (InterFaceGAN's default)
TRAIN = 0.7  # share of a class to train on; the rest is held out
LEAST = 10  # codes of a class: 7 to train on, 3 held out
MOST = 1e12  # largest number of samples that a message recommends
LONGEST_NAME = 200
NOTHING = 1e-4  # a shorter remainder of a unit vector is rounding: the other vectors span it
SHOWN = 6  # codes whose images are kept for pictures
AT_ONCE = 512  # codes whose images are made at once

Score = Callable[[Tensor], Tensor]  # images (N, C, H, W) uint8 -> scores (N,), higher = more of the attribute


@dataclass(frozen=True, eq=False)
class Direction:
    """A semantic direction, and the plane that it is the normal of.

    Attributes:
        vector: (d,) float32, of length 1, towards more of the attribute.
        intercept: vector · z + intercept is the signed distance of a code z from the plane between more and
            less.
        name: name of the attribute.
        held_out_accuracy: accuracy of the plane on codes of both classes that the SVM did not see; None once
            the direction is conditioned.
        rest_accuracy: accuracy on all codes of neither class, by whether their score is above the median of
            all; None once the direction is conditioned.
        prior_std: standard deviation of an entry of the codes, 1 for N(0, I); codes are moved in this unit.
        samples: number of codes that it was fitted to.
    """

    vector: Tensor
    intercept: float
    name: str
    held_out_accuracy: float | None
    rest_accuracy: float | None
    prior_std: float
    samples: int

    @property
    def latent_dim(self) -> int:
        """The number of entries d."""
        return len(self.vector)

    def digest(self) -> str:
        """Return a digest of all that moved codes depend on."""
        return content_key(vector=tensor_digest({"vector": self.vector}), prior_std=self.prior_std)

    def distances(self, latents: Tensor) -> Tensor:
        """Return the signed distances (N,) float64 of codes (N, d) from the plane."""
        return latents.double() @ self.vector.double() + self.intercept

    def moved(self, latents: Tensor, amounts: Tensor) -> Tensor:
        """Return codes (N, d), each moved by its amount.

        amounts: (N,), or one for all, in units of the prior's standard deviation.
        """
        steps = (amounts.double() * self.prior_std).to(latents).reshape(-1, 1)
        return latents + steps * self.vector.to(latents)


def fit_direction(
    latents: Tensor, scores: Tensor, *, name: str, share: float = SHARE, count: int | None = None, seed: int
) -> Direction:
    """Return the direction along which the scores of codes' images grow.

    70 % of each class train the SVM, and 30 % are held out. Raises MetricError for shapes that do not fit,
    NaN or infinity, too few codes (the message says how many are enough), and scores or codes that do not
    differ between the classes.

    Args:
        latents: codes (N, d).
        scores: (N,) scores of their images.
        name: name of the attribute.
        share: share of all codes in each class: those with the highest and those with the lowest scores,
            equal ones in the given order.
        count: number of codes in each class, instead of a share.
        seed: seed of the split into training and held-out codes.
    """
    _require_scored(latents, scores)
    size = _class_size(len(scores), share, count)
    order = scores.double().argsort(stable=True)
    low, rest, high = order[:size], order[size:-size], order[-size:]
    if scores[low].max() >= scores[high].min():
        raise MetricError(
            f"{name}: the {size} lowest and {size} highest scores must differ; both hold "
            f"{scores[high].min().item():g}. Such images cannot be ranked by it: choose another attribute, "
            "or a smaller share of more samples."
        )
    generator = torch_generator(seed, "semantic direction")
    train, held_out = zip(*(_parted(rows, generator) for rows in (high, low)), strict=True)
    prior_std = latents.double().var(0).mean().sqrt().item()
    vector, intercept = _plane(latents, train, prior_std, name)
    fitted = Direction(vector, intercept, name, None, None, prior_std, len(scores))
    held = fitted.distances(latents[torch.cat(held_out)]) > 0
    others = fitted.distances(latents[rest]) > 0
    return replace(
        fitted,
        held_out_accuracy=_share(held == (torch.arange(len(held)) < len(held_out[0]))),
        rest_accuracy=_share(others == (scores[rest] > scores.double().median())),
    )


def _require_scored(latents: Tensor, scores: Tensor) -> None:
    """Raise MetricError unless codes are (N, d) and scores (N,), all finite."""
    if latents.ndim != 2 or latents.shape[1] == 0 or scores.shape != (len(latents),):
        raise MetricError(
            f"codes must be (N, d) and scores (N,), one for each; got {tuple(latents.shape)} and "
            f"{tuple(scores.shape)}."
        )
    for what, values in (("codes", latents), ("scores", scores)):
        if bad := int((~torch.isfinite(values)).sum()):
            raise MetricError(
                f"{what} must be finite; {bad:,} of {values.numel():,} are NaN or infinity. Check what made "
                "them."
            )


def _class_size(samples: int, share: float, count: int | None) -> int:
    """Return the number of codes in each class.

    Some codes must be left for neither: they are the second check.
    """
    if count is None and not 0 < share < 0.5:
        raise MetricError(
            f"share must be more than 0 and less than 0.5, since it is taken at both ends; got {share:g}."
        )
    # 1e-9, since 0.29 * 100 is a little less than 29.
    size = count if count is not None else math.floor(share * samples + 1e-9)
    if size < LEAST:
        enough = f"count must be at least {LEAST}" if count is not None else _enough(samples, share)
        raise MetricError(
            f"each class must hold at least {LEAST} codes; got {size} of {samples:,}. {enough}."
        )
    if 2 * size >= samples:
        raise MetricError(
            f"two classes of {size} codes, and at least one code of neither, need at least {2 * size + 1:,} "
            f"samples; got {samples:,}. Score more."
        )
    return size


def _enough(samples: int, share: float) -> str:
    """Say how many samples, or which share, are enough for a class."""
    wanted = LEAST / share
    more = (
        f"With share {share:g}, {math.ceil(wanted - 1e-9):,} samples are enough"
        if wanted < MOST
        else "Set a larger share"
    )
    return (
        f"{more}; with these samples, share {math.ceil(1000 * LEAST / samples) / 1000:g}"
        if samples > 2 * LEAST
        else more
    )


def _parted(rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Split the rows of a class at random: rows to train on, and held-out rows."""
    mixed = rows[torch.randperm(len(rows), generator=generator)]
    return mixed[: (cut := int(TRAIN * len(rows)))], mixed[cut:]


def _plane(latents: Tensor, classes: Sequence[Tensor], prior_std: float, name: str) -> tuple[Tensor, float]:
    """Return the unit normal (d,) float32 and the intercept of the plane that best separates two classes.

    The first class lies on the side that the normal points to.
    """
    from sklearn.svm import SVC

    rows = torch.cat([*classes])
    labels = (torch.arange(len(rows)) < len(classes[0])).numpy()
    # In units of the prior, so that the weight of the SVM's C does not depend on it.
    codes = latents[rows].double().numpy() / (prior_std or 1.0)
    machine = SVC(kernel="linear").fit(codes, labels)
    normal = np.asarray(machine.coef_)[0]
    if (length := float(np.linalg.norm(normal))) < NOTHING:
        raise MetricError(
            f"{name}: no plane separates codes with more of it from codes with less: the codes of both are "
            "alike. Choose another attribute."
        )
    return torch.from_numpy(normal / length).float(), float(machine.intercept_[0]) / length * prior_std


def _share(right: Tensor) -> float:
    return right.double().mean().item()


def condition(direction: Direction, *others: Direction) -> Direction:
    """Return what is left of a direction without its part in the span of others.

    Codes moved along it keep their distances from the others' planes (the paper's conditional manipulation,
    for any number of others). The plane does not move for codes without any part in the others' span. Raises
    MetricError if directions are of different sizes, or if nothing is left.
    """
    if not others:
        return direction
    for other in others:
        if other.latent_dim != direction.latent_dim:
            raise MetricError(
                f"{direction.name} is a direction of {direction.latent_dim} entries, and {other.name} one of "
                f"{other.latent_dim}: they are of different GANs. Condition on directions of the same GAN."
            )
    n = direction.vector.double().numpy()
    span = torch.stack([other.vector for other in others], 1).double().numpy()  # (d, others)
    # Least squares also solves the Gram system if two of the others are alike.
    weights = np.linalg.lstsq(span, n, rcond=NOTHING)[0]
    left = n - span @ weights
    said = ", ".join(other.name for other in others)
    if (length := float(np.linalg.norm(left))) < NOTHING:
        raise MetricError(
            f"nothing is left of {direction.name} beside {said}. Condition it on fewer directions."
        )
    return replace(
        direction,
        vector=torch.from_numpy(left / length).float(),
        intercept=direction.intercept / length,
        name=one_line(f"{direction.name} beside {said}", LONGEST_NAME - 1),
        held_out_accuracy=None,
        rest_accuracy=None,
    )


@dataclass(frozen=True, eq=False)
class Effect:
    """How moving codes changes an attribute.

    Attributes:
        amounts: how far codes were moved, in units of the prior's standard deviation.
        means: mean score at each amount.
        spearman: rank correlation of a code's scores with the amounts, mean over codes; a code whose scores
            are all equal counts as 0.
        monotone: share of codes whose score never falls from one amount to the next, and rises over all of
            them.
        images: (codes, amounts, C, H, W) uint8, of the first few codes.
    """

    amounts: tuple[float, ...]
    means: tuple[float, ...]
    spearman: float
    monotone: float
    images: Tensor


def effect(
    generate: Callable[..., Tensor],
    latents: Tensor,
    direction: Direction,
    score: Score,
    amounts: Sequence[float],
    conditions: Tensor | None = None,
) -> Effect:
    """Return scores and images of codes that are moved along a direction by each amount, in ascending order.

    Raises MetricError for codes of another length, no codes, or fewer than two amounts.

    Args:
        generate: codes to images (N, C, H, W) uint8.
        latents: codes (N, d).
        direction: the direction.
        score: images to scores of the attribute.
        amounts: in units of the prior's standard deviation.
        conditions: (N,), what a conditional target is asked for with each code, however far it is moved;
            `generate` then takes them as `conditions`.
    """
    amounts = sorted(set(amounts))
    if latents.ndim != 2 or len(latents) == 0 or latents.shape[1] != direction.latent_dim or len(amounts) < 2:
        raise MetricError(
            f"an effect needs codes (N, {direction.latent_dim}) and at least 2 amounts; got codes "
            f"{tuple(latents.shape)} and {len(amounts)} amounts."
        )
    rows: list[Tensor] = []
    shown: list[Tensor] = []
    for amount in amounts:
        of_amount: list[Tensor] = []
        for start in range(0, len(latents), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            asked = {} if conditions is None else {"conditions": conditions[part]}
            images = generate(direction.moved(latents[part], torch.tensor(amount)), **asked)
            if not of_amount:
                shown.append(images[:SHOWN])
            of_amount.append(score(images).double())
        rows.append(torch.cat(of_amount))
    scores = torch.stack(rows, 1)  # (N, amounts)
    rises = (scores.diff(dim=1) >= 0).all(1) & (scores[:, -1] > scores[:, 0])
    means = tuple(scores.mean(0).tolist())
    return Effect(tuple(amounts), means, _spearman(scores.numpy()), _share(rises), torch.stack(shown, 1))


def _spearman(scores: np.ndarray) -> float:
    """Return the rank correlation of scores (N, amounts) with the order of the amounts, mean over rows."""
    from scipy.stats import rankdata

    ranks = rankdata(scores, axis=1)
    ranks -= ranks.mean(1, keepdims=True)
    order = np.arange(scores.shape[1]) - (scores.shape[1] - 1) / 2
    spread = np.sqrt((ranks**2).sum(1) * (order**2).sum())
    return float(np.mean(np.divide(ranks @ order, spread, out=np.zeros(len(scores)), where=spread > 0)))
