"""The guess of an adversary that averages: what is left of the noise in a mean of several answers."""

import numpy as np
import pytest
import torch

from ganguard.audit.spec.adversary import Asking
from ganguard.audit.steps.guess import guess_of
from ganguard.base.seeds import torch_generator
from ganguard.defences.protocol import Tools, parse_chain
from ganguard.training.denoiser import clamped_moments

NOISE = 0.4
LEVELS = (-1.0, 0.0, 0.6)


def answers(randomness: str, asking: Asking | None, level: float) -> torch.Tensor:
    """20,000 pixels of one level behind the guess."""
    chain = parse_chain({"kind": "gaussian_noise", "std": NOISE, "randomness": randomness})
    guess = guess_of(chain, Tools(), asking)
    assert guess.images is not None
    return guess.images(torch.full((50, 1, 20, 20), level), torch_generator(0, "guess"))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("randomness", "asking", "fresh"),
    [
        ("per_request", None, 1),
        ("per_code", None, 1),
        ("per_request", Asking(copies=8), 8),
        ("per_code", Asking(copies=8), 1),
        ("per_code", Asking(copies=8, moved=0.05), 8),
    ],
)
def test_the_residual_is_that_of_a_mean_of_clamped_noise(
    randomness: str, asking: Asking | None, fresh: int, level: float
) -> None:
    """Noise that is fresh for each query has its variance divided by their number; its mean stays, which the
    clamping to the range of a pixel moves."""
    found = answers(randomness, asking, level)
    (mean,), (variance,) = clamped_moments(np.array([level]), NOISE)
    assert found.mean().item() == pytest.approx(mean, abs=0.012)
    assert found.var().item() == pytest.approx(variance / fresh, rel=0.05)


def test_gradients_flow_through_the_mean_as_through_one_answer() -> None:
    chain = parse_chain({"kind": "gaussian_noise", "std": NOISE, "randomness": "per_request"})
    guess = guess_of(chain, Tools(), Asking(copies=3))
    images = torch.zeros(2, 1, 4, 4, requires_grad=True)
    assert guess.images is not None
    guess.images(images, torch_generator(0, "guess")).sum().backward()
    assert images.grad is not None
    assert torch.allclose(images.grad, torch.ones_like(images))


def test_guesses_that_differ_have_other_digests() -> None:
    chain = parse_chain({"kind": "gaussian_noise", "std": NOISE})
    asked = [None, Asking(copies=3), Asking(copies=4), Asking(copies=3, moved=0.1)]
    digests = [guess_of(chain, Tools(), asking).digest for asking in asked]
    assert len(set(digests)) == len(asked)
