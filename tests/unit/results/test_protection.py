"""Both sides of a defence, from measurements whose answer is known by hand."""

import math

import pytest
from defence_samples import copy_of, defence, users_of
from honest_samples import bought_images

from ganguard.results.protection import protection, protection_verdicts, utility_distance
from ganguard.results.records import Measurement

ATTACK, BUDGET = "fidelity sngan", 5000


def _copies(label: str | None, by_adversary: dict[str | None, list[float]]) -> list[Measurement]:
    return [
        copy_of(value, seed, label, who)
        for who, values in by_adversary.items()
        for seed, value in enumerate(values)
    ]


def test_the_closest_adversary_is_the_one_with_the_least_mean() -> None:
    measured = _copies("noise", {"naive": [20.0, 30.0], "through it": [6.0, 4.0], "wrong": [1.0, 50.0]})
    found = protection(measured, ATTACK, BUDGET, "noise")
    assert found.naive == {0: 20.0, 1: 30.0}
    assert (found.closest_adversary, found.closest) == ("through it", {0: 6.0, 1: 4.0})


def test_bought_images_count_if_they_are_closer_than_every_copy() -> None:
    measured = _copies("noise", {"naive": [20.0, 30.0], "through it": [6.0, 4.0]})
    own = [bought_images(3.0, seed, BUDGET, "noise", "averaging 8") for seed in range(2)]
    of_others = [bought_images(0.1, 0, BUDGET), bought_images(0.1, 0, 200, "noise")]
    far = [bought_images(9.0, seed, BUDGET, "noise") for seed in range(2)]
    found = protection([*measured, *of_others, *far], ATTACK, BUDGET, "noise")
    assert (found.closest_adversary, found.trained_by) == ("through it", "through it")
    found = protection([*measured, *of_others, *far, *own], ATTACK, BUDGET, "noise")
    assert (found.closest_adversary, found.trained_by) == (
        "bought images handed out again (averaging 8)",
        "through it",
    )
    assert found.closest == {0: 3.0, 1: 3.0}
    asked = [m.model_copy(update={"ask": "other"}) for m in own]
    assert protection([*measured, *asked], ATTACK, BUDGET, "noise").closest == {0: 6.0, 1: 4.0}
    assert protection([*measured, *asked], ATTACK, BUDGET, "noise", ask="other").closest == {0: 3.0, 1: 3.0}
    assert not protection(own, ATTACK, BUDGET, "noise").closest  # no copy of this attack was made


def test_a_purchase_that_the_attack_sorted_counts_too() -> None:
    measured = _copies("noise", {"naive": [6.0, 4.0]})
    measured += [bought_images(5.5, seed, BUDGET, "noise") for seed in range(2)]
    ours = {"subject": "sorted", "attack": ATTACK}
    own = [bought_images(3.0, seed, BUDGET, "noise", "naive").model_copy(update=ours) for seed in range(2)]
    found = protection([*measured, *own], ATTACK, BUDGET, "noise")
    assert (found.closest_adversary, found.trained_by) == (
        "bought images handed out again, sorted (naive)",
        "naive",
    )
    assert found.closest == {0: 3.0, 1: 3.0}
    of_others = [m.model_copy(update={"attack": "another"}) for m in own]
    assert protection([*measured, *of_others], ATTACK, BUDGET, "noise").closest_adversary == "naive"


def test_draws_are_averaged_and_other_copies_left_out() -> None:
    measured = [
        copy_of(2.0, 0, None, None),
        copy_of(4.0, 0, None, None).model_copy(update={"draw": 1}),
        copy_of(9.0, 0, None, None).model_copy(update={"query_budget": 10}),
        copy_of(9.0, 0, None, None).model_copy(update={"against": "reference"}),
        copy_of(9.0, 0, "noise", "naive"),
    ]
    assert protection(measured, ATTACK, BUDGET, None).closest == {0: 3.0}


def test_what_users_get_is_told_by_the_same_codes() -> None:
    measured = [
        users_of(3.0, None),
        users_of(4.5, "noise"),
        users_of(9.0, None).model_copy(update={"draw": 1}),
    ]
    assert [
        getattr(utility_distance(measured, label), "value", None) for label in (None, "noise", "jpeg")
    ] == [3.0, 4.5, None]


def test_a_defence_protects_where_every_adversarys_copy_is_further_away() -> None:
    none = [1.0, 1.1, 0.9, 1.0, 1.05]
    measured = _copies(None, {None: none})
    measured += _copies("strong", {"naive": [20.0] * 5, "through it": [2 * value for value in none]})
    measured += _copies("fooled", {"naive": [20.0] * 5, "through it": none})
    verdicts = protection_verdicts(measured, [defence("strong"), defence("fooled")])
    assert [v.outcome for v in verdicts] == ["holds", "undecided"]
    assert verdicts[0].ratio == pytest.approx(0.5)
    assert all(v.relation == "R7" for v in verdicts)


def test_two_kinds_that_cost_users_the_same_are_compared() -> None:
    defences = [defence("a 1", "a"), defence("a 2", "a"), defence("b 1", "b"), defence("far", "c")]
    users = {"a 1": 3.0, "a 2": 6.0, "b 1": 5.5, "far": 60.0}
    measured = [users_of(3.0, None), *(users_of(value, label) for label, value in users.items())]
    for label, factor in ((None, 1.0), ("a 1", 2.0), ("a 2", 4.0), ("b 1", 2.0), ("far", 9.0)):
        values = [factor * math.exp(0.01 * seed) for seed in range(5)]
        measured += _copies(label, {"naive" if label else None: values})
    compared = [v for v in protection_verdicts(measured, defences) if "about the same" in v.statement]
    assert len(compared) == 1
    assert "behind a 2 / behind b 1" in compared[0].statement
    assert compared[0].ratio == pytest.approx(2.0)
    assert compared[0].outcome == "holds"
