"""Which condition each image is asked for."""

import pytest
import torch
from pydantic import ValidationError

from ganguard.base.errors import SpecError, TargetError
from ganguard.base.settings import read_yaml
from ganguard.results import target_record
from ganguard.targets.ask import UNIFORM, Ask, ask_of, asked_of, parse_ask, require_askable
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


@pytest.mark.parametrize(
    ("one", "other"),
    [(["owl", "cat"], ["cat", "owl"]), ({"owl": 0.25, "cat": 0.75}, {"cat": 0.75, "owl": 0.25})],
)
def test_the_order_in_which_conditions_are_named_makes_no_other_way_to_ask(
    one: object, other: object
) -> None:
    asks = ask_of(one), ask_of(other)
    assert asks[0] == asks[1] and len(set(asks)) == 1
    assert len({ask.digest() for ask in asks}) == len({ask.label() for ask in asks}) == 1
    assert torch.equal(*(ask.draw(THREE, range(100), seed=0) for ask in asks))
    assert ask_of(asks[0].model_dump(mode="json")) == asks[0]


def test_results_know_the_digest_of_asking_uniformly() -> None:
    assert UNIFORM.digest() == target_record.UNIFORM


def test_what_was_drawn_for_a_list_stays_what_it_was() -> None:
    """It follows from the shares, by the order of the target's own conditions."""
    drawn = ask_of(["owl", "cat"]).draw(THREE, range(12), seed=0)
    assert drawn.tolist() == [2, 2, 0, 0, 2, 2, 2, 0, 0, 2, 0, 0]


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
        ({}, "must be uniform"),
        ({"pilot": 100}, "less than or equal to 1"),
        (7, "must be uniform"),
        ("often", "must be uniform"),
    ],
)
def test_what_is_no_way_to_ask_is_refused(asked: object, said: str) -> None:
    with pytest.raises((ValueError, ValidationError), match=said):
        ask_of(asked)


def test_classes_may_be_called_like_the_parts_of_a_way_to_ask() -> None:
    known = Conditions(names=("only", "pilot", "judge", "proportions", "choose", "prior"))
    for name in known.names:
        drawn = ask_of({name: 1.0}).draw(known, range(9), seed=0)
        assert known.said(drawn) == [name] * 9
    assert ask_of({"judge": 0.5, "pilot": 0.5}).judge is None
    assert ask_of({"judge": "spread", "pilot": 50}) == Ask(judge="spread", pilot=50)
    for asked in ("spread", ["pilot"], {"only": 0.5, "cat": 0.5}):
        ask = ask_of(asked)
        assert ask_of(ask.model_dump(mode="json")) == ask


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"prior": "truncated", "chose": "coreset"}, "--ask.chose: unknown key. Did you mean 'choose'?"),
        ({"Prior": "truncated"}, "--ask.Prior: unknown key. Did you mean 'prior'?"),
        (
            {"prior": "truncated", "pilot": 9},
            "--ask: pilot has nothing to act on without `judge` or `choose`",
        ),
        ({"cat": 0.7}, "--ask.proportions: must add up to 1; they add up to 0.7."),
        (
            {},
            "--ask: must be uniform, spread, coreset, uncertainty, conditions, a list of conditions, or "
            "a mapping of conditions to shares; got",
        ),
        ([], "--ask.only: must list one or more conditions, each once"),
    ],
)
def test_what_is_no_way_to_ask_is_said_once_and_in_one_line(asked: object, said: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse_ask(asked, "--ask")
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["yes", "2.50", "2026-11-30", "007", "1_000", "0x1F", "1:30", "+5"])
@pytest.mark.parametrize("among", ["[{}, cat]", "{{{}: 0.5, cat: 0.5}}"])
def test_names_whose_spelling_yaml_loses_are_refused(name: str, among: str) -> None:
    with pytest.raises(ValidationError, match=r"YAML reads .* here as .*Put that name in quotes"):
        ask_of(read_yaml(among.format(name), "spec"))
    asked = ask_of(read_yaml(among.format(f'"{name}"'), "spec"))
    assert asked.draw(Conditions(names=(name, "cat")), range(10), seed=0).unique().tolist() == [0, 1]


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


def test_texts_come_in_turn_if_they_are_asked_for_equally_often() -> None:
    turn = THREE.model_copy(update={"in_turn": True})
    assert UNIFORM.draw(turn, range(4, 9), seed=5).tolist() == [1, 2, 0, 1, 2]
    some = ask_of(["owl", "cat"])
    assert torch.equal(some.draw(turn, range(50), seed=5), some.draw(THREE, range(50), seed=5))


@pytest.mark.parametrize("asked", ["uniform", ["owl", "cat"], {"cat": 0.7, "dog": 0.3}])
@pytest.mark.parametrize("in_turn", [False, True])
def test_images_of_one_request_are_asked_for_alike(asked: object, *, in_turn: bool) -> None:
    four = THREE.model_copy(update={"in_turn": in_turn, "together": 4})
    alone = four.model_copy(update={"together": 1})
    ask = ask_of(asked)
    whole = ask.draw(four, range(40), seed=2)
    assert torch.equal(whole, ask.draw(alone, range(10), seed=2).repeat_interleave(4))
    for part in (range(3, 5), range(4, 8), range(39, 40), range(5, 5)):
        assert torch.equal(ask.draw(four, part, seed=2), whole[part.start : part.stop])


def test_images_that_were_bought_before_have_their_conditions() -> None:
    class Bought:
        conditions = THREE.model_copy(update={"given": (2, 2, 0)})

    for ask in (None, UNIFORM):
        asked = asked_of(Bought(), ask, range(1, 3), seed=9)
        assert asked is not None
        assert asked.tolist() == [2, 0]
    with pytest.raises(TargetError, match="bought before, for conditions of their own"):
        require_askable(Bought(), Ask(only=("cat",)))
    with pytest.raises(TargetError, match="3 images were bought before; 4 are wanted"):
        asked_of(Bought(), None, range(4), seed=0)


def test_conditions_are_said_in_one_line() -> None:
    assert str(THREE) == "3 classes: 'cat', 'dog', 'owl'"
    assert str(Conditions(kind="prompts", names=("a\ncat",))) == "1 prompt: 'a\\ncat'"
    assert str(Conditions(names=("one",))) == "1 class: 'one'"
    many = str(Conditions(names=tuple(map(str, range(1000)))))
    assert many.startswith("1,000 classes: '0', '1'")
    assert many.endswith("'11', …")


def test_a_law_of_codes_is_part_of_a_way_to_ask() -> None:
    narrow, wide = ask_of({"prior": "truncated"}), ask_of({"prior": {"kind": "uniform", "high": 2}})
    both = ask_of({"prior": "truncated", "only": ["cat"]})
    assert len({UNIFORM.digest(), narrow.digest(), wide.digest(), both.digest()}) == 4
    assert [ask.label() for ask in (UNIFORM, narrow, wide, both)] == [
        "uniformly",
        "with truncated codes",
        "with uniform (high 2) codes",
        "only cat, with truncated codes",
    ]
    for ask in (narrow, wide, both):
        assert ask_of(ask.model_dump(mode="json")) == ask
        assert not ask.is_uniform
    # All ways of before are written as they were, and so have the digests that they had.
    assert Ask(only=("cat",)).model_dump(mode="json") == {"only": ["cat"]}
    assert ask_of({"prior": 0.5, "cat": 0.5}).prior is None


def test_conditions_are_asked_for_in_turn_whatever_codes_are_sent() -> None:
    known = Conditions(names=("cat", "dog"), in_turn=True)
    assert ask_of({"prior": "truncated"}).draw(known, range(4), seed=0).tolist() == [0, 1, 0, 1]


def test_what_is_chosen_is_part_of_a_way_to_ask() -> None:
    words = [ask_of(word) for word in ("coreset", "uncertainty", "conditions")]
    assert len({ask.digest() for ask in words}) == 3 and not any(ask.is_uniform for ask in words)
    assert [ask.sends_codes for ask in words] == [True, True, False]
    assert [ask.label() for ask in words] == [
        "by a coreset of codes after the first 200",
        "by the disagreement of students after the first 200",
        "by the conditions covered worst after the first 200",
    ]
    for ask in (*words, ask_of({"choose": "coreset", "pilot": 9, "prior": "truncated"})):
        assert ask_of(ask.model_dump(mode="json")) == ask
    with pytest.raises(ValidationError, match="takes one of"):
        Ask(choose="coreset", judge="spread")


def test_codes_are_not_chosen_where_images_follow_from_conditions_too() -> None:
    with pytest.raises(TargetError, match=r"coreset chooses codes, .* Set ask: conditions"):
        require_askable(Conditional(), ask_of("coreset"))
    require_askable(Conditional(), ask_of("conditions"))
    with pytest.raises(TargetError, match="ask names conditions, and this target takes none"):
        require_askable(object(), ask_of("conditions"))
