import math

import pytest
import torch

from ganguard.training.losses import LOSSES

REAL, FAKE = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0, 1.0])


def _log_sigmoid(score: float) -> float:
    return -math.log(1 + math.exp(-score))


def test_hinge_is_the_mean_of_margins() -> None:
    loss = LOSSES["hinge"]
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx((0 + 0.5 + 2) / 3 + (0 + 1 + 2) / 3)
    assert loss.generator(FAKE).item() == pytest.approx(2 / 3)


def test_non_saturating_is_the_cross_entropy_of_the_paper() -> None:
    loss = LOSSES["non_saturating"]
    real = sum(_log_sigmoid(score) for score in (2, 0.5, -1)) / 3
    fake = sum(_log_sigmoid(-score) for score in (-3, 0, 1)) / 3  # log(1 - sigmoid(x)) = log sigmoid(-x)
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(-real - fake)
    assert loss.generator(FAKE).item() == pytest.approx(-sum(_log_sigmoid(score) for score in (-3, 0, 1)) / 3)


@pytest.mark.parametrize("name", LOSSES)
def test_a_better_discriminator_loses_less_and_a_better_generator_too(name: str) -> None:
    loss = LOSSES[name]
    far, near = torch.tensor([-0.5]), torch.tensor([0.5])
    assert loss.discriminator(near, far) < loss.discriminator(far, near)
    assert loss.generator(near) < loss.generator(far)


@pytest.mark.parametrize("name", LOSSES)
def test_extreme_scores_stay_finite(name: str) -> None:
    """log(sigmoid(-1000)) taken literally is log(0)."""
    extreme = torch.tensor([-1000.0, 1000.0])
    assert torch.isfinite(LOSSES[name].discriminator(extreme, extreme))
    assert torch.isfinite(LOSSES[name].generator(extreme))


def test_non_saturating_gives_the_generator_a_slope_where_it_fails() -> None:
    score = torch.tensor([-20.0], requires_grad=True)
    LOSSES["non_saturating"].generator(score).backward()
    assert score.grad.item() == pytest.approx(-1, abs=1e-6)
