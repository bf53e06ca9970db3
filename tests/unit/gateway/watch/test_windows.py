"""Windows of all lengths: a burst of copies is seen behind any number of honest codes, however it is cut."""

from itertools import chain, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from torch import Tensor

from ganguard.base.seeds import torch_generator
from ganguard.gateway.watch.account_codes import CHUNK, GONE, PLACES, AccountCodes, Kept
from ganguard.gateway.watch.code_sketch import Grids
from ganguard.gateway.watch.signs import CHANCE, FAR, LATTICE, NEAR, code_signs, share_limits
from ganguard.gateway.watch.windows import FINEST, GRAIN, LONGEST, Windows

WIDTH = 16
GRIDS = Grids(WIDTH, 3)


def prior(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, WIDTH, generator=torch_generator(seed, "codes"))


def asked(account: AccountCodes, codes: Tensor, request: int = 64) -> list[str]:
    """The signs that an account newly raises by sending codes, so many in a request."""
    return [sign.name for part in codes.split(request) for sign in account.observe(part, GRIDS)]


@pytest.fixture(scope="module")
def honest() -> Kept:
    """What is kept of an account that sent 20,000 honest codes."""
    account = AccountCodes(Kept())
    assert asked(account, prior(20_000, 1), 512) == []
    return account.changed()


def burst(codes: int = 40, copies: int = 25, moved: float = 0.0) -> Tensor:
    return prior(codes, 2).repeat_interleave(copies, 0) + moved * prior(codes * copies, 3)


def among(copies: Tensor, honest_codes: int) -> Tensor:
    """Copies with so many honest codes after each."""
    others = prior(len(copies) * honest_codes, 4).view(len(copies), honest_codes, WIDTH)
    return torch.cat([copies[:, None], others], 1).reshape(-1, WIDTH)


@pytest.mark.parametrize("request_", [1, 7, 63, 64, 512])
@pytest.mark.parametrize("moved", [0.0, 0.05])
def test_a_burst_behind_honest_codes_is_seen(honest: Kept, request_: int, moved: float) -> None:
    assert NEAR in asked(AccountCodes(honest), burst(moved=moved), request_)


@pytest.mark.parametrize("share", [1, 5, 10])
@pytest.mark.parametrize("moved", [0.0, 0.05])
def test_a_burst_among_honest_codes_is_seen(honest: Kept, share: int, moved: float) -> None:
    assert NEAR in asked(AccountCodes(honest), among(burst(moved=moved), share))


def test_copies_sent_in_turn_are_seen(honest: Kept) -> None:
    assert NEAR in asked(AccountCodes(honest), among(prior(40, 2).repeat(25, 1), 5))


def test_many_small_bursts_are_seen_together(honest: Kept) -> None:
    """Each of 10 copies among 250 codes, which one may send; but not again and again."""
    account = AccountCodes(honest)
    bursts = [torch.cat([burst(2, 5), prior(240, 100 + n)]) for n in range(60)]
    assert asked(account, bursts[0]) == []
    assert NEAR in asked(account, torch.cat(bursts[1:]))


@pytest.mark.parametrize("share", [0, 1, 4])
def test_a_lattice_behind_honest_codes_is_seen(honest: Kept, share: int) -> None:
    assert LATTICE in asked(AccountCodes(honest), among(prior(400, 5).round(), share), 10)


@pytest.mark.parametrize("size", [2.0, 0.1])
def test_far_codes_behind_honest_ones_are_seen(honest: Kept, size: float) -> None:
    assert asked(AccountCodes(honest), size * prior(200, 6)) == [FAR]


def test_a_sign_is_raised_again_only_after_it_was_gone(honest: Kept) -> None:
    account = AccountCodes(honest)
    assert asked(account, 3 * prior(300, 7)) == [FAR]
    assert asked(account, 3 * prior(300, 8)) == []
    assert asked(account, prior(GONE, 9)) == []
    assert FAR in account.last
    assert asked(account, prior(30_000, 12), 512) == []
    assert account.last == {}
    assert asked(account, 3 * prior(300, 13)) == [FAR]


@pytest.mark.parametrize("before", [8, 13, 24])
def test_a_restart_within_a_burst_hides_nothing(honest: Kept, before: int) -> None:
    """Copies of 40 codes, sent 40 at a time, with honest codes between: they are known again by their
    cells."""
    first = AccountCodes(honest)
    rounds = [torch.cat([prior(40, 2) + 0.02 * prior(40, 20 + n), prior(900, 50 + n)]) for n in range(25)]
    raised = asked(first, torch.cat(rounds[:before]))
    again = AccountCodes(merged(honest, first.changed()))
    raised += asked(again, torch.cat(rounds[before:]))
    assert set(raised) == {NEAR}
    assert again.codes == 20_000 + 25 * 940


def merged(before: Kept, after: Kept) -> Kept:
    after.chunks = before.chunks | after.chunks
    return after


def test_codes_of_before_a_restart_are_compared_with() -> None:
    first = AccountCodes(Kept())
    asked(first, prior(200, 2))
    assert asked(AccountCodes(first.changed()), prior(200, 2)) == [NEAR]


def test_what_is_kept_of_an_account_is_bounded() -> None:
    account, kept = AccountCodes(Kept()), Kept()
    for part in prior(70_000).split(512):
        account.observe(part, GRIDS)
        kept = merged(kept, account.changed())
        account.written()
    assert len(kept.chunks) == PLACES
    assert sum(map(len, kept.chunks.values())) <= 16 * CHUNK * PLACES
    assert len(kept.windows) < 10_000
    again = AccountCodes(kept)
    (near,) = [sign for sign in again.signs() if sign.name == NEAR]
    assert near.value is not None
    assert near.value < 0.01
    assert asked(again, prior(70_000)[-60_000:-59_000]) == [NEAR]
    assert asked(AccountCodes(kept), prior(1000)) == []  # sent so long ago that they are forgotten


@given(st.lists(st.integers(1, 64), min_size=1, max_size=3000))
def test_blocks_are_fine_and_few(counts: list[int]) -> None:
    windows = Windows()
    for number in counts:
        windows.add(codes=number, entries=number, squares=0.0, near=number % 3, lattice=0)
    windows = Windows(windows.kept())
    sums = windows.sums()
    ends = [0.0, *sums.codes]
    assert all(b - a <= max(FINEST, 64, a / GRAIN) for a, b in pairwise(ends))
    assert len(sums.codes) <= 193
    assert sums.codes[-1] == sum(counts) or sums.codes[-1] >= LONGEST
    if sum(counts) <= LONGEST:
        assert sums.near[-1] == sum(number % 3 for number in counts)


@pytest.mark.parametrize("share", [0.03, 0.1])
def test_limits_leave_room_for_chance_alone(share: float) -> None:
    limits = share_limits(share)
    for codes in (64, 100, 1000, 65_536):
        most = round(limits[codes] * codes)
        assert binom.sf(most, codes, share) <= CHANCE < binom.sf(most - 1, codes, share)
    assert limits[65_536] < 1.15 * share


def test_few_codes_are_no_sign() -> None:
    windows = Windows()
    windows.add(codes=63, entries=63 * WIDTH, squares=0.0, near=63, lattice=63)
    assert code_signs(windows) == []
    windows.add(codes=1, entries=WIDTH, squares=0.0, near=1, lattice=1)
    assert [sign.raised for sign in code_signs(windows)] == [True, True, True]


def test_the_worst_window_counts() -> None:
    windows = Windows()
    for near in chain([0] * 100, [40] * 3, [0] * 5):
        windows.add(codes=64, entries=64, squares=64.0, near=near, lattice=0)
    (near,) = [sign for sign in code_signs(windows) if sign.name == NEAR]
    assert near.codes == 8 * 64
    assert near.value == pytest.approx(120 / 512)
    assert near.raised


def test_honest_favourites_raise_nothing() -> None:
    """2 % of the codes are one of ten, for 30,000 codes."""
    draw = np.random.default_rng(0)
    favourites, codes = prior(10, 30), prior(30_000, 31)
    again = torch.from_numpy(draw.random(len(codes)) < 0.02)
    codes[again] = favourites[torch.from_numpy(draw.integers(0, 10, int(again.sum())))]
    assert asked(AccountCodes(Kept()), codes) == []
