"""An audit in which one adversary learns from the codes that it sends: what is bought, and what is said."""

from pathlib import Path
from typing import Any

import pytest
from doctored import NETWORK, SPEC, run

from ganguard.base.compute import Compute
from ganguard.results.records import read_results
from ganguard.targets.checkpoint import CheckpointTarget

BY_CODES = {"kind": "distillation", "query_budget": 40, "pair_weight": 50, **NETWORK}
OTHER_CODES = {"kind": "fidelity", "query_budget": 40, **NETWORK}
OTHER_CODES = OTHER_CODES | {"architecture": {"kind": "dcgan", "width": 4, "latent_dim": 9}}
MEASURED = ("code_l1", "code_ssim", "code_feature_distance")


def opened(checkpoint: Path) -> Any:
    return CheckpointTarget(checkpoint=str(checkpoint)).load(Compute(device="cpu", threads=1))


def test_copies_are_measured_code_by_code_for_no_further_query(tmp_path: Path) -> None:
    run(tmp_path / "plain", codes="client", independent="off")
    attacks = [*SPEC["attacks"], BY_CODES, OTHER_CODES]
    run(tmp_path / "codes", codes="client", independent="off", attacks=attacks)
    before, results = (read_results(tmp_path / name) for name in ("plain", "codes"))
    assert results.accounts == before.accounts
    assert not before.select(against="code")
    found = results.select(against="code", subject="substitute")
    # The placebo, which learnt from images alone, and the adversary that learnt from codes.
    assert [(m.attack, m.metric) for m in found] == [
        (attack, metric) for attack in ("fidelity dcgan", "distillation dcgan") for metric in MEASURED
    ]
    assert [m.metric for m in results.select(against="code", subject="target")] == list(MEASURED)
    assert [m for m in results.measurements if (m.attack, m.against) == ("fidelity dcgan", "target")] == [
        m for m in before.measurements if (m.attack, m.against) == ("fidelity dcgan", "target")
    ]
    _equals_the_checkpoints(tmp_path / "codes", found[3].value)
    plain, page = ((tmp_path / name / "report.html").read_text() for name in ("plain", "codes"))
    assert "Functional fidelity" in page and "unrelated codes" in page
    assert "Functional fidelity" not in plain
    assert "single images are not compared" in plain and "single images are not compared" not in page


def _equals_the_checkpoints(audit: Path, value: float) -> None:
    """What was measured lies near what the checkpoints give on other codes."""
    target = opened(audit / "checkpoints" / "target")
    (copy,) = (audit / "checkpoints").glob("distillation*")
    codes = target.draw_latents(range(400), seed=77)
    images, theirs = opened(copy).generate(codes), target.generate(codes)
    assert (images.double() - theirs.double()).abs().mean().item() * 2 / 255 == pytest.approx(value, rel=0.1)
