"""Records of refinements: what is refused, and what is written and read back."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError
from refinement_samples import CASES, RATIO, refined, refinement, tried

from ganguard.base.cache import write_json
from ganguard.results.records import AuditResults, read_results, write_results


@pytest.mark.parametrize(
    "changes",
    [
        {"chosen": 0.75},
        {"tried": []},
        {"tried": [{**tried(0.5, 0.1), "score": 1e101}]},
        {"tried": [{**tried(0.5, 0.1), "score": float("nan")}]},
        {"ratio": {**RATIO, "auc": 1.01}},
        {"ratio": {**RATIO, "effective_sample_size": -0.1}},
        {"log_ratios": {"edges": [0, 1], "before": [1, 2], "after": [1]}},
        {"log_ratios": {"edges": [1, 0], "before": [1], "after": [1]}},
        {"classes": {"before": [1, 2], "after": [1], "plain": []}},
        {"classes": {"before": [1, 2], "after": [1, 2], "plain": [3]}},
        {"classes": {"before": [-1], "after": [1], "plain": []}},
        {"stuck": {2.0: "a power above 1"}},
        {"unknown": 1},
    ],
)
def test_what_a_record_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        refinement(**changes)


@pytest.mark.parametrize("case", CASES)
def test_what_is_written_is_read_back_and_fits_the_schema(case: str, tmp_path: Path) -> None:
    results = CASES[case]()
    write_results(results, tmp_path)
    assert read_results(tmp_path) == results
    jsonschema.validate(json.loads((tmp_path / "results.json").read_text()), AuditResults.model_json_schema())


def test_results_without_refinements_are_read_as_before(tmp_path: Path) -> None:
    write_results(refined(refinement()), tmp_path)
    said = json.loads((tmp_path / "results.json").read_text())
    del said["refinements"]
    write_json(tmp_path / "results.json", said)
    assert read_results(tmp_path).refinements == ()
