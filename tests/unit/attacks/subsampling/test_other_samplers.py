"""Discriminator rejection sampling and importance resampling, against their closed forms."""

import math
import sys

import pytest
import torch
from scipy.stats import chisquare

from ganguard.attacks.subsampling import (
    Pool,
    discriminator_rejection,
    effective_sample_size,
    importance_resampling,
)
from ganguard.base.errors import SpecError

POOL = torch.tensor([-2.0, -1.0, 0.0, 0.5, 1.5, 3.0])
COUNT = 40_000
IMPROBABLE = 1e-4


def counts(handles: torch.Tensor) -> torch.Tensor:
    return torch.bincount(handles, minlength=len(POOL))


def test_plain_rejection_keeps_images_by_their_odds() -> None:
    kept = discriminator_rejection(Pool(POOL, seed=0), count=COUNT, seed=1, percentile=None)
    law = torch.softmax(POOL.double(), 0)
    assert chisquare(counts(kept.handles), law * COUNT).pvalue > IMPROBABLE
    assert kept.acceptance_rate == pytest.approx((POOL - 3).exp().mean().item(), abs=0.01)
    assert torch.equal(kept.log_odds, POOL.double()[kept.handles])


def test_gamma_is_the_percentile_of_the_shifted_ratio() -> None:
    """Equations 8 and 9 of Azadi et al., written out for each image of the pool."""
    kept = discriminator_rejection(Pool(POOL, seed=0), count=COUNT, seed=1, percentile=50.0)
    below = POOL.double() - 3
    F = below - torch.log(1 - torch.exp(below - 1e-8))
    gamma = torch.quantile(F[Pool(POOL, seed=0)(10_000)[0]], 0.5)
    accepted = torch.sigmoid(F - gamma)
    assert chisquare(counts(kept.handles), accepted / accepted.sum() * COUNT).pvalue > IMPROBABLE
    assert kept.acceptance_rate == pytest.approx(accepted.mean().item(), abs=0.01)


def test_a_greater_ratio_than_the_pilots_raises_the_bound() -> None:
    first = [True]

    def propose(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.arange(n) % 2 * (not first)
        first.clear()
        return rows, rows.double() * 2

    kept = discriminator_rejection(propose, count=20_000, seed=0, percentile=None, pilot=10)
    assert (kept.handles == 1).double().mean().item() == pytest.approx(
        math.exp(2) / (1 + math.exp(2)), abs=0.01
    )


def test_resampling_with_replacement_draws_by_the_odds() -> None:
    drawn = importance_resampling(Pool(POOL, seed=0), count=COUNT, pool=100_000, seed=1)
    assert chisquare(counts(drawn.handles), torch.softmax(POOL.double(), 0) * COUNT).pvalue > IMPROBABLE
    assert drawn.proposals == 100_000


def test_resampling_without_replacement_takes_no_proposal_twice() -> None:
    handles = torch.arange(500)
    drawn = importance_resampling(
        lambda n: (handles, handles / 100), count=400, pool=500, seed=0, replacement=False
    )
    assert len(drawn.handles.unique()) == 400
    assert drawn.handles.double().mean() > handles.double().mean()


def test_the_first_image_without_replacement_is_drawn_by_odds() -> None:
    firsts = [
        importance_resampling(
            lambda n: (torch.arange(n), POOL), count=1, pool=6, seed=s, replacement=False
        ).handles
        for s in range(2000)
    ]
    assert chisquare(counts(torch.cat(firsts)), torch.softmax(POOL.double(), 0) * 2000).pvalue > IMPROBABLE


def test_effective_sample_size() -> None:
    assert effective_sample_size(torch.full((7,), 3.0)) == pytest.approx(7)
    assert effective_sample_size(torch.tensor([0.0, -800.0, -900.0])) == pytest.approx(1)
    w = torch.tensor([1.0, 2.0, 3.0])
    assert effective_sample_size(w.log()) == pytest.approx(6**2 / 14)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 0}, "count and pilot must be at least 1; got 0 and 10"),
        ({"pilot": 0}, "count and pilot must be at least 1; got 5 and 0"),
        ({"percentile": 101.0}, "percentile must lie in 0 to 100; got 101"),
        ({"propose": lambda n: (torch.arange(n), torch.full((n,), math.nan))}, "of the pilot hold NaN"),
        (
            {"propose": lambda n: (torch.arange(9), torch.zeros(n))},
            r"handles of the pilot must be \(10, \.\.\.\); got \(9,\)",
        ),
    ],
)
def test_rejection_refuses_bad_arguments(change: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        discriminator_rejection(
            **({"propose": Pool(POOL, seed=0), "count": 5, "pilot": 10, "seed": 0} | change)
        )


def test_rejection_stops_if_it_accepts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[discriminator_rejection.__module__]
    monkeypatch.setattr(module, "PROPOSALS_A_KEPT", 10)
    first = [True]

    def propose(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        scores = torch.full((n,), -60.0)
        scores[0] = 0.0 if first else -60.0
        first.clear()
        return torch.arange(n), scores

    with pytest.raises(
        SpecError, match=r"0 of 4,096 proposals were accepted, and 1 are wanted\. Set percentile"
    ):
        discriminator_rejection(propose, count=1, seed=0, percentile=None, pilot=10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 0}, "count must be at least 1, and pool at least 1; got 0 and 6"),
        ({"pool": 0}, "got 5 and 0"),
        ({"count": 7, "replacement": False}, "pool at least count; got 7 and 6"),
        ({"propose": lambda n: (torch.arange(9), torch.zeros(n))}, r"must be \(6, \.\.\.\); got \(9,\)"),
    ],
)
def test_resampling_refuses_bad_arguments(change: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        importance_resampling(**({"propose": Pool(POOL, seed=0), "count": 5, "pool": 6, "seed": 0} | change))
