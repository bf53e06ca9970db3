"""Codes that are sent several times: each answer is an image, and each is paid for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ganguard.base.errors import TargetError
from ganguard.queries.asked_again import ask_again
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.ensure_account("us", 100)
    return ledger


def test_image_i_answers_code_i_over_k_in_whatever_parts(ramp: Callable[..., Any], ledger: Ledger) -> None:
    inner = ramp(latent=True)
    asked = ask_again(meter(inner, ledger, "us"), 3)
    whole = asked.sample(range(10), seed=4)
    codes = torch.arange(10) // 3
    assert torch.equal(whole, inner.sample(range(4), seed=4)[codes])
    parts = [asked.sample(part, seed=4) for part in (range(1), range(1, 5), range(5, 10))]
    assert torch.equal(torch.cat(parts), whole)


def test_a_target_without_codes_is_refused(ramp: Callable[..., Any], ledger: Ledger) -> None:
    with pytest.raises(TargetError, match="takes no codes"):
        ask_again(meter(ramp(latent=False), ledger, "us"), 2)
