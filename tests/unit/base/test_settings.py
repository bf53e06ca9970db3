import json
from typing import Literal

import pytest
from pydantic import ValidationError

from ganguard.base.errors import SpecError
from ganguard.base.settings import NonNegative, Positive, Respelt, Settings, apply_changes, parse, read_yaml


class Inner(Settings):
    width: Positive = 8


class Purchase(Settings):
    query_budget: Positive
    account: str = "us"
    mode: Literal["fast", "slow"] = "fast"
    first: NonNegative = 0
    rate: float = 0.5
    network: Inner = Inner()


def _complaint(**values: object) -> str:
    with pytest.raises(SpecError) as caught:
        parse(Purchase, values, "attacks")
    return str(caught.value)


def test_good_values_pass() -> None:
    found = parse(Purchase, {"query_budget": 10, "network": {"width": 3}}, "attacks")
    assert (found.query_budget, found.account, found.network.width) == (10, "us", 3)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Inner().width = 3


def test_an_unknown_key_names_the_nearest_and_the_known_ones() -> None:
    assert _complaint(query_budgett=3, query_budget=3) == (
        "attacks.query_budgett: unknown key. Did you mean 'query_budget'? "
        "Known: account, first, mode, network, query_budget, rate"
    )


def test_an_unknown_key_like_no_other_names_only_the_known_ones() -> None:
    message = _complaint(zzz=3, query_budget=3)
    assert message.startswith("attacks.zzz: unknown key. Known: account,")


def test_an_unknown_key_further_in_names_the_keys_of_its_own_record() -> None:
    assert _complaint(query_budget=3, network={"widht": 3}) == (
        "attacks.network.widht: unknown key. Did you mean 'width'? Known: width"
    )


def test_a_missing_key_is_named() -> None:
    assert _complaint() == "attacks.query_budget: this key is required and missing."


@pytest.mark.parametrize("value", [0, -1, 1.5, "3", True, None, [3], float("nan"), float("inf")])
def test_a_budget_is_a_positive_whole_number(value: object) -> None:
    message = _complaint(query_budget=value)
    assert message.startswith("attacks.query_budget: ")
    assert "\n" not in message
    if not isinstance(value, list):
        assert f"got {value!r}" in message


def test_whole_floats_count_as_whole_numbers() -> None:
    """YAML reads 1e3 as a float."""
    assert parse(Purchase, {"query_budget": 1e3}, "").query_budget == 1000


def test_zero_is_not_negative() -> None:
    assert parse(Purchase, {"query_budget": 1, "first": 0}, "").first == 0
    assert "attacks.first" in _complaint(query_budget=1, first=-1)


def test_a_wrong_choice_lists_the_choices_and_what_came() -> None:
    message = _complaint(query_budget=1, mode="quick")
    assert "'fast'" in message and "'slow'" in message and "'quick'" in message


def test_a_wrong_type_says_what_came() -> None:
    assert "got 7" in _complaint(query_budget=1, account=7)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_are_finite(value: float) -> None:
    assert "attacks.rate: input should be a finite number" in _complaint(query_budget=1, rate=value)


def test_further_problems_are_counted() -> None:
    assert "(2 more problems after this one)" in _complaint(query_budget=0, account=7, mode="quick")
    assert "(1 more problem after this one)" in _complaint(query_budget=0, account=7)


def test_what_came_is_repeated_unchanged() -> None:
    """A message that tidies its own full stops must not tidy the user's path."""
    assert "'../model'" in _complaint(query_budget=1, mode="../model")


def test_without_a_place_the_key_stands_alone() -> None:
    with pytest.raises(SpecError, match=r"^query_budget: "):
        parse(Purchase, {}, "")


SPEC = {"seeds": [0, 1], "target": {"train": {"steps": 3}}}


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("target.train.steps=5", {"seeds": [0, 1], "target": {"train": {"steps": 5}}}),
        ("seeds.1=7", {"seeds": [0, 7], "target": {"train": {"steps": 3}}}),
        ("seeds=[2]", {"seeds": [2], "target": {"train": {"steps": 3}}}),
        ("new.deep=a=b", {**SPEC, "new": {"deep": "a=b"}}),
        ("codes=", {**SPEC, "codes": None}),
    ],
)
def test_one_value_is_changed_and_the_rest_is_kept(change: str, wanted: dict[str, object]) -> None:
    assert apply_changes(SPEC, [change]) == wanted
    assert SPEC == {"seeds": [0, 1], "target": {"train": {"steps": 3}}}


@pytest.mark.parametrize(
    "change",
    [
        "seeds",
        "=3",
        "a..b=3",
        "seeds.2=7",
        "seeds.x=7",
        "target.train.steps.more=1",
        "seeds=[",
        "seeds=!!python/name:os.system",
    ],
)
def test_a_change_that_leads_nowhere_is_repeated(change: str) -> None:
    with pytest.raises(SpecError, match=r"^--set ") as caught:
        apply_changes(SPEC, [change])
    assert change in str(caught.value)


def test_a_number_may_be_written_in_any_way_where_a_number_is_wanted() -> None:
    found = read_yaml("[7, -7, 007, 1_000, 0x1F, +5, 1:30]", "spec")
    assert found == [7, -7, 7, 1000, 31, 5, 90]
    assert isinstance(found, list)
    assert [type(number) for number in found] == [int, int, *[Respelt] * 5]
    assert [number.text for number in found[2:]] == ["007", "1_000", "0x1F", "+5", "1:30"]
    assert json.dumps(found) == "[7, -7, 7, 1000, 31, 5, 90]"


def test_yaml_that_is_none_names_the_file_in_one_line() -> None:
    with pytest.raises(SpecError, match=r"^audit\.yaml: not YAML") as caught:
        read_yaml("a: [1\nb: {", "audit.yaml")
    assert "\n" not in str(caught.value)
