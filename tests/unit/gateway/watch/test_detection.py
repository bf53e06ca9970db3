"""Signs of copying: traffic that shows one raises it, and honest traffic raises none."""

import pytest
import torch
from torch import Tensor

from ganguard.base.seeds import torch_generator
from ganguard.gateway.watch.account_codes import AccountCodes, Kept
from ganguard.gateway.watch.code_sketch import Grids, Sketch
from ganguard.gateway.watch.detection import lattice_codes, near_codes
from ganguard.gateway.watch.signs import rate_sign, usual_rate


def prior(count: int, width: int = 32, seed: int = 0) -> Tensor:
    return torch.randn(count, width, generator=torch_generator(seed, "codes"))


def raised(*requests: Tensor) -> set[str]:
    """The signs that an account has raised in the end."""
    account = AccountCodes(Kept())
    grids = Grids(requests[0].shape[1], 0)
    signs = [sign for latents in requests for sign in account.observe(latents, grids)]
    return {sign.name for sign in signs}


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
    from scipy.stats import beta

    latents, earlier = torch.cat([prior(6), prior(3) + 0.01]), torch.cat([prior(5, seed=9), prior(7)[6:]])
    every = [*latents, *earlier]
    part = 2 * beta.ppf(1e-7, 16, 16)
    found = sum(
        any(
            i != j
            and float((every[i].double() - other.double()).square().sum())
            <= part * float(every[i].double().square().sum() + other.double().square().sum())
            for j, other in enumerate(every)
        )
        for i in range(len(latents))
    )
    assert int(near_codes(latents, earlier).sum()) == found == 6


@pytest.mark.parametrize("width", [2, 5, 16, 128])
@pytest.mark.parametrize("size", [1.0, 0.01])
def test_codes_of_the_prior_are_seldom_near(width: int, size: float) -> None:
    """Of 3,000 · 3,000 pairs, 10⁻⁷ each, of whatever size the codes are."""
    codes = size * prior(3000, width)
    assert int(near_codes(codes, codes[:0]).sum()) <= 6


def test_copies_are_near_among_whatever_else_is_sent() -> None:
    """Codes of another size, which an adversary may add, hide nothing."""
    copies = prior(10, 16).repeat(4, 1) + 0.05 * prior(40, 16, 1)
    assert near_codes(copies, 1e-4 * prior(900, 16, 2)).all()


@pytest.mark.parametrize("step", [1.0, 0.1, 0.02])
@pytest.mark.parametrize("width", [5, 16, 128])
def test_codes_on_a_lattice_are_told_from_rounded_ones(step: float, width: int) -> None:
    codes = prior(200, width)
    assert lattice_codes(step * (codes / step).round(), codes[:0]).mean() > 0.9
    assert lattice_codes(codes.round(decimals=4), codes[:0]).mean() < 0.03
    one_by_one = [lattice_codes(codes[n : n + 1].round(), codes[:n].round()) for n in range(100, 200)]
    assert sum(bool(found[0]) for found in one_by_one) > 95


def test_a_day_far_above_the_others_is_seen() -> None:
    others = [10, 12, 9, 11, 500]
    assert rate_sign(500, usual_rate(others)).raised
    assert not rate_sign(12, usual_rate(others)).raised
    assert not rate_sign(500, usual_rate(others[-4:])).raised  # too few to compare with
