"""The spec: what it accepts, how budgets and labels come out, and one clear line for each mistake."""

from pathlib import Path

import pytest

from ganguard.audit.spec import Spec, TrainTarget, presets, read_spec
from ganguard.base.errors import SpecError
from ganguard.base.settings import parse

SMALL = {
    "target": {"train": {"dataset": "digits", "architecture": "sngan", "steps": 10}},
    "real": "digits",
    "features": "random_network",
    "attacks": [{"kind": "fidelity", "architecture": "sngan", "query_budget": [20, 10]}],
}


def spec_with(**changes: object) -> Spec:
    return parse(Spec, {**SMALL, **changes}, "spec")


def test_every_preset_parses_and_says_what_it_is() -> None:
    assert list(presets()) == ["digits", "digits-full"]
    for name, text in presets().items():
        parsed_name, spec = read_spec(name, [])
        assert parsed_name == name
        assert text.startswith("# ")
        assert isinstance(spec.target, TrainTarget)


def test_digits_full_is_digits_with_five_seeds() -> None:
    _, digits = read_spec("digits", [])
    _, full = read_spec("digits-full", [])
    assert full.seeds == (0, 1, 2, 3, 4)
    assert full.model_copy(update={"seeds": (0,)}) == digits


def test_each_budget_becomes_an_attack_and_labels_are_unique() -> None:
    sngan = {"kind": "fidelity", "architecture": "sngan"}
    longer = {**sngan, "steps": 99, "query_budget": 5}
    spec = spec_with(attacks=[{**sngan, "query_budget": [20, 10]}, longer, {**sngan, "query_budget": 30}])
    found = [(label, [s.query_budget for s in settings]) for label, settings in spec.labelled_attacks()]
    assert found == [("fidelity sngan", [10, 20, 30]), ("fidelity sngan #2", [5])]


def test_a_spec_survives_json() -> None:
    spec = spec_with()
    dumped = spec.model_dump(mode="json")
    assert dumped["target"]["architecture"]["kind"] == "sngan"
    assert [attack["query_budget"] for attack in dumped["attacks"]] == [20, 10]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"atacks": []}, "spec.atacks: unknown key. Did you mean 'attacks'? Known: attacks, codes, compute"),
        ({"samples": 5}, "greater than or equal to 6"),
        ({"target": "digits"}, "target must be a mapping with one of checkpoint, python, torchscript, train"),
        ({"seeds": []}, "one or more distinct whole numbers"),
        ({"seeds": [1, 1]}, "one or more distinct whole numbers"),
        ({"seeds": [-1]}, "greater than or equal to 0"),
        ({"attacks": []}, "attacks must be a list with at least one attack"),
        ({"attacks": ["fidelity"]}, "attacks.0 must be a mapping with `kind`"),
        ({"real": "digit"}, "unknown data set 'digit'; did you mean 'digits'? Known: digits, image_folder"),
        (
            {"features": "inseption"},
            "unknown feature network 'inseption'; did you mean 'inception'? Known: classifier, huggingface",
        ),
        ({"codes": "mine"}, "'provider' or 'client'"),
        ({"samples": 0}, "greater than 0"),
        ({"target": {"checkpont": "x"}}, "unknown target 'checkpont'; did you mean 'checkpoint'?"),
        ({"target": {"train": {"dataset": "digits", "architecture": "sngn"}}}, "unknown architecture 'sngn'; did you mean"),
        ({"target": {"train": {"dataset": "digits"}}}, "architecture: this key is needed and absent"),
    ],
)
def test_a_mistake_gets_one_line(changes: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError) as raised:
        spec_with(**changes)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_misspelt_key_is_named_before_the_one_it_was_meant_to_be() -> None:
    misspelt = {"rael" if key == "real" else key: value for key, value in SMALL.items()}
    with pytest.raises(SpecError, match=r"spec\.rael: unknown key\. Did you mean 'real'\?"):
        parse(Spec, misspelt, "spec")


@pytest.mark.parametrize("budget", [0, -5, 1.5, "many", True, None])
def test_a_budget_is_a_whole_number_above_0(budget: object) -> None:
    with pytest.raises(SpecError, match="query_budget"):
        spec_with(attacks=[{"kind": "fidelity", "architecture": "sngan", "query_budget": budget}])


def test_an_unknown_attack_key_names_the_nearest() -> None:
    with pytest.raises(SpecError, match=r"unknown key\. Did you mean 'steps'\?"):
        spec_with(attacks=[{"kind": "fidelity", "architecture": "sngan", "query_budget": 5, "step": 3}])


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(SpecError, match=r"unknown preset 'digit'; did you mean 'digits'\? Known: digits, digits-full"):
        read_spec("digit", [])


def test_a_missing_file_is_no_preset() -> None:
    with pytest.raises(SpecError, match=r"absent\.yaml: no such spec file"):
        read_spec("absent.yaml", [])


@pytest.mark.parametrize(
    "text",
    ["a: [", "- 1", "just words", "", "a: 1\na: 2", "a: &x [1]\nb: [*x, *x]", "a: 2020-99-99", "[" * 3000],
    ids=["open", "list", "words", "empty", "key twice", "alias", "no such day", "deep"],
)
def test_a_file_that_is_no_spec(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=r"mine\.yaml"):
        read_spec(str(path), [])


def test_set_reaches_nested_keys_and_lists() -> None:
    _, spec = read_spec("digits", ["target.train.steps=7", "attacks.1.architecture=sngan", "seeds=[3, 4]"])
    assert isinstance(spec.target, TrainTarget)
    assert spec.target.steps == 7
    assert {attack.architecture.kind for attack in spec.attacks} == {"sngan"}
    assert spec.seeds == (3, 4)


@pytest.mark.parametrize("change", ["steps", "=3", "attacks.9.steps=1", "real.kind=digits", "a..b=1"])
def test_set_refuses_what_leads_nowhere(change: str) -> None:
    with pytest.raises(SpecError):
        read_spec("digits", [change])
