from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from ganguard.base.errors import BudgetError, TargetError
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import MeteredTarget, meter
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget, WhiteBoxTarget

Ramp = Callable[..., object]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.open_account("us", 10)
    yield ledger
    ledger.close()


def _counts(ledger: Ledger) -> tuple[int, int]:
    balance = ledger.balance("us")
    return balance.reserved, balance.delivered


@pytest.mark.parametrize("latent", [False, True])
@pytest.mark.parametrize("white", [False, True])
def test_the_meter_has_just_the_capabilities_inside(
    ledger: Ledger, ramp: Ramp, latent: bool, white: bool
) -> None:
    inner = ramp(latent=latent, white=white)
    metered = meter(inner, ledger, "us")
    assert isinstance(metered, BlackBoxTarget)
    assert isinstance(metered, LatentTarget) is latent
    assert isinstance(metered, WhiteBoxTarget) is white
    assert (metered.identity, metered.image_shape) == (inner.identity, inner.image_shape)
    if white:
        assert metered.discriminator is inner.discriminator
    if latent:
        assert metered.latent_dim == inner.latent_dim


def test_images_are_those_of_the_target_and_are_paid_for(ledger: Ledger, ramp: Ramp) -> None:
    metered = meter(ramp(), ledger, "us")
    assert torch.equal(metered.sample(range(2, 6), seed=3), ramp().sample(range(2, 6), seed=3))
    assert _counts(ledger) == (4, 4)


def test_nothing_is_asked_of_the_target_beyond_the_budget(ledger: Ledger, ramp: Ramp) -> None:
    inner = ramp()
    metered = meter(inner, ledger, "us")
    with pytest.raises(BudgetError, match="may buy 10 more"):
        metered.sample(range(11), seed=0)
    assert inner.asked == []
    assert _counts(ledger) == (0, 0)


def test_codes_are_free_and_their_images_are_not(ledger: Ledger, ramp: Ramp) -> None:
    inner = ramp(latent=True)
    metered = meter(inner, ledger, "us")
    codes = metered.draw_latents(range(1000), seed=0)
    assert _counts(ledger) == (0, 0)
    metered.generate(codes[:4])
    assert _counts(ledger) == (4, 4)
    with pytest.raises(BudgetError):
        metered.generate(codes[4:20])
    assert len(inner.asked) == 1


def test_the_same_request_counts_once(ledger: Ledger, ramp: Ramp) -> None:
    metered = meter(ramp(latent=True), ledger, "us")
    codes = metered.draw_latents(range(3), seed=0)
    for _ in range(3):
        metered.sample(range(4), seed=0)
        metered.generate(codes.clone())
    assert _counts(ledger) == (7, 7)


def test_other_requests_count_anew(ledger: Ledger, ramp: Ramp) -> None:
    metered = meter(ramp(latent=True), ledger, "us")
    metered.sample(range(2), seed=0)
    metered.sample(range(2), seed=1)
    metered.sample(range(2, 4), seed=0)
    metered.generate(metered.draw_latents(range(2), seed=0))
    metered.generate(metered.draw_latents(range(2), seed=1))
    assert _counts(ledger) == (10, 10)


def test_accounts_and_targets_pay_for_themselves(ledger: Ledger, ramp: Ramp) -> None:
    ledger.open_account("auditor", 10)
    other = ramp()
    other.identity = "another"
    for target, account in ((ramp(), "us"), (ramp(), "auditor"), (other, "us")):
        meter(target, ledger, account).sample(range(3), seed=0)
    assert ledger.balance("us").reserved == 6
    assert ledger.balance("auditor").reserved == 3


class Stepping:
    """A target that takes any range: the protocol does not forbid steps."""

    identity, image_shape = "stepping", (1, 1, 1)

    def sample(self, indices: range, *, seed: int) -> torch.Tensor:
        return torch.zeros(len(indices), 1, 1, 1, dtype=torch.uint8)


@pytest.mark.parametrize("first", [range(0, 10, 2), range(0, 10, 9), range(10, 0, -1)])
def test_no_range_pays_for_another(ledger: Ledger, first: range) -> None:
    """Every second image, and then all of them, is more than every second: delivered may never exceed
    reserved."""
    metered = MeteredTarget(Stepping(), ledger, "us")
    delivered: set[int] = set()
    for indices in (first, range(first.start, first.stop)):
        try:
            metered.sample(indices, seed=0)
            delivered |= set(indices)
        except (TargetError, BudgetError, ValueError):
            continue
    assert len(delivered) <= _counts(ledger)[0]


@pytest.mark.parametrize(
    "answer",
    [
        torch.zeros(3, 1, 4, 4, dtype=torch.uint8),
        torch.zeros(4, 1, 4, 4),
        torch.zeros(4, 1, 5, 4, dtype=torch.uint8),
        torch.full((4, 1, 4, 4), 300),
    ],
    ids=["too few", "floats", "another shape", "wide integers"],
)
def test_a_wrong_answer_is_refused_and_stays_paid_for(
    ledger: Ledger, ramp: Ramp, answer: torch.Tensor
) -> None:
    """The target may have done the work: what is not known to have failed is not given back."""
    inner = ramp()
    inner.sample = lambda indices, *, seed: answer
    with pytest.raises(TargetError, match=r"uint8 images \(4, 1, 4, 4\)"):
        meter(inner, ledger, "us").sample(range(4), seed=0)
    assert _counts(ledger) == (4, 0)


def test_a_target_that_raises_may_be_asked_again_for_the_same_money(ledger: Ledger, ramp: Ramp) -> None:
    inner = ramp()
    metered, sound = meter(inner, ledger, "us"), inner.sample

    def fail(indices: range, *, seed: int) -> torch.Tensor:
        raise ConnectionError

    inner.sample = fail
    with pytest.raises(ConnectionError):
        metered.sample(range(8), seed=0)
    assert _counts(ledger) == (8, 0)
    inner.sample = sound
    metered.sample(range(8), seed=0)
    assert _counts(ledger) == (8, 8)
