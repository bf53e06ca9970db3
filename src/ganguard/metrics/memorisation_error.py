"""Standard errors of the memorisation numbers, for both sets drawn anew, from disjoint parts of them.

A copy goes to the part that its training row goes to: in another training set there would be other copies.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganguard.metrics.distances import BLOCK, Frame, nearest_neighbours, rounding, tile
from ganguard.metrics.parts import (
    LEVELS,
    kth_within_parts,
    means_in_parts,
    random_quarters,
    share_error,
    variance_from_parts,
)

NEIGHBOURS = 24  # of a row, among which the nearest in a quarter is looked for: one row in 1,000 has none
FEWEST_ROWS = 16  # of each set, four in a quarter


@dataclass(frozen=True)
class MemorisationErrors:
    """Standard errors of the numbers of these names; that of the ratio is None without held-out rows."""

    authentic: float
    copies: float
    near_copies: float
    distance_ratio: float | None


@dataclass(frozen=True)
class Compared:
    """Rows that were compared with training rows.

    Attributes:
        rows: (M, D).
        copy: whether each equals a training row, (M,) bool.
        near: whether each is a copy or close to a training row, (M,) bool.
    """

    rows: Tensor
    copy: Tensor
    near: Tensor


@dataclass(frozen=True)
class _Nearby:
    """Training rows near other rows, nearest first.

    Attributes:
        which: (rows, K).
        distances: squared, (rows, K).
        doubt: by how much rounding may be off, (rows, K).
    """

    which: Tensor
    distances: Tensor
    doubt: Tensor

    @staticmethod
    def ordered(frame: Frame, rows: Tensor, distances: Tensor, which: Tensor) -> "_Nearby":
        distances, order = distances.clamp(min=0).sort(1)
        norms = torch.cat([frame.block(part).norms for part in rows.split(BLOCK)])
        doubt = rounding(rows.shape[1], norms[:, None], distances)
        return _Nearby(which.gather(1, order), distances, doubt)

    def in_part(self, labels: Tensor, of: Tensor) -> tuple[Tensor, Tensor]:
        """Return the nearest training row in the part of each row, and its place, (rows,) each."""
        place = kth_within_parts(labels, of, self.which, 1)
        return self.which.gather(1, place[:, None])[:, 0], place


def memorisation_errors(
    training: Tensor, generated: Compared, held_out: Compared | None, shares: tuple[float, float, float]
) -> MemorisationErrors | None:
    """Return the standard errors; None if a set has fewer than FEWEST_ROWS.

    Args:
        training: (N, D).
        generated: the rows that are judged.
        held_out: fresh rows, for the ratio of distances.
        shares: authentic rows, copies and near copies among the generated ones.
    """
    sets = [generated] if held_out is None else [generated, held_out]
    if min(len(training), *(len(of.rows) for of in sets)) < FEWEST_ROWS:
        return None
    frame = Frame.around(training)
    own = _Nearby.ordered(
        frame, training, *nearest_neighbours(frame, training, min(NEIGHBOURS, len(training) - 1))
    )
    across = [_Nearby.ordered(frame, of.rows, *_across(frame, of.rows, training)) for of in sets]
    of_training, *drawn = random_quarters(len(training), *(len(of.rows) for of in sets))
    quarters = [
        torch.where(of.near, of_training[:, near.which[:, 0]], labels)
        for of, near, labels in zip(sets, across, drawn, strict=True)
    ]
    found = [_in_parts(parts, of_training % parts, own, across, generated, quarters) for parts in LEVELS]
    variances = variance_from_parts(*found).tolist()
    count = len(generated.rows)
    authentic, copies, near = (
        share_error(v, share, count) for v, share in zip(variances, shares, strict=False)
    )
    # A part whose held-out rows are in the training set has no ratio, and then the ratio no error.
    ratio = math.sqrt(variances[3]) if held_out and math.isfinite(variances[3]) else None
    return MemorisationErrors(authentic, copies, near, ratio)


def _in_parts(
    parts: int,
    of_training: Tensor,
    own: _Nearby,
    across: list[_Nearby],
    generated: Compared,
    quarters: list[Tensor],
) -> Tensor:
    """Return the shares of each part and, with held-out rows, the ratio, (PARTITIONS, parts, 3 or 4)."""
    authentic: list[Tensor] = []
    ratios: list[Tensor] = []
    for training, *labels in zip(of_training, *(labels % parts for labels in quarters), strict=True):
        _, radius_place = own.in_part(training, training)
        radii = own.distances.gather(1, radius_place[:, None])[:, 0]
        nearest, place = across[0].in_part(labels[0], training)
        distance, doubt = (
            of.gather(1, place[:, None])[:, 0] for of in (across[0].distances, across[0].doubt)
        )
        authentic.append(distance - doubt > radii[nearest])
        if len(across) > 1:
            medians = [_medians(near, of, training, parts) for near, of in zip(across, labels, strict=True)]
            ratios.append(medians[0] / medians[1])
    labels = quarters[0] % parts
    flags = [torch.stack(authentic), *(of.expand(len(labels), -1) for of in (generated.copy, generated.near))]
    shares = [means_in_parts(of, labels, parts).nan_to_num() for of in flags]
    return torch.stack([*shares, torch.stack(ratios)] if ratios else shares, 2)


def _medians(near: _Nearby, labels: Tensor, training: Tensor, parts: int) -> Tensor:
    """Return the median distance to the nearest training row in each part, (parts,) float64."""
    _, place = near.in_part(labels, training)
    distances = near.distances.gather(1, place[:, None])[:, 0].double().sqrt()
    return torch.stack([distances[labels == part].nanmedian() for part in range(parts)])


def _across(frame: Frame, rows: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Return the squared distances of each row to its nearest points, and which these are, (rows, K) each."""
    found = [_nearest(frame, part, points) for part in rows.split(BLOCK)]
    distances, which = zip(*found, strict=True)
    return torch.cat(distances), torch.cat(which)


def _nearest(frame: Frame, rows: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    a, count = frame.block(rows), min(NEIGHBOURS, len(points))
    nearest, which = torch.empty(len(rows), 0), torch.empty((len(rows), 0), dtype=torch.int64)
    for start in range(0, len(points), BLOCK):
        distances = tile(a, frame.block(points[start : start + BLOCK]))
        found, places = distances.topk(min(count, distances.shape[1]), largest=False)
        nearest, which = torch.cat([nearest, found], 1), torch.cat([which, places + start], 1)
        nearest, kept = nearest.topk(min(count, nearest.shape[1]), largest=False)
        which = which.gather(1, kept)
    return nearest, which
