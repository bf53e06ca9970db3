"""Audits in which copies, or the target, are rectified flows, which have no discriminator."""

from pathlib import Path
from typing import Any

import pytest

from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.base.errors import InputError
from ganguard.base.settings import parse
from ganguard.queries.ledger import Ledger
from ganguard.results.records import AuditResults

FLOW = {"kind": "flow", "width": 8, "solver_steps": 3}
HOW = {"query_budget": 200, "steps": 6, "batch_size": 16}
COPY = {"kind": "fidelity", "architecture": FLOW, **HOW}
SPEC: dict[str, Any] = {
    "target": {
        "train": {
            "dataset": "digits",
            "architecture": {"kind": "sngan", "width": 8, "classes": 10},
            "steps": 8,
            "batch_size": 16,
            "n_dis": 1,
        }
    },
    "real": "digits",
    "features": {"kind": "classifier", "steps": 60},
    "seeds": [0, 1],
    "samples": 300,
    "even_if": "target_broken",
}
OF_FLOW = {"train": {"dataset": "digits", "architecture": FLOW, "steps": 6, "batch_size": 16}}


def run(directory: Path, **changes: object) -> AuditResults:
    spec = parse(Spec, {**SPEC, **changes}, "spec")
    return audit("flow", spec, directory, processes=1, listener=lambda event: None)


@pytest.mark.slow
def test_copies_that_are_flows_are_measured_beside_honest_ones(tmp_path: Path) -> None:
    with_labels = {**COPY, "architecture": {**FLOW, "classes": 10}}
    partial = {**COPY, "kind": "accuracy_partial_black_box", "real_steps": 4, "judge_every": 4}
    results = run(tmp_path, attacks=[COPY, with_labels, partial])
    assert results.failures == ()
    labels = [attack.label for attack in results.attacks]
    assert labels[:2] == ["fidelity flow", "fidelity flow with labels"]
    for label in labels:
        found = results.select(attack=label, metric="frechet_distance", against="target")
        assert {m.seed for m in found} == {0, 1}
    assert {record.label for record in results.independent} == {"flow", "flow with labels"}
    assert results.select(attack=labels[1], metric="intra_fd", against="target")
    assert [v.relation for v in results.verdicts if v.relation == "R8"] == ["R8"]
    assert (tmp_path / "report.html").is_file()


@pytest.mark.slow
def test_a_flow_is_a_target_like_any_other(tmp_path: Path) -> None:
    gan = {**COPY, "architecture": {"kind": "sngan", "width": 8}, "n_dis": 1}
    results = run(tmp_path, target=OF_FLOW, attacks=[gan], codes="client")
    assert results.failures == ()
    assert results.select(attack="fidelity sngan", metric="frechet_distance", against="target")


def test_no_white_box_is_bought_for_against_a_target_without_a_discriminator(tmp_path: Path) -> None:
    white_box = {
        **COPY,
        "kind": "accuracy_white_box",
        "architecture": {"kind": "sngan", "width": 8},
        "n_dis": 1,
    }
    with pytest.raises(InputError, match="needs the target's discriminator, and this target has none"):
        run(tmp_path, target=OF_FLOW, attacks=[white_box])
    if (tmp_path / "ledger.sqlite").exists():
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            assert ledger.accounts() == []


@pytest.mark.slow
def test_a_flow_trains_through_defences_of_codes_and_of_images(tmp_path: Path) -> None:
    """It has no D that could look through them. Each adversary has a copy of its own, of one purchase."""
    noise, moves = {"kind": "gaussian_noise", "std": 0.4}, {"kind": "linear_interpolation", "weight": 0.5}
    changes = {"defences": [noise, [moves, noise]], "adversaries": ["naive", "through_defence"]}
    held = {**COPY, "held_out": 0.1, "held_out_every": 3}
    results = run(tmp_path, attacks=[held], seeds=[0], **changes)
    assert results.failures == ()
    found = results.select(subject="substitute", metric="frechet_distance", against="target", draw=0)
    assert len({(m.defence, m.adversary) for m in found}) == len({m.value for m in found}) == 5
    assert {account.bought for account in results.accounts if account.role == "adversary"} == {200}
