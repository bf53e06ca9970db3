"""The analysis of benchmarks/r5.py: intervals, Holm, and the rule for the default, on cells made up here."""

import importlib
import json
import math
from pathlib import Path
from types import ModuleType

import pytest
from scipy import stats

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def part(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module(name)


@pytest.fixture
def r5(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return part("r5_experiment.tables", monkeypatch)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> object:
    return part("r5_experiment.targets", monkeypatch).QUICK


def test_holm_corrects_p_by_rank_and_never_reverses_them(r5: ModuleType) -> None:
    family = {arm: r5.Found((0.0, 0.0), p) for arm, p in {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.9}.items()}
    assert {arm: found.p for arm, found in r5.holm(family).items()} == pytest.approx(
        {"a": 0.04, "c": 0.09, "b": 0.09, "d": 0.9}
    )


def test_an_interval_is_that_of_students_t(r5: ModuleType) -> None:
    logs = [-0.3, -0.2, -0.25, -0.28, -0.15]
    found = r5.of_targets(logs)
    test = stats.ttest_1samp(logs, 0)
    low, high = test.confidence_interval(0.95)
    assert found.interval == pytest.approx((math.exp(low), math.exp(high)))
    assert found.p == pytest.approx(test.pvalue)
    assert found.verdict == "helps" and r5.of_targets([-x for x in logs]).verdict == "hurts"
    assert r5.of_targets([0.0, 0.0]).verdict == "undecided"


def _cells(place: Path, better: float) -> None:
    """Write cells in which `crossed` is `better` times `judge`, about, and the others change nothing."""
    for seed in range(5):
        for kind in ("early-2", "imbalanced"):
            noise = math.exp(0.01 * ((seed * 7) % 5 - 2))
            ratios = {
                arm: dict.fromkeys(("reference", "train"), noise) for arm in ("quarter", "half", "within")
            }
            ratios["judge"] = dict.fromkeys(("reference", "train"), 0.9 / noise)
            ratios["crossed"] = dict.fromkeys(("reference", "train"), 0.9 * better * noise)
            file = place / str(seed) / "cells" / f"{kind}-40.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"ratios": ratios}))


def test_the_rule_for_the_default_and_the_tables(r5: ModuleType, quick: object, tmp_path: Path) -> None:
    _cells(tmp_path, better=0.8)
    cells = r5.cells(tmp_path, range(5), quick)
    assert set(cells) == {("early-2", 40), ("imbalanced", 40)}
    verdict = r5.crossed_against_judge(cells)
    assert verdict.verdict == "helps" and verdict.mean == pytest.approx(0.8, rel=0.02)
    said = r5.of_cell(cells["early-2", 40], "reference")
    assert (said["crossed"].verdict, said["quarter"].verdict) == ("helps", "undecided")
    assert r5.over_kinds(cells, 0, "train")["judge"].verdict == "helps"
    text = "\n".join(r5.lines(cells))
    assert "copies are worth training in: early-2 m 40 crossed, imbalanced m 40 crossed" in text
    assert "0.72" in text and "all kinds" in text

    _cells(tmp_path, better=1.0)
    assert r5.crossed_against_judge(r5.cells(tmp_path, range(5), quick)).verdict == "undecided"


def test_a_cell_without_one_of_its_targets_says_so(r5: ModuleType, quick: object, tmp_path: Path) -> None:
    _cells(tmp_path, better=1.0)
    file = tmp_path / "3" / "cells" / "early-2-40.json"
    found = json.loads(file.read_text())
    del found["ratios"]["half"]
    file.write_text(json.dumps(found))
    cells = r5.cells(tmp_path, range(5), quick)
    assert len(r5.of_cell(cells["early-2", 40], "reference")["half"].logs) == 4
    assert len(r5.over_kinds(cells, 0, "reference")["half"].logs) == 4


@pytest.mark.slow
def test_every_part_runs_in_miniature_and_nothing_runs_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, targets, arms = (
        part(f"r5{of}", monkeypatch) for of in ("", "_experiment.targets", "_experiment.arms")
    )
    monkeypatch.setattr(targets, "FASHION", tmp_path / "absent")  # not every machine has it
    run.main(["--quick", "--work", str(tmp_path)])
    said = capsys.readouterr().out
    assert "| early-2 | 40 |" in said and "| imbalanced | 40 |" in said
    assert len(list(tmp_path.glob("*/cells/*.json"))) == 4
    monkeypatch.setattr(targets, "train_generator", lambda *a, **k: pytest.fail("trained again"))
    monkeypatch.setattr(arms, "cell", lambda *a, **k: pytest.fail("measured again"))
    run.main(["--quick", "--work", str(tmp_path)])
    assert capsys.readouterr().out == said[said.index("\nFD to the reference") :]
