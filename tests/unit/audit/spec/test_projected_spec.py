"""Copies with a projected D in a spec: what is refused before anything is bought, and what the plan says."""

from typing import Any

import pytest

from ganguard.audit.plan.adversary_work import SubstituteSettings
from ganguard.audit.plan.independent_work import IndependentSettings
from ganguard.audit.plan.plan import make_plan
from ganguard.audit.plan.step import StepSettings
from ganguard.audit.spec.spec import Spec
from ganguard.base.errors import SpecError
from ganguard.base.settings import parse
from ganguard.metrics.features.random_network import RandomNetwork

LOOKS = {"kind": "projected", "features": {"kind": "random_network", "seed": 1}}
PLAIN = {"kind": "fidelity", "architecture": "sngan", "query_budget": 60, "steps": 5, "n_dis": 1}
COPY: dict[str, Any] = {**PLAIN, "discriminator": LOOKS}
RECIPE = {"architecture": "sngan", "steps": 5, "discriminator": LOOKS}
TRAIN = {"dataset": "digits", "architecture": "sngan", "steps": 5, "n_dis": 1}


def spec(**changes: object) -> Spec:
    said = {
        "target": {"train": TRAIN},
        "real": "digits",
        "features": "random_network",
        "attacks": [COPY],
        **changes,
    }
    return parse(Spec, said, "spec")


def looking(network: object) -> dict[str, Any]:
    return {**COPY, "discriminator": {**LOOKS, "features": network}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"attacks": [looking("random_network")]}, "random_network is the network that grades the copies"),
        (
            {"attacks": [looking({"kind": "random_network", "dimensions": 63})]},  # of the same maps
            "random_network is the network that grades the copies",
        ),
        (
            {
                "attacks": [looking("efficientnet_lite0")],
                "features": {"kind": "efficientnet_lite0", "size": 256},
            },
            "efficientnet_lite0 is the network that grades the copies",
        ),
        ({"attacks": [looking("classifier")]}, "classifier gives no feature maps"),
        ({"attacks": [looking("inception")]}, "inception gives no feature maps"),
        ({"attacks": [looking("vgg")]}, "discriminator.features: unknown feature network 'vgg'"),
        ({"target": {"train": {**TRAIN, "discriminator": LOOKS}}}, "whose D nobody takes over"),
        ({"attacks": [{**COPY, "kind": "accuracy_white_box"}]}, "whose D nobody takes over"),
        ({"attacks": [{**COPY, "kind": "accuracy_partial_black_box"}]}, "whose D nobody takes over"),
        ({"attacks": [{**COPY, "kind": "distillation"}], "codes": "client"}, "whose D nobody takes over"),
    ],
)
def test_what_cannot_work_or_would_flatter_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        spec(**changes)


def test_the_judge_of_a_panel_is_looked_through_by_none_of_its_recipes() -> None:
    panel = {"kind": "strongest", "query_budget": 60}
    for network in ({"seed": 2}, {"seed": 2, "dimensions": 32}):
        judged = {**RECIPE, "discriminator": {**LOOKS, "features": {"kind": "random_network", **network}}}
        with pytest.raises(SpecError, match="the panel's judge is the random_network of seed 2"):
            spec(attacks=[{**panel, "recipes": [RECIPE, judged]}])
    spec(attacks=[{**panel, "recipes": [RECIPE, {"architecture": "flow"}]}])


def test_steps_depend_on_the_network_that_d_looks_through_and_others_do_not_name_any() -> None:
    plan = make_plan(spec(attacks=[COPY, PLAIN]))
    found: dict[str, StepSettings] = {step.name: step.settings for step in plan.steps}
    copies = [settings for settings in found.values() if isinstance(settings, SubstituteSettings)]
    honest = [settings for settings in found.values() if isinstance(settings, IndependentSettings)]
    names = [step.name for step in plan.steps if isinstance(step.settings, IndependentSettings)]
    assert names == ["independent sngan, projected, seed 0", "independent sngan, seed 0"]
    network = RandomNetwork(seed=1)
    assert [settings.networks() for settings in copies] == [(network,), ()]
    assert [settings.networks() for settings in honest] == [(network,), ()]
    assert ["projected" in settings.said() for settings in (*copies, *honest)] == [True, False] * 2
    assert any("fidelity sngan, projected" in name for name in found)
