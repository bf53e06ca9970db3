"""Audits by the panel of recipes, end to end."""

from pathlib import Path
from typing import Any

import pytest

from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.base.errors import SpecError
from ganguard.base.settings import parse
from ganguard.report.words import headline

HOW = {"architecture": {"kind": "sngan", "width": 8}, "steps": 4, "batch_size": 16, "n_dis": 1}
FLOW = {"architecture": {"kind": "flow", "width": 8, "solver_steps": 2}, "steps": 4, "batch_size": 16}
PANEL = {"kind": "strongest", "query_budget": [60, 200], "recipes": [FLOW, HOW], "looks": 1}
SPEC: dict[str, Any] = {
    "target": {"train": {"dataset": "digits", **HOW, "steps": 8}},
    "real": "digits",
    "features": {"kind": "classifier", "steps": 60},
    "seeds": [0],
    "samples": 300,
    "even_if": "target_broken",
}


def test_the_panel_has_one_line_of_copies_and_says_what_it_tried(tmp_path: Path) -> None:
    spec = parse(Spec, {**SPEC, "attacks": [PANEL]}, "spec")
    results = audit("panel", spec, tmp_path, processes=1, listener=lambda event: None)
    assert results.failures == ()
    assert [(attack.label, attack.architecture) for attack in results.attacks] == [
        ("strongest", "flow, sngan")
    ]
    assert [(panel.query_budget, panel.seed) for panel in results.panels] == [(60, 0), (200, 0)]
    assert all(panel.chosen == scores(panel).index(min(scores(panel))) for panel in results.panels)
    assert {record.label: record.attacks for record in results.independent} == {
        "flow": ("strongest",),
        "sngan": ("strongest",),
    }
    assert "never saw it" in headline(results).lead
    assert [account.bought for account in results.accounts if account.role == "adversary"] == [200]
    text = (tmp_path / "report.html").read_text()
    assert "What the strongest adversary tried" in text and "2. sngan" in text
    again = audit("panel", spec, tmp_path, processes=1, listener=lambda event: None)
    assert again.panels == results.panels


def scores(panel: Any) -> list[float]:
    return [each.score for each in panel.tried]


def test_an_audit_that_names_no_attack_is_by_the_panel() -> None:
    default = parse(Spec, SPEC, "spec")
    assert [(attack.kind, attack.query_budget) for attack in default.attacks] == [
        ("strongest", 200),
        ("strongest", 1000),
        ("strongest", 5000),
    ]
    for said in ("strongest", ["strongest"]):
        assert parse(Spec, {**SPEC, "attacks": said}, "spec") == default
    assert parse(Spec, default.model_dump(mode="json"), "spec") == default


def test_a_purchase_that_averaging_makes_too_small_is_refused() -> None:
    behind = {
        "attacks": [PANEL],
        "codes": "client",
        "defences": ["none", {"kind": "gaussian_noise", "std": 0.1}],
        "adversaries": ["naive", {"kind": "averaging", "copies": 8}],
    }
    with pytest.raises(
        SpecError, match="query_budget of 60 does not pay for the 50 images that strongest needs of 8"
    ):
        parse(Spec, {**SPEC, **behind}, "spec")


@pytest.mark.slow
def test_the_panel_trains_through_a_defence_where_a_recipe_can(tmp_path: Path) -> None:
    behind = {
        "attacks": [{**PANEL, "query_budget": 200}],
        "defences": ["none", {"kind": "gaussian_noise", "std": 0.1}],
        "adversaries": ["naive", "through_defence"],
    }
    spec = parse(Spec, {**SPEC, **behind}, "spec")
    results = audit("panel", spec, tmp_path, processes=1, listener=lambda event: None)
    assert results.failures == ()
    assert {(panel.defence is None, panel.adversary) for panel in results.panels} == {
        (True, None),
        (False, "naive"),
        (False, "through it"),
    }
