"""Reweighting against the law of moved codes: densities, ranks and resampling."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm, rankdata

from ganguard.attacks.reweighting import (
    Shift,
    density_ratio,
    effective_size,
    middles,
    moved_quantile,
    quantiles,
    resample,
    weights_of,
)
from ganguard.base.errors import StepError

DRAWN = [Shift(attribute="slant", amount=amount) for amount in (0.1, 1.0, 2.0, 30.0)]
CLOSE = 1e-9  # what bisection and quadrature in float64 agree to


def moved_density(t: float, amount: float) -> float:
    """The density of N(0, 1) + U[-a, a], as the convolution that it is."""
    found, _ = quad(lambda u: norm.pdf(t - u) / (2 * amount), -amount, amount, points=[t], epsabs=1e-13)
    return found


def moved_share(t: float, amount: float) -> float:
    """The share of N(0, 1) + U[-a, a] below t."""
    found, _ = quad(lambda u: norm.cdf(t - u) / (2 * amount), -amount, amount)
    return found


@pytest.mark.parametrize("shift", DRAWN[:3], ids=lambda shift: f"{shift.amount:g}")
def test_the_ratio_is_that_of_both_densities_at_the_quantile(shift: Shift) -> None:
    q = torch.tensor([1e-4, 0.1, 0.5, 0.77, 0.9999], dtype=torch.float64)
    t = moved_quantile(q, shift.amount)
    for quantile, at, ratio in zip(q.tolist(), t.tolist(), density_ratio(q, shift).tolist(), strict=True):
        assert moved_share(at, shift.amount) == pytest.approx(quantile, abs=CLOSE)
        assert ratio == pytest.approx(norm.pdf(at) / moved_density(at, shift.amount), rel=1e-6)


@pytest.mark.parametrize("shift", [*DRAWN, Shift(attribute="slant", amount=0.5, movement="fixed")])
def test_the_mean_ratio_over_moved_codes_is_one(shift: Shift) -> None:
    assert density_ratio(middles(100_000), shift).mean().item() == pytest.approx(1, abs=1e-3)


def test_codes_that_do_not_move_are_all_worth_the_same() -> None:
    for movement in ("drawn", "fixed"):
        shift = Shift(attribute="slant", amount=0, movement=movement)
        assert torch.equal(density_ratio(middles(9), shift), torch.ones(9, dtype=torch.float64))


def test_a_movement_of_two_leaves_79_percent_of_the_images() -> None:
    assert effective_size(density_ratio(middles(5000), DRAWN[2])) / 5000 == pytest.approx(0.79, abs=0.01)


@pytest.mark.parametrize("movement", ["drawn", "fixed"])
def test_resampled_codes_follow_the_prior_again(movement: str) -> None:
    """The attribute is a code's coordinate, seen through a function that grows."""
    rng = np.random.default_rng(0)
    amount = 1.0
    by = rng.uniform(-amount, amount, 20_000) if movement == "drawn" else amount
    moved = torch.from_numpy(rng.normal(size=20_000) + by)
    shift = Shift.model_validate({"attribute": "slant", "amount": amount, "movement": movement})
    weights = weights_of(torch.zeros(20_000, 1, 1, 1), [(lambda _: moved.exp(), shift)])
    chosen = resample(weights, seed=0)
    found = moved[chosen.rows]
    # Standard errors of a mean and a variance of as many independent values as the sample is worth.
    error = chosen.effective**-0.5
    assert abs(found.mean().item()) < 4 * error
    assert abs(found.var().item() - 1) < 4 * 2**0.5 * error
    assert moved.var().item() > 1.2 or moved.mean().item() > 0.9


def test_ranks_of_equal_scores_are_their_mean() -> None:
    scores = torch.tensor([3.0, 1.0, 3.0, 2.0, 3.0])
    assert np.allclose(quantiles(scores), (rankdata(scores) - 0.5) / 5)


def test_images_are_ranked_within_their_group() -> None:
    scores, groups = torch.tensor([5.0, 1.0, 90.0, 80.0, 70.0]), torch.tensor([0, 0, 1, 1, 1])
    assert quantiles(scores, groups).tolist() == pytest.approx([0.75, 0.25, 5 / 6, 0.5, 1 / 6])


def test_each_row_is_chosen_as_often_as_its_weight_says() -> None:
    weights = torch.tensor([0.0, 1.0, 2.5, 0.5, 0.0, 4.0, 1.0, 0.0, 0.0])
    share = weights / weights.mean()
    counts = [torch.bincount(resample(weights, seed=seed).rows, minlength=9) for seed in range(200)]
    for found in counts:
        assert ((found >= share.floor()) & (found <= share.ceil())).all()
    assert torch.allclose(torch.stack(counts).float().mean(0), share, atol=0.15)
    assert resample(weights, seed=3).rows.tolist() == resample(weights, seed=3).rows.tolist()
    assert resample(weights, seed=0).effective == pytest.approx(9.0**2 / (1 + 6.25 + 0.25 + 16 + 1))


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1.0, -1.0], [1.0, float("nan")]])
def test_weights_that_choose_nothing_are_refused(weights: list[float]) -> None:
    with pytest.raises(StepError, match="weights"):
        resample(torch.tensor(weights), seed=0)


def test_a_score_of_another_shape_is_refused_by_the_attributes_name() -> None:
    with pytest.raises(StepError, match="slant: each of 3 images needs one finite score"):
        weights_of(torch.zeros(3, 1, 2, 2), [(lambda images: images, DRAWN[0])])
