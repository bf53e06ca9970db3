"""Which condition each image is asked for."""

import pytest
import torch
from pydantic import ValidationError

from ganguard.base.errors import SpecError, TargetError
from ganguard.targets.ask import UNIFORM, Ask, ask_of, asked_of, require_askable
from ganguard.targets.conditions import Conditions, conditions_words, with_conditions

THREE = Conditions(names=("cat", "dog", "owl"))


class Conditional:
    conditions = THREE


def test_the_condition_of_an_image_follows_from_seed_and_index_alone() -> None:
    whole = UNIFORM.draw(THREE, range(1000), seed=3)
    parts = [UNIFORM.draw(THREE, part, seed=3) for part in (range(700, 1000), range(700))]
    assert torch.equal(whole, torch.cat(parts[::-1]))
    assert not torch.equal(whole, UNIFORM.draw(THREE, range(1000), seed=4))


@pytest.mark.parametrize(
    ("asked", "shares"),
    [
        ("uniform", [1 / 3, 1 / 3, 1 / 3]),
        (["owl"], [0, 0, 1]),
        (["owl", "cat"], [0.5, 0, 0.5]),
        ({"cat": 0.7, "dog": 0.3}, [0.7, 0.3, 0]),
        ({"cat": 1, "dog": 0}, [1, 0, 0]),
    ],
)
def test_conditions_come_as_often_as_they_are_asked_for(asked: object, shares: list[float]) -> None:
    drawn = ask_of(asked).draw(THREE, range(30_000), seed=0)
    found = torch.bincount(drawn, minlength=3) / 30_000
    assert torch.allclose(found.double(), torch.tensor(shares).double(), atol=0.01)
    assert all(found[number] == 0 for number, share in enumerate(shares) if share == 0)


def test_equal_proportions_are_the_same_as_uniform() -> None:
    equal = ask_of({name: 1 / 3 for name in THREE.names})
    assert torch.equal(equal.draw(THREE, range(500), seed=1), UNIFORM.draw(THREE, range(500), seed=1))


def test_classes_that_yaml_reads_as_numbers_are_texts() -> None:
    digits = Conditions(names=tuple("0123456789"))
    assert set(ask_of([8, 9]).draw(digits, range(100), seed=0).tolist()) == {8, 9}
    assert set(ask_of({1: 1.0}).draw(digits, range(10), seed=0).tolist()) == {1}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"cat": 0.7, "dog": 0.2}, "add up to 0.9"),
        ({"cat": 1.2, "dog": -0.2}, "less than or equal to 1"),
        ([], "one or more conditions"),
        (["cat", "cat"], "each once"),
        (7, "must be uniform"),
        ("often", "must be uniform"),
    ],
)
def test_what_is_no_way_to_ask_is_refused(asked: object, said: str) -> None:
    with pytest.raises((ValueError, ValidationError), match=said):
        ask_of(asked)


def test_an_unknown_condition_is_refused_with_the_nearest() -> None:
    with pytest.raises(SpecError, match="unknown class 'cot'; did you mean 'cat'"):
        ask_of(["cot"]).shares(THREE)


def test_a_target_without_conditions_is_asked_for_none() -> None:
    assert asked_of(object(), None, range(3), seed=0) is None
    assert asked_of(object(), UNIFORM, range(3), seed=0) is None
    with pytest.raises(TargetError, match="takes none"):
        require_askable(object(), Ask(only=("cat",)))
    asked = asked_of(Conditional(), None, range(3), seed=0)
    assert asked is not None
    assert torch.equal(asked, UNIFORM.draw(THREE, range(3), seed=0))


def test_conditions_stand_behind_codes() -> None:
    codes = torch.randn(2, 3)
    assert with_conditions(codes, torch.tensor([2, 0]), THREE)[:, 3].tolist() == [2, 0]
    assert with_conditions(codes, None, None) is codes
    for wrong in (torch.tensor([2, 3]), torch.tensor([-1, 0]), torch.tensor([1]), torch.tensor([1.0, 2.0])):
        with pytest.raises(TargetError, match="conditions must be"):
            with_conditions(codes, wrong, THREE)
    with pytest.raises(TargetError, match="none was given"):
        with_conditions(codes, None, THREE)


def test_requests_of_other_conditions_have_other_words() -> None:
    assert conditions_words(None) == ""
    words = {conditions_words(torch.tensor(asked)) for asked in ([0, 1], [1, 0], [0, 0])}
    assert len(words) == 3
