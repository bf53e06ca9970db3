"""Attacks that send codes by a law of their own: what a spec refuses, and who shares a purchase."""

import pytest
from spec_samples import OF_CLASSES

from ganguard.audit.plan.plan import make_plan
from ganguard.audit.spec.spec import Spec
from ganguard.base.errors import SpecError
from ganguard.base.settings import parse

ATTACK = {"kind": "fidelity", "architecture": "sngan", "query_budget": 40, "steps": 5, "n_dis": 1}
NARROW = {**ATTACK, "ask": {"prior": {"kind": "truncated", "bound": 1}}}
SEMANTIC = {"kind": "semantic_interpolation", "attribute": "slant", "amount": 2}


def spec(**changes: object) -> Spec:
    said = {
        "target": {"train": {"dataset": "digits", "architecture": "sngan", "steps": 5, "n_dis": 1}},
        "real": "digits",
        "features": "random_network",
        "codes": "client",
        "attacks": [ATTACK, NARROW],
        **changes,
    }
    return parse(Spec, said, "spec")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"codes": "provider"}, "prior is of codes that the client sends.* Set codes: client"),
        ({"ask": {"prior": "uniform"}}, r"ask: is how the auditor asks.* `ask: \{prior: …\}` of an attack"),
        (
            {"attacks": [{**NARROW, "kind": "distillation"}]},
            "distillation's copy draws N.* truncated codes. Leave `prior` out",
        ),
        ({"ask": "coreset"}, r"ask: is how the auditor asks.* `ask: \{choose: …\}` of an attack"),
        ({"ask": "conditions"}, "ask: is how the auditor asks, in fixed shares. Set `ask: conditions` of an"),
        (
            {"codes": "provider", "attacks": [{**ATTACK, "ask": {"choose": "coreset", "pilot": 9}}]},
            "choose is of codes that the client sends.* Set codes: client",
        ),
        (
            {"attacks": [{**ATTACK, "ask": "uncertainty"}]},
            "uncertainty asks with codes at random for its first 200 images, and query_budget of 40 pays for "
            r"40. Raise it, or set ask: \{choose: uncertainty, pilot: 20\}",
        ),
        ({"attacks": [{**ATTACK, "ask": {"prior": "cauchy"}}]}, "must be one of normal, sphere"),
        (
            {"defences": [{"kind": "linear_interpolation"}], "adversaries": ["naive", "code_pairs"]},
            "code_pairs sends codes of the target's own prior again and again, and fidelity sngan, asks with "
            r"truncated \(bound 1\) codes sends others",
        ),
        (
            {
                "target": OF_CLASSES,
                "attacks": [{**ATTACK, "ask": {"choose": "conditions", "pilot": 9}}],
                "defences": [{"kind": "gaussian_noise", "std": 0.1, "randomness": "per_request"}],
                "adversaries": ["naive", {"kind": "denoising", "method": "noise2noise"}],
            },
            "denoising keeps several answers to each code",
        ),
        (
            {"defences": [SEMANTIC], "adversaries": ["naive", "reweighting"]},
            "reweighting takes codes to be of the target's own prior",
        ),
    ],
)
def test_what_cannot_be_combined_is_refused_in_a_line(changes: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said) as raised:
        spec(**changes)
    assert "\n" not in str(raised.value)


def test_distillation_may_choose_codes_and_conditions_need_no_client() -> None:
    chosen = {"choose": "coreset", "pilot": 9}
    assert spec(attacks=[{**ATTACK, "kind": "distillation", "ask": chosen}]).attacks[0].ask
    by_class = {**ATTACK, "ask": {**chosen, "choose": "conditions"}}
    assert spec(codes="provider", target=OF_CLASSES, attacks=[by_class])


def test_each_law_has_a_purchase_of_its_own() -> None:
    plain = make_plan(spec(attacks=[ATTACK])).purchases
    both = make_plan(spec(attacks=[ATTACK, NARROW, {**NARROW, "steps": 6}])).purchases
    assert len(both) == 2
    assert both[0].purchase.settings.said() == plain[0].purchase.settings.said()
    assert both[0].purchase.name != both[1].purchase.name and both[0].replay.name != both[1].replay.name
    assert both[0].purchase.settings.said() != both[1].purchase.settings.said()


def test_a_spec_says_it_as_it_was_read() -> None:
    found = spec()
    assert parse(Spec, found.model_dump(mode="json"), "spec") == found
    assert [label for label, _ in found.labelled_attacks()] == [
        "fidelity sngan",
        "fidelity sngan, asks with truncated (bound 1) codes",
    ]
