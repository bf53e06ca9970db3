"""What adversaries that undo one kind of defence refuse, before anything is done, and what they share."""

import pytest

from ganguard.audit.plan.plan import make_plan
from ganguard.audit.spec.adversaries import parse_adversaries
from ganguard.audit.spec.spec import Spec
from ganguard.base.errors import SpecError
from ganguard.base.settings import parse
from ganguard.defences.protocol import parse_chain

ATTACK = {"kind": "fidelity", "architecture": "sngan", "query_budget": 40, "steps": 5, "n_dis": 1}
SEMANTIC = {"kind": "semantic_interpolation", "attribute": "slant", "amount": 2}
NOISE = {"kind": "gaussian_noise", "std": 0.1}
FRESH = {**NOISE, "randomness": "per_request"}
LINEAR = {"kind": "linear_interpolation"}
AGAIN = {"kind": "denoising", "method": "noise2noise"}


def spec(**changes: object) -> Spec:
    said = {
        "target": {"train": {"dataset": "digits", "architecture": "sngan", "steps": 5, "n_dis": 1}},
        "real": "digits",
        "features": "random_network",
        "attacks": [ATTACK],
        **changes,
    }
    return parse(Spec, said, "spec")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"defences": [NOISE], "adversaries": ["reweighting"]},
            r"reweighting can do nothing behind gaussian noise 0\.1: it knows the law .* elsewhere: skip",
        ),
        (
            {"defences": [[LINEAR, SEMANTIC]], "adversaries": ["reweighting"]},
            "the law of codes that semantic_interpolation alone moves",
        ),
        (
            {
                "defences": [{"kind": "semantic_interpolation", "direction": "fitted", "amount": 1}],
                "adversaries": ["reweighting"],
            },
            "the direction's attribute is not known; set attribute",
        ),
        (
            {"defences": [SEMANTIC], "adversaries": [{"kind": "reweighting", "attribute": "weight"}]},
            "unknown attribute 'weight'",
        ),
        (
            {"defences": [SEMANTIC], "adversaries": [{"kind": "reweighting", "attribute": "class:3"}]},
            "class:3 is scored by the classifier of the defence's own attribute alone",
        ),
        (
            {
                "defences": [[SEMANTIC, {**SEMANTIC, "attribute": "thickness"}]],
                "adversaries": [{"kind": "reweighting", "attribute": "slant"}],
            },
            "along several directions; leave its attribute out",
        ),
        (
            {"defences": [{**SEMANTIC, "amount": 900}], "adversaries": ["reweighting"]},
            r"moved so far that reweighting leaves 40 images worth 2\. Set a larger query_budget",
        ),
        (
            {
                "defences": [{**SEMANTIC, "amount": 1000}],
                "adversaries": ["reweighting"],
                "attacks": [{**ATTACK, "query_budget": 2}],
            },
            r"reweighting leaves 2 images worth 0\. Set",
        ),
        (
            {"defences": [{"kind": "jpeg", "quality": 9}], "adversaries": ["denoising"]},
            "denoising can do nothing behind JPEG 9: a denoiser needs noise of each pixel by itself",
        ),
        (
            {"defences": [[NOISE, {"kind": "median_filter"}]], "adversaries": ["denoising"]},
            "gaussian_noise, and nothing after it",
        ),
        (
            {
                "defences": [NOISE],
                "adversaries": ["denoising"],
                "attacks": [{**ATTACK, "query_budget": 1}],
            },
            "query_budget of 1 is too small to learn a denoiser",
        ),
        (
            {"defences": [NOISE], "adversaries": [AGAIN], "codes": "client"},
            "the noise follows from the code, so that two answers for a code are equal",
        ),
        (
            {"defences": [[LINEAR, FRESH]], "adversaries": [AGAIN], "codes": "client"},
            "codes are moved, so that two answers for a code are of two images",
        ),
        (
            {"defences": [FRESH], "adversaries": [AGAIN]},
            "denoising sends codes again and again. Set codes: client",
        ),
        (
            {
                "defences": [FRESH],
                "adversaries": [AGAIN],
                "codes": "client",
                "attacks": [{**ATTACK, "query_budget": 41}],
            },
            "denoising sends every code 2 times, so that query_budget must be a multiple of 2; got 41",
        ),
        (
            {"defences": [LINEAR], "adversaries": ["code_pairs"]},
            "code_pairs sends codes again and again. Set codes: client",
        ),
        (
            {"defences": [NOISE], "adversaries": ["code_pairs"], "codes": "client"},
            "it sends equal codes, which undoes linear_interpolation alone",
        ),
        (
            {
                "defences": [{**LINEAR, "preserve_distribution": True}],
                "adversaries": ["code_pairs"],
                "codes": "client",
            },
            "preserve_distribution makes equal codes longer",
        ),
        (
            {
                "defences": [LINEAR],
                "adversaries": [{"kind": "code_pairs", "copies": 64}],
                "codes": "client",
            },
            "query_budget of 40 does not pay for one image of 64 copies",
        ),
        (
            {"defences": [NOISE], "adversaries": [{"kind": "reweighting", "elsewhere": "skip"}]},
            r"all of them skip gaussian noise 0\.1\. Add naive",
        ),
        (
            {
                "defences": [NOISE],
                "adversaries": [{"kind": "averaging", "copies": 257, "residual": True}],
                "codes": "client",
            },
            "residual simulates every answer in the training, at most 256; got copies 257",
        ),
    ],
)
def test_a_misfit_gets_one_line(changes: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said) as raised:
        spec(**changes)
    assert "\n" not in str(raised.value)


def test_skipped_defences_have_no_copies_and_the_others_share_one_purchase() -> None:
    skipping = [{"kind": kind, "elsewhere": "skip"} for kind in ("reweighting", "denoising")]
    found = spec(defences=[NOISE, SEMANTIC], adversaries=["naive", *skipping])
    assert [(s.defence, s.who) for s in found.scenarios()[1:]] == [
        ("gaussian noise 0.1", "naive"),
        ("gaussian noise 0.1", "denoising"),
        ("semantic interpolation slant 2", "naive"),
        ("semantic interpolation slant 2", "reweighting"),
    ]
    plan = make_plan(found)
    assert len(plan.purchases) == 3
    assert [bought.scenario.who for bought in plan.reworked] == ["denoising", "reweighting"]
    assert all(bought.purchase in [paid.purchase for paid in plan.purchases] for bought in plan.reworked)
    assert len({step.name for step in plan.steps}) == len(plan.steps)


def test_what_is_made_of_a_purchase_is_made_once_for_each_budget() -> None:
    attacks = [ATTACK, {**ATTACK, "learning_rate": 1e-3}, {**ATTACK, "query_budget": 80}]
    plan = make_plan(spec(defences=[NOISE], adversaries=["denoising"], attacks=attacks))
    assert [bought.queries for bought in plan.reworked] == [40, 80]
    assert sum(step.kind == "rework" for step in plan.steps) == 2


@pytest.mark.parametrize(
    ("said", "believed"),
    [
        ([NOISE], ["gaussian noise 0.1"]),
        ([["median_filter", NOISE]][0], ["median filter 3", "gaussian noise 0.1"]),
        ([{"kind": "jpeg", "quality": 9}], []),
        ([LINEAR, NOISE], []),
    ],
)
def test_a_residual_is_known_where_images_alone_are_changed_and_get_noise(
    said: object, believed: list[str]
) -> None:
    plain, knowing = parse_adversaries([{"kind": "averaging", "residual": [False, True]}])
    chain = parse_chain(said)
    assert [defence.label() for defence in knowing.believes(chain)] == believed
    assert plain.believes(chain) == ()
    assert plain.asking() == knowing.asking()


def test_adversaries_that_ask_alike_share_a_purchase_whoever_comes_first() -> None:
    averaging = {"kind": "averaging", "residual": [True, False]}
    plan = make_plan(spec(defences=[NOISE], adversaries=["naive", averaging], codes="client"))
    first, second = (
        "averaging 8, codes moved by 0.05, through the residual",
        "averaging 8, codes moved by 0.05",
    )
    behind = [(bought.scenario.who, bought.also) for bought in plan.purchases if bought.scenario.defence]
    assert behind == [(None, ()), (first, (second,))]
    assert len({step.name for step in plan.steps}) == len(plan.steps)


REWORKING: dict[str, object] = {
    "codes": "client",
    "defences": ["none", {"kind": "gaussian_noise", "std": 0.1}],
    "adversaries": ["naive", {"kind": "denoising"}],
}


def test_who_needs_images_as_they_were_bought_meets_no_adversary_that_makes_others() -> None:
    distillation = {"kind": "distillation", "architecture": "sngan", "query_budget": 500}
    with pytest.raises(SpecError, match="learns which code each bought image has"):
        spec(**REWORKING, attacks=[distillation])


def test_a_flow_may_hold_images_out_behind_an_adversary_that_makes_others() -> None:
    flow = {"kind": "fidelity", "architecture": "flow", "held_out": 0.1, "query_budget": 500}
    plan = make_plan(spec(**REWORKING, attacks=[flow]))
    assert len(plan.reworked) == 1


@pytest.mark.parametrize(("share", "fewest"), [(0.01, 51), (0.5, 3), (0.99, 51)])
def test_a_budget_leaves_images_to_hold_out_and_to_learn_from(share: float, fewest: int) -> None:
    flow = {"kind": "fidelity", "architecture": "flow", "held_out": share}
    with pytest.raises(SpecError, match=f"query_budget must be at least {fewest} here; got {fewest - 1}"):
        spec(attacks=[{**flow, "query_budget": fewest - 1}])
    spec(attacks=[{**flow, "query_budget": fewest}])


def test_nobody_is_graded_by_the_network_that_judges() -> None:
    grader: dict[str, object] = {"features": {"kind": "random_network", "seed": 2}}
    with pytest.raises(SpecError, match="Set another seed"):
        spec(**grader, attacks="strongest")
    spec(**grader)
