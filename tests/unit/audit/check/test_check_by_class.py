"""Warnings before an audit whose sets hold too few images of a class."""

import pytest
import torch

from ganguard.audit.check.by_class import RARE, chance_of_few, few_of_a_class
from ganguard.targets.ask import UNIFORM, ask_of
from ganguard.targets.conditions import Conditions


def classes(number: int, **changes: object) -> Conditions:
    return Conditions(names=tuple(map(str, range(number)))).model_copy(update=changes)


@pytest.mark.parametrize(("number", "samples"), [(10, 60), (10, 40), (100, 700)])
def test_the_chance_is_that_of_the_draws(number: int, samples: int) -> None:
    """Of two sets that are compared, as many as there are pairs of seeds."""
    known = classes(number)

    def is_short(seed: int) -> bool:
        drawn = UNIFORM.draw(known, range(samples), seed=seed)
        return bool(torch.bincount(drawn, minlength=number).min() < 2)

    pairs = 400
    found = sum(is_short(2 * i) or is_short(2 * i + 1) for i in range(pairs)) / pairs
    assert found == pytest.approx(chance_of_few(known, UNIFORM, samples), abs=0.08)


def test_few_images_of_many_classes_are_warned_of() -> None:
    (said,) = few_of_a_class(classes(100), UNIFORM, 600)
    assert said.startswith(
        "samples: 600 is few for 100 classes: in about 97% of all comparisons, a set holds"
    )
    enough = int(said.split("Set samples to ")[1].split(" or")[0].replace(",", ""))
    assert (
        chance_of_few(classes(100), UNIFORM, enough)
        < RARE
        <= chance_of_few(classes(100), UNIFORM, enough - 10)
    )
    assert few_of_a_class(classes(100), UNIFORM, enough) == []
    (said,) = few_of_a_class(classes(1000), UNIFORM, 5000)
    assert "for certain" in said


def test_classes_that_are_not_asked_for_may_be_absent() -> None:
    assert few_of_a_class(classes(10), ask_of(["3", "4"]), 60) == []
    (said,) = few_of_a_class(classes(10), ask_of({"3": 0.99, "4": 0.01}), 200)
    assert "200 is few for 2 classes" in said


def test_what_comes_in_turn_or_together_is_counted_so() -> None:
    assert few_of_a_class(classes(30, in_turn=True), UNIFORM, 60) == []
    (said,) = few_of_a_class(classes(30, in_turn=True, kind="prompts"), UNIFORM, 59)
    assert "for 30 prompts: for certain" in said and "some prompt," in said
    four = classes(10, together=4)
    assert chance_of_few(four, UNIFORM, 400) < chance_of_few(classes(10), UNIFORM, 100)


def test_targets_without_conditions_and_images_of_before_have_no_warning() -> None:
    assert few_of_a_class(None, UNIFORM, 6) == []
    assert few_of_a_class(classes(10, given=(1, 2)), UNIFORM, 6) == []
