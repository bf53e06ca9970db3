"""What a spec says of defences and adversaries, and what comes of it."""

from pathlib import Path

import pytest

from ganguard.audit.plan.plan import make_plan
from ganguard.audit.spec.adversaries import adversary_labels
from ganguard.audit.spec.scenarios import UNDEFENDED, defended
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.purchase import adversary_account
from ganguard.base.errors import SpecError
from ganguard.base.settings import parse

ATTACK = {"kind": "fidelity", "architecture": "sngan", "query_budget": 10, "steps": 5, "n_dis": 1}


def _spec(**changes: object) -> Spec:
    said = {
        "target": {"train": {"dataset": "digits", "architecture": "sngan", "steps": 5, "n_dis": 1}},
        "real": "digits",
        "features": "random_network",
        "attacks": [ATTACK],
        **changes,
    }
    return parse(Spec, said, "spec")


def test_without_defences_there_is_one_scenario() -> None:
    assert _spec().scenarios() == [UNDEFENDED]
    assert (UNDEFENDED.defence, UNDEFENDED.who) == (None, None)


def test_none_comes_first_and_lists_are_swept() -> None:
    spec = _spec(
        defences=[
            {"kind": "gaussian_noise", "std": [0.1, 0.4]},
            ["linear_interpolation", {"kind": "jpeg", "quality": 30}],
        ],
        adversaries=["naive", {"kind": "through_defence", "scale": [0.5, 1]}],
    )
    found = [(s.defence, s.who) for s in spec.scenarios()]
    who = ["naive", "through it, guessed 0.5 times as strong", "through it"]
    behind = ["gaussian noise 0.1", "gaussian noise 0.4", "linear interpolation 0.5 + JPEG 30"]
    assert found == [(None, None), *((defence, adversary) for defence in behind for adversary in who)]


def test_what_an_adversary_believes() -> None:
    through = [
        {"kind": "through_defence", "scale": 2},
        {"kind": "through_defence", "guess": {"kind": "jpeg", "quality": 30}},
    ]
    spec = _spec(defences=[{"kind": "gaussian_noise", "std": 0.1}], adversaries=["naive", *through])
    believed = [[defence.label() for defence in s.believed] for s in spec.scenarios()]
    assert believed == [[], [], ["gaussian noise 0.2"], ["JPEG 30"]]


def test_adversaries_whose_labels_read_alike_have_accounts_of_their_own() -> None:
    spec = _spec(
        codes="client",
        defences=[{"kind": "gaussian_noise", "std": 0.1}],
        adversaries=[{"kind": "averaging", "copies": 2, "moved": [0.1, 0.10000001]}],
    )
    label = "averaging 2, codes moved by 0.1"
    assert adversary_labels(spec.adversaries) == (label, f"{label} #2")
    averaging = [scenario.asking for scenario in spec.scenarios()]
    accounts = [adversary_account("target", 0, "client", each) for each in averaging]
    assert len(set(accounts)) == len(accounts) == 3


def test_a_spec_with_defences_comes_back_from_json() -> None:
    spec = _spec(
        defences=["none", {"kind": "adversarial_noise", "budget": 8}, [{"kind": "jpeg", "quality": 9}]],
        adversaries=[{"kind": "through_defence", "guess": [{"kind": "jpeg", "quality": 9}], "scale": 0.5}],
    )
    said = spec.model_dump(mode="json")
    assert _spec(defences=said["defences"], adversaries=said["adversaries"]) == spec


def test_steps_are_named_by_what_they_depend_on() -> None:
    spec = _spec(
        defences=[{"kind": "jpeg", "quality": 9}], adversaries=["naive", {"kind": "through_defence"}]
    )
    (plain, naive, through), ground = spec.scenarios(), make_plan(spec).ground
    assert [ground.target_in(s).name for s in (plain, naive, through)] == [
        "target",
        "target behind JPEG 9",
        "target behind JPEG 9",
    ]
    assert [str(s) for s in (plain, naive, through)] == [
        "",
        " behind JPEG 9, naive",
        " behind JPEG 9, through it",
    ]
    assert str(UNDEFENDED) == ""


def test_defences_that_differ_where_their_labels_do_not_are_numbered(tmp_path: Path) -> None:
    noise = [
        {"kind": "adversarial_noise", "budget": 8, "network": {"kind": "random_network", "seed": seed}}
        for seed in (1, 2)
    ]
    for name in ("one", "other"):
        (tmp_path / name / "slant").mkdir(parents=True)
    moves = [
        {"kind": "semantic_interpolation", "direction": str(tmp_path / name / "slant"), "amount": 2}
        for name in ("one", "other")
    ]
    spec = _spec(
        defences=[*noise, *moves],
        adversaries=[{"kind": "through_defence", "guess": guess} for guess in noise],
    )
    numbered = [
        f"{label}{number}"
        for label in ("adversarial noise 8", "semantic interpolation slant 2")
        for number in ("", " #2")
    ]
    who = ["through adversarial noise 8", "through adversarial noise 8 #2"]
    assert [(s.defence, s.who) for s in spec.scenarios()[1:]] == [(d, w) for d in numbered for w in who]
    assert len({str(s) for s in spec.scenarios()}) == 9
    assert [s.defence for s in defended(spec.defences)] == numbered
    bought = [s.bought for s in spec.scenarios()[1:]]
    assert [s.defence for s in bought] == [s.defence for s in spec.scenarios()[1:]]
    assert (
        [str(s) for s in bought[::2]] == [str(s) for s in bought[1::2]] == [f" behind {d}" for d in numbered]
    )
    assert adversary_labels(spec.adversaries) == tuple(who)


def test_the_naive_need_no_defence() -> None:
    assert _spec(adversaries=["naive"]) == _spec()


MIXED = {
    "kind": "accuracy_partial_black_box",
    "schedule": "mix",
    **{k: v for k, v in ATTACK.items() if k != "kind"},
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"attacks": [ATTACK, ATTACK]}, "attacks: fidelity sngan, 10 queries, is listed twice. Remove one"),
        ({"attacks": [{**ATTACK, "query_budget": [7, 10, 7]}]}, "fidelity sngan, 7 queries, is listed twice"),
        (
            {"attacks": [{**ATTACK, "query_budget": [7, 10]}, MIXED, {**ATTACK, "query_budget": [10, 20]}]},
            "fidelity sngan, 10 queries, is listed twice",
        ),
        ({"attacks": [ATTACK, {**ATTACK, "checkpoint_every": 2}]}, "10 queries, is listed twice"),
        (
            {"attacks": [MIXED, ATTACK, MIXED]},
            "black box sngan, 10 % real mixed in, 10 queries, is listed twice",
        ),
        ({"defences": []}, "defences must be a list with at least one"),
        ({"defences": "jpeg"}, "defences must be a list"),
        ({"defences": ["jpeg"]}, "quality: this key is required"),
        ({"defences": [{"kind": "jpeg", "quality": [9, 9]}]}, "JPEG 9 is listed twice"),
        (
            {
                "defences": [
                    "none",
                    {"kind": "jpeg", "quality": list(range(1, 40)), "randomness": ["per_code"] * 30},
                ]
            },
            r"defences\.1: its lists make 1,170 combinations; at most 1,000 are taken",
        ),
        (
            {"adversaries": [{"kind": "averaging", "copies": [2] * 1000, "moved": [1, 2]}]},
            "adversaries.0: its lists make 2,000",
        ),
        (
            {"attacks": [{**ATTACK, "query_budget": [9] * 1001}]},
            "attacks.0: its lists make 1,001 combinations",
        ),
        ({"adversaries": [{"kind": "through_defence", "scale": True}]}, "scale: must be a number; got True"),
        ({"defences": [{"kind": "median_filter"}, ["median_filter"]]}, "median filter 3 is listed twice"),
        (
            {"adversaries": ["through_defence", {"kind": "through_defence", "guess": "same"}]},
            "through it is listed twice",
        ),
        ({"adversaries": []}, "adversaries must be a list"),
        ({"adversaries": ["naiv"]}, "did you mean 'naive'"),
        ({"adversaries": [{"kind": "through_defence", "scale": 0}]}, "greater than 0"),
        ({"adversaries": [{"kind": "naive", "scale": 1}]}, "scale: unknown key"),
        (
            {"adversaries": [{"kind": "through_defence", "guess": "none"}]},
            r"adversaries\.0\.guess: must be .same. or at least one",
        ),
        (
            {"adversaries": [{"kind": "through_defence", "guess": []}]},
            r"adversaries\.0\.guess: must be .same. or at least one",
        ),
        ({"adversaries": ["naive", "through_defence"]}, "there is none. Set defences, or set adversaries"),
        (
            {"adversaries": ["through_defence"], "defences": ["none"]},
            "there is none. Set defences, or set adversaries",
        ),
        (
            {
                "attacks": [MIXED],
                "defences": [{"kind": "jpeg", "quality": 9}],
                "adversaries": ["through_defence"],
            },
            "cannot train through a defence",
        ),
    ],
)
def test_a_mistake_gets_one_line(changes: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said) as raised:
        _spec(**changes)
    assert "\n" not in str(raised.value)
