"""The network of an adversary's judge: its own by default, and never the one that grades."""

from pathlib import Path
from typing import Any

import pytest
import torch

from ganguard.attacks import ATTACKS
from ganguard.audit.plan.plan import make_plan
from ganguard.audit.spec.judge import JUDGE_OF_ALL
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.judge import read_judge, write_judge
from ganguard.audit.steps.knowledge import knowledge
from ganguard.audit.steps.known_files import write_known
from ganguard.base.compute import Compute
from ganguard.base.errors import MetricError, SpecError
from ganguard.base.labels import Labels
from ganguard.base.settings import parse
from ganguard.metrics.features.classifier import Classifier
from ganguard.metrics.features.network import parse_features

OWN = (torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 255).to(torch.uint8)
TWO = Labels(torch.arange(20) % 2, ("a", "b"))
SPEC: dict[str, Any] = {
    "target": {"train": {"dataset": "digits", "architecture": "sngan", "steps": 5}},
    "real": "digits",
    "features": "random_network",
    "attacks": [{"kind": "fidelity", "architecture": "sngan", "query_budget": 30, "steps": 5}],
}
QUICK = Classifier(width=4, dimensions=8, steps=3)


def _write(directory: Path, labels: Labels | None, settings: object = None, seed: int = 0) -> str:
    network = parse_features(settings) if settings else None
    return write_judge(network, directory, OWN, OWN, labels, Compute(), seed=seed)


def test_it_learns_the_classes_of_the_adversarys_images_and_each_adversary_has_its_own(
    tmp_path: Path,
) -> None:
    digests = [_write(tmp_path, TWO, QUICK, seed) for seed in (0, 1, 0)]
    assert digests[0] == digests[2] != digests[1]
    embed = read_judge(tmp_path, Compute())
    assert embed.settings == QUICK
    rows = embed(OWN)
    assert torch.allclose(rows.mean(0), torch.zeros(8), atol=1e-4)


@pytest.mark.parametrize("labels", [None, Labels(torch.zeros(20, dtype=torch.int64), ("a",))])
def test_without_classes_it_is_a_random_network_and_a_classifier_is_refused(
    tmp_path: Path, labels: Labels | None
) -> None:
    _write(tmp_path, labels)
    assert read_judge(tmp_path, Compute()).settings == JUDGE_OF_ALL
    with pytest.raises(MetricError, match="fewer than two") as raised:
        _write(tmp_path, labels, QUICK)
    assert "\n" not in str(raised.value)


def test_images_of_no_class_are_not_learnt(tmp_path: Path) -> None:
    numbers = torch.where(torch.arange(20) < 18, TWO.numbers, -1)
    assert _write(tmp_path, Labels(numbers, TWO.names), QUICK)


def test_the_judge_compares_by_its_own_network(tmp_path: Path) -> None:
    _write(tmp_path, None, {"kind": "random_network", "seed": 5})
    write_known(tmp_path, OWN[:10], OWN[10:], None)
    first = knowledge(tmp_path, None, Compute())
    _write(tmp_path, None, {"kind": "random_network", "seed": 6})
    second = knowledge(tmp_path, None, Compute())
    assert first.judge and second.judge
    assert first.judge(OWN[:10]) != second.judge(OWN[:10])
    assert first.judged_by != second.judged_by


def _plan_inputs(**changes: object) -> tuple[object, object]:
    """Return the judge's network of the known step, and whether the copy reads the audit's network."""
    attack = {"kind": "accuracy_partial_black_box", "architecture": "sngan", "query_budget": 30}
    spec = parse(Spec, {**SPEC, "attacks": [attack | {"real_fraction": 0.5}], **changes}, "spec")
    plan = make_plan(spec)
    inputs = plan.substitutes[0].train.inputs.by_role()
    return getattr(plan.known[0].settings, "judge", None), "features" in inputs


def test_the_graders_network_reaches_a_judge_only_if_the_spec_says_so() -> None:
    assert _plan_inputs() == ("own", False)
    assert _plan_inputs(judge_features="audit") == ("audit", True)
    assert _plan_inputs(judge_features="random_network") == (parse_features("random_network"), False)
    with pytest.raises(SpecError, match="unknown feature network"):
        _plan_inputs(judge_features="audti")


def test_old_specs_are_written_as_before_and_new_ones_read_again() -> None:
    spec = parse(Spec, SPEC, "spec")
    assert "judge_features" not in spec.model_dump(mode="json")
    attack = {"kind": "accuracy_white_box", "architecture": "sngan", "query_budget": 30}
    judged = {"attacks": [attack], "judge_features": {"kind": "random_network", "seed": 3}}
    own = parse(Spec, {**SPEC, **judged}, "spec")
    assert parse(Spec, own.model_dump(mode="json"), "spec") == own


GAN = {"architecture": "sngan", "query_budget": 60}
JUDGING = ("accuracy_partial_black_box", "accuracy_white_box")
ATTACKS_OF: dict[str, Any] = {
    "strongest": {"kind": "strongest", "query_budget": 60},
    "distillation": {"kind": "distillation", **GAN},
    "fidelity": {"kind": "fidelity", **GAN},
    "sorted_fidelity": {"kind": "sorted_fidelity", **GAN},
    "transfer": {"kind": "transfer", **GAN, "domain": {"kind": "digits"}},
    **{kind: {"kind": kind, **GAN} for kind in JUDGING},
}


def test_every_attack_that_buys_is_tried_here() -> None:
    assert set(ATTACKS.table()) - {"given", "found"} == set(ATTACKS_OF)


@pytest.mark.parametrize("judge", ["audit", "random_network", "classifier"])
@pytest.mark.parametrize("kind", ATTACKS_OF)
def test_a_judges_network_is_refused_where_no_attack_judges_by_real_images(kind: str, judge: str) -> None:
    values = {**SPEC, "attacks": [ATTACKS_OF[kind]], "codes": "client"}
    parse(Spec, {**values, "judge_features": "own"}, "spec")
    if kind in JUDGING:
        parse(Spec, {**values, "judge_features": judge}, "spec")
        return
    with pytest.raises(SpecError, match=r"judge_features is of adversaries that judge by .* none") as raised:
        parse(Spec, {**values, "judge_features": judge}, "spec")
    assert all(named in str(raised.value) for named in JUDGING) and "\n" not in str(raised.value)
