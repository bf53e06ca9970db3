"""The report's table of what adversaries made of their purchases."""

from pathlib import Path

from defence_samples import copy_of, defence, users_of

from ganguard.report.html import render
from ganguard.report.reworked import reworked_table
from ganguard.report.tables import Row
from ganguard.results.records import AuditResults
from ganguard.results.rework_record import ReworkRecord


def record(adversary: str, seed: int, **values: object) -> ReworkRecord:
    said = {"adversary": adversary, "defence": "moved", "seed": seed, "query_budget": 5000, "images": 5000}
    return ReworkRecord.model_validate({**said, "distinct": 5000, **values})


def test_means_over_seeds_stand_in_the_report(tiny_results: AuditResults, tmp_path: Path) -> None:
    reworked = (
        record("reweighting", 0, distinct=4000, effective=3900.0),
        record("reweighting", 1, distinct=3000, effective=3801.0),
        record("denoising", 0, error=0.25, query_budget=1),
    )
    results = tiny_results.model_copy(update={"reworked": reworked})
    (group,) = reworked_table(results)
    assert group.heading == "moved"
    assert group.rows == (
        Row("reweighting, 5,000 queries", ("5,000", "3,500", "3,850", "–")),
        Row("denoising, 1 query", ("5,000", "5,000", "–", "0.250")),
    )
    assert results.undefended().reworked == ()
    met = {
        "measurements": (
            users_of(3.0, None),
            users_of(3.3, "moved"),
            copy_of(2.0, 0, "moved", "reweighting"),
        ),
        "defences": (defence("moved"),),
        "adversaries": ("reweighting",),
        "pictures": (),
    }
    page = render(results.model_copy(update=met), tmp_path)
    assert "denoising, 1 query" in page
    without = render(results.model_copy(update={**met, "reworked": ()}), tmp_path)
    assert "made of their purchases before" not in without
