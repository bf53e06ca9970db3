"""Metropolis-Hastings chains against their exact distribution after K steps, which a matrix power gives, and
against a loop that runs one chain at a time."""

import math
import random

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from ganguard.attacks.subsampling import Pool, metropolis_hastings
from ganguard.base.errors import SpecError

POOL = torch.tensor([-2.0, -1.0, 0.0, 0.5, 1.5, 3.0])
REAL = torch.tensor([1.0, 4.0])
CHAINS = 60_000
IMPROBABLE = 1e-4  # a correct sampler fails for one seed in 10,000; the seeds are fixed


def acceptance(new: Tensor, current: Tensor) -> np.ndarray:
    """Return the probability (current, new) that a chain accepts each proposal."""
    return np.minimum(1, np.exp(np.subtract.outer(-current.double().numpy(), -new.double().numpy())))


def exact_law(steps: int) -> tuple[np.ndarray, float]:
    """Return the distribution over POOL of chains that moved, and the probability that one never moved."""
    states = torch.cat([REAL, POOL])
    transition = np.zeros((len(states), len(states)))
    transition[:, len(REAL) :] = acceptance(POOL, states) / len(POOL)
    transition[np.diag_indices(len(states))] += 1 - transition.sum(1)
    law = np.repeat([1 / len(REAL), 0], [len(REAL), len(POOL)]) @ np.linalg.matrix_power(transition, steps)
    return law[len(REAL) :] / law[len(REAL) :].sum(), law[: len(REAL)].sum()


def exact_law_restarted(steps: int) -> np.ndarray:
    """Return the distribution over the pool if a chain that never moved restarts at its first proposal.

    It is offered the same proposals again. That is one shadow chain beside each chain, with the same u.
    """
    moved, never = exact_law(steps)
    by_real = acceptance(POOL, REAL)  # (real, new)
    # probability (real, image) that a chain is still at its real image and its shadow at an image of the pool
    both = (1 - by_real) / len(REAL) / len(POOL)
    among = acceptance(POOL, POOL)
    for _ in range(steps - 1):
        after = np.zeros_like(both)
        for real in range(len(REAL)):
            # The shadow accepts u, and the chain does not.
            move = np.maximum(0, among - by_real[real]) / len(POOL)
            stay = ((1 - by_real[real]) / len(POOL)).sum() - move.sum(1)
            after[real] = both[real] @ move + both[real] * stay
        both = after
    assert both.sum() == pytest.approx(never)
    return moved * (1 - never) + both.sum(0)


@pytest.mark.parametrize("steps", [1, 2, 5, 40])
def test_chains_follow_their_exact_distribution_after_any_number_of_steps(steps: int) -> None:
    law, never = exact_law(steps)
    chains = metropolis_hastings(REAL, Pool(POOL, seed=1), count=CHAINS, steps=steps, seed=2)
    counts = torch.bincount(chains.handles, minlength=len(POOL)).numpy()
    assert chisquare(counts, law * CHAINS).pvalue > IMPROBABLE
    run = chains.proposals // steps
    assert abs(chains.never_moved / run - never) < 5 * math.sqrt(never * (1 - never) / run)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_restarted_chains_follow_their_exact_distribution(steps: int) -> None:
    chains = metropolis_hastings(
        REAL, Pool(POOL, seed=1), count=CHAINS, steps=steps, seed=2, never_moved="restart"
    )
    counts = torch.bincount(chains.handles, minlength=len(POOL)).numpy()
    assert chisquare(counts, exact_law_restarted(steps) * CHAINS).pvalue > IMPROBABLE
    assert chains.proposals == CHAINS * steps


def test_many_steps_converge_to_the_pool_weighted_by_its_odds() -> None:
    law, never = exact_law(500)
    assert law == pytest.approx(torch.softmax(POOL.double(), 0).numpy(), abs=1e-6)
    assert never < 1e-6


def one_chain(start: float, pool: list[float], steps: int, rng: random.Random) -> tuple[int | None, int]:
    """Run the inner loop of Algorithm 1, as the paper writes it, for one chain.

    Returns the image that it ended on, None for the real one, and how often it moved.
    """
    current, at, moves = 1 / (1 + math.exp(-start)), None, 0
    for _ in range(steps):
        new = rng.randrange(len(pool))
        C = 1 / (1 + math.exp(-pool[new]))
        if rng.random() <= min(1, (1 / current - 1) / (1 / C - 1)):
            current, at, moves = C, new, moves + 1
    return at, moves


def test_chains_agree_with_a_loop_over_one_chain_at_a_time() -> None:
    rng, steps, runs = random.Random(0), 5, 20_000
    slow = [one_chain(rng.choice(REAL.tolist()), POOL.tolist(), steps, rng) for _ in range(runs)]
    ends = np.bincount([at for at, _ in slow if at is not None], minlength=len(POOL))
    fast = metropolis_hastings(REAL, Pool(POOL, seed=3), count=CHAINS, steps=steps, seed=4)
    share = torch.bincount(fast.handles, minlength=len(POOL)).numpy() / CHAINS
    assert chisquare(ends, share * ends.sum()).pvalue > IMPROBABLE
    assert fast.acceptance_rate == pytest.approx(sum(m for _, m in slow) / runs / steps, abs=0.01)


def test_a_chain_keeps_the_image_that_it_stands_on() -> None:
    """It asks for the image only once, so that a random defence cannot change it afterwards."""
    generator, asked = torch.Generator().manual_seed(0), list[int]()

    def propose(n: int) -> tuple[Tensor, Tensor]:
        asked.append(n)
        images = torch.randint(0, 256, (n, 1, 2, 2), dtype=torch.uint8, generator=generator)
        return images, images.double().mean((1, 2, 3)) / 50

    chains = metropolis_hastings(torch.zeros(3), propose, count=40, steps=7, seed=0)
    assert chains.handles.shape == (40, 1, 2, 2)
    assert chains.handles.dtype == torch.uint8
    assert torch.equal(chains.handles.double().mean((1, 2, 3)) / 50, chains.log_odds)
    assert sum(asked) == chains.proposals


def test_the_same_seeds_give_the_same_chains() -> None:
    first, again = (
        metropolis_hastings(REAL, Pool(POOL, seed=1), count=50, steps=9, seed=2) for _ in range(2)
    )
    other = metropolis_hastings(REAL, Pool(POOL, seed=1), count=50, steps=9, seed=3)
    assert torch.equal(first.handles, again.handles)
    assert not torch.equal(first.handles, other.handles)


@pytest.mark.parametrize("never_moved", ["discard", "restart"])
def test_chains_that_cannot_leave_their_real_images(never_moved: str) -> None:
    def run() -> int:
        chains = metropolis_hastings(
            torch.tensor([1000.0]),
            Pool(POOL, seed=0),
            count=10,
            steps=3,
            seed=0,
            never_moved=never_moved,
            max_chains=30,
        )
        return chains.never_moved

    if never_moved == "restart":
        assert run() == 10
    else:
        with pytest.raises(
            SpecError, match=r"all chains stuck: of 30 chains of 3 steps 0 moved, and 10 are wanted"
        ):
            run()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 0}, "count and steps must be at least 1; got 0 and 5"),
        ({"steps": 0}, "count and steps must be at least 1; got 10 and 0"),
        ({"max_chains": 9}, "max_chains must be at least count, 10; got 9"),
        ({"real_log_odds": torch.empty(0)}, r"of the real images must be \(N,\); got \(0,\)"),
        ({"real_log_odds": torch.tensor([math.nan])}, "of the real images hold NaN or infinity"),
        ({"real_log_odds": torch.zeros(2, 1)}, r"got \(2, 1\)"),
        (
            {"propose": lambda n: (torch.arange(n), torch.full((n,), math.inf))},
            "of the proposals hold NaN or infinity",
        ),
        (
            {"propose": lambda n: (torch.arange(1), torch.zeros(n))},
            r"handles of the proposals must be .*; got \(1,\)",
        ),
        ({"propose": lambda n: (torch.tensor(0), torch.zeros(n))}, r"must be \(10, \.\.\.\); got \(\)"),
        (
            {"propose": lambda n: (torch.arange(n), torch.zeros(n + 1))},
            r"of the proposals must be \(10,\); got \(11,\)",
        ),
    ],
)
def test_bad_arguments_are_refused(change: dict[str, object], message: str) -> None:
    arguments = {
        "real_log_odds": REAL,
        "propose": Pool(POOL, seed=0),
        "count": 10,
        "steps": 5,
        "seed": 0,
    } | change
    with pytest.raises(SpecError, match=message):
        metropolis_hastings(**arguments)
