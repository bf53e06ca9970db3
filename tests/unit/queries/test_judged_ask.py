"""An adversary that asks more often for the conditions whose images vary most."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from varied_target import Varied

from ganguard.queries.harvest import harvest
from ganguard.queries.judged_ask import shares_by_spread
from ganguard.queries.store import Store
from ganguard.targets.ask import Ask


def test_shares_are_those_of_the_spread() -> None:
    x = torch.cat([torch.zeros(50, 1, 2, 2), 10 * torch.randint(0, 2, (50, 1, 2, 2))]).to(torch.uint8)
    asked = torch.arange(100) // 50
    spreads = torch.stack([x[asked == k].flatten(1).double().var(0).sum().sqrt() for k in (0, 1)])
    assert torch.allclose(shares_by_spread(x, asked, 2), spreads / spreads.sum())
    assert shares_by_spread(x, asked, 2).tolist() == [0, 1]


def test_a_condition_without_images_counts_as_the_others_do() -> None:
    x = torch.tensor([0, 10, 0, 30], dtype=torch.uint8).view(4, 1, 1, 1)
    shares = shares_by_spread(x, torch.tensor([0, 0, 2, 2]), 3)
    assert shares.tolist() == pytest.approx([1 / 6, 1 / 3, 1 / 2])
    assert shares_by_spread(x[:1], torch.tensor([1]), 3).tolist() == pytest.approx([1 / 3] * 3)
    assert shares_by_spread(torch.zeros_like(x), torch.tensor([0, 0, 1, 1]), 2).tolist() == [0.5, 0.5]


def test_after_the_pilot_more_is_asked_for_what_varies(tmp_path: Path) -> None:
    store = Store(tmp_path / "once", "varied", "a", 3, ask=Ask(judge="spread", pilot=100))
    images = harvest(Varied(), store, 1300)
    names = store.read_conditions(1300)
    assert 35 < Counter(names[:100])["wild"] < 65
    assert Counter(names[100:])["wild"] > 1000
    again = Store(tmp_path / "cut", "varied", "a", 3, ask=Ask(judge="spread", pilot=100))
    for count in (40, 100, 700, 1300):  # a smaller budget is a prefix of a larger one
        assert torch.equal(harvest(Varied(), again, count), images[:count])
    assert again.read_conditions(1300) == names
