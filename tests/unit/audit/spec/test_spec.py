"""The spec: what it accepts, how budgets and labels come out, and one clear line for each mistake."""

from pathlib import Path
from typing import Any

import pytest
from spec_samples import OF_CLASSES, SMALL

from ganguard.architectures.checkpoint import save_checkpoint
from ganguard.architectures.networks import build_networks
from ganguard.architectures.sngan import SNGAN
from ganguard.audit.spec.spec import Spec
from ganguard.base.errors import SpecError, TargetError
from ganguard.base.settings import parse
from ganguard.metrics.features import pretrained

BY_CODES = {"kind": "distillation", "architecture": "sngan", "query_budget": 20}


def spec_with(**changes: object) -> Spec:
    return parse(Spec, {**SMALL, **changes}, "spec")


def test_lists_of_what_may_be_swept_make_an_attack_each() -> None:
    partial = {
        "kind": "accuracy_partial_black_box",
        "architecture": "sngan",
        "query_budget": [10, 20],
        "real_fraction": [0.1, 0.5],
    }
    labelled = spec_with(attacks=[partial]).labelled_attacks()
    assert [(label, [a.query_budget for a in attacks]) for label, attacks in labelled] == [
        ("accuracy partial black box sngan, 10 % real", [10, 20]),
        ("accuracy partial black box sngan, 50 % real", [10, 20]),
    ]


def test_each_budget_becomes_an_attack_and_labels_are_unique() -> None:
    sngan = {"kind": "fidelity", "architecture": "sngan"}
    longer = {**sngan, "steps": 99, "query_budget": 5}
    spec = spec_with(attacks=[{**sngan, "query_budget": [20, 10]}, longer, {**sngan, "query_budget": 30}])
    found = [(label, [s.query_budget for s in settings]) for label, settings in spec.labelled_attacks()]
    assert found == [("fidelity sngan", [10, 20, 30]), ("fidelity sngan #2", [5])]


def test_a_spec_survives_json() -> None:
    spec = spec_with()
    dumped = spec.model_dump(mode="json")
    assert dumped["target"]["train"]["architecture"]["kind"] == "sngan"
    assert parse(Spec, dumped, "spec") == spec
    assert [attack["query_budget"] for attack in dumped["attacks"]] == [20, 10]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"atacks": []},
            "spec.atacks: unknown key. Did you mean 'attacks'? Known: adversaries, ask, attacks",
        ),
        ({"samples": 5}, "greater than or equal to 6"),
        (
            {"target": "digits"},
            "target must be a mapping with one of checkpoint, diffusers, exported, http, hub, images, onnx, "
            "openai, python, state_dict, torchscript, train, url",
        ),
        ({"seeds": []}, "one or more distinct whole numbers"),
        ({"seeds": [1, 1]}, "one or more distinct whole numbers"),
        ({"seeds": [-1]}, "greater than or equal to 0"),
        ({"attacks": []}, "attacks must be a list with at least one attack"),
        ({"attacks": ["fidelity"]}, "attacks.0 must be a mapping with `kind`"),
        (
            {"real": "digit"},
            "unknown data set 'digit'; did you mean 'digits'? Known: cifar, digits, fashion_mnist",
        ),
        (
            {"features": "inseption"},
            "unknown feature network 'inseption'; did you mean 'inception'? Known: classifier, clip",
        ),
        ({"codes": "mine"}, "'provider' or 'client'"),
        (
            {"attacks": [BY_CODES]},
            "distillation sngan learns from the codes that it sends. Set codes: client",
        ),
        (
            {
                "attacks": [BY_CODES],
                "codes": "client",
                "defences": ["none", {"kind": "gaussian_noise", "std": 0.1}],
                "adversaries": ["naive", {"kind": "averaging", "copies": 4}],
            },
            "adversaries: an average is of no single code, and distillation sngan learns from codes",
        ),
        ({"samples": 0}, "greater than 0"),
        ({"target": {"checkpont": "x"}}, "unknown target 'checkpont'; did you mean 'checkpoint'?"),
        (
            {"target": {"train": {"dataset": "digits", "architecture": "sngn"}}},
            "unknown architecture 'sngn'; did you mean",
        ),
        ({"target": {"train": {"dataset": "digits"}}}, "architecture: this key is required and missing"),
    ],
)
def test_a_mistake_gets_one_line(changes: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError) as raised:
        spec_with(**changes)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("ask", "budget", "pilot"),
    [("spread", 200, 100), ({"judge": "spread", "pilot": 50}, [50, 500], 25)],
)
def test_a_judge_that_would_see_no_more_than_its_pilot_is_refused(
    ask: object, budget: object, pilot: int
) -> None:
    attack = {"kind": "fidelity", "architecture": "sngan", "query_budget": budget, "ask": ask}
    with pytest.raises(SpecError, match=rf"Raise it, or set ask: {{judge: spread, pilot: {pilot}}}"):
        spec_with(attacks=[attack], target=OF_CLASSES)
    enough = spec_with(attacks=[{**attack, "query_budget": 201}], target=OF_CLASSES)
    assert enough.asks(enough.attacks[0]).judge == "spread"
    averaging = {
        "target": OF_CLASSES,
        "codes": "client",
        "defences": ["none", {"kind": "gaussian_noise", "std": 0.1}],
        "adversaries": ["naive", {"kind": "averaging", "copies": 4}],
    }
    with pytest.raises(SpecError, match="query_budget of 204 pays for 51"):
        asked = {"judge": "spread", "pilot": 51}
        spec_with(attacks=[{**attack, "query_budget": 204, "ask": asked}], **averaging)


@pytest.mark.parametrize(
    "changes",
    [
        {"ask": ["cat"]},
        {"attacks": [{**SMALL["attacks"][0], "ask": {"judge": "spread", "pilot": 2}}]},
        {"attacks": [{**SMALL["attacks"][0], "ask": {"choose": "conditions", "pilot": 2}}]},
    ],
)
def test_no_conditions_are_asked_of_a_target_that_is_to_be_trained_without(changes: dict[str, Any]) -> None:
    with pytest.raises(TargetError, match="this target takes none"):
        spec_with(**changes)
    assert spec_with(**changes, target=OF_CLASSES)


def test_a_copy_with_classes_of_a_target_that_is_to_be_trained_without_is_refused() -> None:
    attack = {**SMALL["attacks"][0], "architecture": {"kind": "sngan", "classes": 10}}
    with pytest.raises(TargetError, match="this target takes no conditions"):
        spec_with(attacks=[attack])


@pytest.mark.parametrize("kind", ["sngan", "flow"])
def test_a_copy_has_as_many_classes_as_the_target_that_is_to_be_trained(kind: str) -> None:
    attack = {**SMALL["attacks"][0], "architecture": {"kind": kind, "classes": 10}}
    assert spec_with(attacks=[attack], target=OF_CLASSES)
    more = {**attack, "architecture": {"kind": kind, "classes": 11}}
    with pytest.raises(SpecError, match=rf"^fidelity {kind}.*the target has 10"):
        spec_with(attacks=[more], target=OF_CLASSES)


def test_a_copy_that_exists_is_left_to_the_step_that_opens_it(tmp_path: Path) -> None:
    """Its classes are its own, so that no setting of the attack could change them."""
    architecture = SNGAN(width=4, classes=3)
    networks = build_networks(architecture, (1, 8, 8))
    there = save_checkpoint(
        tmp_path / "copy", networks, architecture, (1, 8, 8), {}, class_names=("a", "b", "c")
    )
    assert spec_with(attacks=[{"substitute": {"checkpoint": str(there)}, "query_budget": 20}])


def test_how_the_auditor_asks_is_refused_too_and_an_attack_is_named_before_its_pilot_is() -> None:
    uniform = {**SMALL["attacks"][0], "ask": "uniform"}
    with pytest.raises(TargetError, match=r"^ask names conditions"):
        spec_with(ask=["cat"], attacks=[uniform])
    with pytest.raises(TargetError, match=r"^fidelity dcgan, asks by the spread .*: ask names conditions"):
        spec_with(attacks=[uniform, {**uniform, "architecture": "dcgan", "ask": "spread"}])


def test_no_codes_are_chosen_of_a_target_that_is_to_be_trained_with_classes() -> None:
    attack = {**SMALL["attacks"][0], "ask": {"choose": "coreset", "pilot": 2}}
    with pytest.raises(TargetError, match="coreset chooses codes, and an image of this target follows"):
        spec_with(attacks=[attack], codes="client", target=OF_CLASSES)
    assert spec_with(attacks=[attack], codes="client")


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


@pytest.mark.parametrize("kind", ["efficientnet_lite0", "random_network"])
def test_a_pretrained_network_is_chosen_when_a_spec_is_read_and_stays(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, "choose", lambda: kind)
    spec = spec_with(features="pretrained")
    assert (spec.features.kind, spec.features_chosen) == (kind, kind)
    monkeypatch.setattr(pretrained, "choose", lambda: "inception")
    again = parse(Spec, spec.model_dump(mode="json"), "spec")
    assert again.features == spec.features
    assert again.features_chosen == kind
    assert spec_with(features="random_network").features_chosen == ""


@pytest.mark.parametrize("ask", [None, "uniform", "spread", ["cat"], {"cat": 0.7, "dog": 0.3}])
def test_a_way_to_ask_that_is_written_can_be_read(ask: object) -> None:
    attack = {"kind": "fidelity", "architecture": "sngan", "query_budget": 500, "ask": ask}
    spec = spec_with(attacks=[attack], ask="uniform" if ask == "spread" else ask, target=OF_CLASSES)
    written = spec.model_dump(mode="json")
    assert parse(Spec, written, "spec") == spec
    if ask == "uniform":
        assert (written["ask"], written["attacks"][0]["ask"]) == ("uniform", "uniform")
    else:
        assert ("ask" in written, "ask" in written["attacks"][0]) == (ask is not None,) * 2
    assert ("ask" in spec.attacks[0].said()) == (ask is not None)


def test_an_empty_way_to_ask_is_refused() -> None:
    attack = {"kind": "fidelity", "architecture": "sngan", "query_budget": 5, "ask": {}}
    for changes in ({"ask": {}}, {"attacks": [attack]}):
        with pytest.raises(SpecError, match=r"ask: must be uniform, spread, .* a list of conditions"):
            spec_with(**changes)
