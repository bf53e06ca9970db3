"""An audit of photographs in colour: what only large images are measured by comes out, too."""

from pathlib import Path

import pytest
from doctored import run

from ganguard.results.records import read_results

pytestmark = pytest.mark.slow


def test_photographs_are_judged_by_how_natural_they_look(tmp_path: Path) -> None:
    photos = {"kind": "photo_patches", "count": 400, "size": 32}
    network = {"architecture": {"kind": "dcgan", "width": 4}, "steps": 4, "batch_size": 16}
    attack = {"kind": "fidelity", "query_budget": 40, **network}
    target = {"train": {"dataset": photos, **network}}
    run(tmp_path, real=photos, target=target, attacks=[attack], samples=60, independent="off")
    results = read_results(tmp_path)
    scores = {m: {s.subject: s.value for s in results.select(metric=m)} for m in ("piqe", "niqe")}
    assert scores["piqe"].keys() == {"substitute", "target", "real", "noise"}
    assert {"real", "noise"} <= scores["niqe"].keys()
    assert scores["niqe"]["noise"] > 2 * scores["niqe"]["real"]
    assert "NIQE" in (tmp_path / "report.html").read_text()
