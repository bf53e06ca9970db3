"""With a network that others have, an audit gives the units that they publish beside its own."""

from pathlib import Path

import pytest
from feature_networks import save_clip
from test_tiny_audit import ATTACK, run

PUBLISHED = {"frechet_distance_unscaled", "kid", "cmmd"}


@pytest.mark.slow
def test_published_units_stand_in_results_and_report(tmp_path: Path) -> None:
    network = {"kind": "clip", "model": str(save_clip(tmp_path / "clip"))}
    attack = {**ATTACK, "query_budget": [70]}
    directory = tmp_path / "audit"
    results, _ = run(directory, features=network, attacks=[attack], seeds=[0], samples=120)
    found = {(m.subject, m.against, m.metric) for m in results.measurements}
    for subject, against in (("target", "reference"), ("substitute", "target"), ("substitute", "reference")):
        assert {(subject, against, metric) for metric in PUBLISHED} <= found
    assert ("substitute", "nothing", "vendi_score") in found
    page = (directory / "report.html").read_text()
    assert all(title in page for title in ("KID", "CMMD", "Vendi score", "Fréchet distance, unscaled"))


@pytest.mark.slow
def test_a_network_of_ones_own_has_no_published_units(tmp_path: Path) -> None:
    attack = {**ATTACK, "query_budget": [70]}
    results, _ = run(tmp_path, features="random_network", attacks=[attack], seeds=[0], samples=120)
    assert not {m.metric for m in results.measurements} & {*PUBLISHED, "vendi_score"}
