"""Signs of copying: traffic that shows one raises it, and honest traffic raises none."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ganguard.base.seeds import torch_generator
from ganguard.gateway.watch.code_sketch import Grids, Sketch
from ganguard.gateway.watch.detection import Traffic, TrafficMonitor, near_codes, signs

Start = Callable[..., Any]


def prior(count: int, width: int = 32, seed: int = 0) -> Tensor:
    return torch.randn(count, width, generator=torch_generator(seed, "codes"))


def raised(*requests: Tensor) -> set[str]:
    monitor, total = TrafficMonitor(0), Traffic()
    for latents in requests:
        total += monitor.observe("us", len(latents), latents)
    return {sign.name for sign in signs(total, 0, []) if sign.raised}


def test_codes_of_the_prior_raise_nothing() -> None:
    assert raised(*(prior(64, seed=seed) for seed in range(40))) == set()
    assert (
        raised(*(0.7 * prior(64, seed=seed) for seed in range(40))) == set()
    )  # truncated, for better images


@pytest.mark.parametrize(
    ("request_", "sign"),
    [
        (5 * prior(64), "codes far from the prior"),
        (0.1 * prior(64), "codes far from the prior"),
        (prior(8).repeat(8, 1), "codes next to another"),
        (prior(8).repeat(8, 1) + 0.05 * prior(64, seed=1), "codes next to another"),
        (prior(64).round(), "codes on a lattice"),
    ],
)
def test_codes_that_nobody_draws_are_seen(request_: Tensor, sign: str) -> None:
    assert sign in raised(request_)


def test_copies_of_codes_in_other_requests_are_seen() -> None:
    assert "codes next to another" in raised(prior(64), prior(64, seed=1), prior(64) + 0.02)


@pytest.mark.parametrize("width", [8, 32, 128])
def test_copies_of_codes_that_were_sent_long_ago_are_seen(width: int) -> None:
    """The same 2,000 codes again and again, moved by little: more than WINDOW others lie between any two
    copies."""
    codes = prior(2000, width)
    moved = [codes + 0.01 * prior(2000, width, seed) for seed in range(1, 4)]
    assert raised(codes, prior(2000, width, 9)) == set()
    assert raised(codes, *moved) == {"codes next to another"}


@pytest.mark.parametrize("width", [2, 8, 16, 128])
@pytest.mark.parametrize("size", [1.0, 0.5])
def test_codes_of_the_prior_seldom_share_a_cell(width: int, size: float) -> None:
    """By chance 2 · 10⁻⁸ a pair: of 40,000 codes behind 40,000 others, one in a thousand, and fewer of the
    prior's own size."""
    grids, sketch = Grids(width, 1), Sketch()
    sketch.put(grids.cells(size * prior(40_000, width)))
    found = float(sketch.holds(grids.cells(size * prior(40_000, width, seed=1))).mean())
    assert found < 0.002
    assert (
        sketch.holds(grids.cells(size * prior(500, width))).mean() > 0.5
    )  # and those that were sent are known
    sketch.put(grids.cells(prior(5, width, seed=3)))
    assert sketch.holds(grids.cells(prior(5, width, seed=3))).all()


def test_another_seed_cuts_codes_another_way() -> None:
    codes = prior(200) + 0.0
    near = codes + 0.05 * prior(200, seed=1)
    together = [Grids(32, seed).cells(codes) == Grids(32, seed).cells(near) for seed in (0, 1)]
    assert (together[0] != together[1]).any()
    assert (Grids(32, 0).cells(codes) == Grids(32, 0).cells(codes)).all()


def test_little_is_no_sign() -> None:
    assert raised(torch.zeros(20, 32)) == set()


def test_near_codes_are_those_that_a_slow_twin_finds() -> None:
    from scipy.stats import chi2

    latents, earlier = torch.cat([prior(6), prior(3) + 0.01]), torch.cat([prior(5, seed=9), prior(7)[6:]])
    every = [*latents, *earlier]
    mean_square = sum(float(code.double().square().mean()) for code in every) / len(every)
    limit = 2 * min(1.0, mean_square) * chi2.ppf(1e-7, 32)
    found = sum(
        any(
            i != j and float((every[i].double() - other.double()).square().sum()) <= limit
            for j, other in enumerate(every)
        )
        for i in range(len(latents))
    )
    assert int(near_codes(latents, earlier).sum()) == found == 6


def test_a_day_far_above_the_others_is_seen() -> None:
    others = [10, 12, 9, 11, 500]
    assert [sign.raised for sign in signs(Traffic(), 500, others)] == [True]
    assert [sign.raised for sign in signs(Traffic(), 12, others)] == [False]
    assert [sign.raised for sign in signs(Traffic(), 500, others[-4:])] == [False]  # too few to compare with


def test_a_gateway_remembers_over_a_restart(gateway: Start) -> None:
    us = gateway()
    key = us.key()
    us.buy(key, latents=prior(4, 5).repeat(20, 1).tolist())
    us.buy(key, count=7)
    us.service.journal.write()
    again = gateway().service.journal
    assert again.traffic()["us"].images == 87
    assert again.traffic()["us"].near == 80
    assert sum(images for _, images in again.since(0)["us"]) == 87
    assert "codes next to another" in {sign.name for sign in again.signs(["us"])["us"] if sign.raised}
