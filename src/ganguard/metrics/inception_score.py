"""Inception score: are images classified with confidence, and do all classes occur?

    IS = exp( E_x  KL( p(y|x) || p(y) ) ),    p(y) = E_x p(y|x)

Salimans et al. 2016, section 4.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor

from ganguard.base.errors import MetricError
from ganguard.metrics.arrays import Features, MeanStd, as_features, as_whole

# Largest distance of a row's sum from 1: float32 adds up a thousand classes far more precisely, float16 less.
SUMS_TO_1 = 1e-4
FEWEST_A_PART = 20  # rows, for a standard error: with 10 it was 0.88 of what repetition shows


def inception_score(probabilities: Features, *, splits: int = 10) -> MeanStd:
    """Return the IS of class probabilities (N, K) of generated images; higher is better, from 1 to K.

    Each row must be in [0, 1] with sum 1. As in the paper's code, the score is taken of `splits` consecutive
    parts of the rows, and the mean and standard deviation over the parts are returned. Rows must not be
    sorted, for instance by class: shuffle them first if they are.

    The score never sees a real image, so it shows neither memorised images nor missing ones. It grows with N
    / splits: compare equal sizes only. Raises MetricError for splits below 1, fewer rows than splits, another
    shape, NaN, negative numbers, or other sums.
    """
    splits = as_whole(splits, "splits", 1)
    rows = _as_probabilities(probabilities, at_least=splits)
    bounds = [part * len(rows) // splits for part in range(splits + 1)]
    scores = torch.stack([_score(rows[start:stop]) for start, stop in pairwise(bounds)])
    return MeanStd(scores.mean().item(), scores.std(correction=0).item())


def inception_score_error(probabilities: Features, *, splits: int = 10) -> float | None:
    """Return the standard error of the mean that `inception_score` returns, from each row's influence.

    That is the row's divergence from the mean of its part, times the part's score. None for fewer than
    FEWEST_A_PART rows a part, whose mean follows them so closely that divergences vary too little. Arguments
    and errors are as there.
    """
    rows = _as_probabilities(probabilities, at_least=splits)
    if len(rows) < FEWEST_A_PART * splits:
        return None
    bounds = [part * len(rows) // splits for part in range(splits + 1)]
    parts = [rows[start:stop] for start, stop in pairwise(bounds)]
    variance = sum((_score(p) ** 2 * _divergences(p).var() / len(p)).item() for p in parts)
    return math.sqrt(variance) / splits


def _score(p: Tensor) -> Tensor:
    """Return exp of the mean KL divergence of rows (n, K) from their mean."""
    return _divergences(p).mean().exp()


def _divergences(p: Tensor) -> Tensor:
    """Return the KL divergence of each of rows (n, K) from their mean, (n,); 0 log 0 is 0."""
    return (torch.xlogy(p, p) - torch.xlogy(p, p.mean(0))).sum(1)


def _as_probabilities(probabilities: Features, at_least: int) -> Tensor:
    rows = as_features(probabilities, "probabilities", at_least)
    if (lowest := rows.min().item()) < 0:
        raise MetricError(
            f"probabilities must not be negative; got {lowest:g}. Take the softmax of the network's output."
        )
    sums = rows.sum(1)
    if ((sums - 1).abs() > SUMS_TO_1).any():
        furthest = sums[(sums - 1).abs().argmax()].item()
        raise MetricError(
            f"each row of probabilities must sum to 1 within {SUMS_TO_1:g}; got {furthest:g}. Take the "
            "softmax in float32."
        )
    return rows
