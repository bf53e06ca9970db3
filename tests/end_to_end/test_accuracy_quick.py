"""The quick form of the accuracy audits, as the command line runs them: every part on real digits.
Minutes."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ganguard.cli.main import app
from ganguard.results.records import AuditResults, read_results
from ganguard.results.side_by_side.files import read_together

pytestmark = pytest.mark.slow  # all in one process, which makes the audit that they read

AUDITS = ("digits-accuracy-good-quick", "digits-accuracy-early-quick")
KNOWN = ("10 % real mixed in", "10 % real", "50 % real")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("accuracy") / "quick"
    said = CliRunner().invoke(app, ["audit", "digits-accuracy", "--quick", "--out", str(found)])
    assert said.exit_code == 0, said.output
    return found


@pytest.fixture(scope="module", params=AUDITS)
def results(directory: Path, request: pytest.FixtureRequest) -> AuditResults:
    return read_results(directory / request.param)


def test_a_good_target_and_one_stopped_early_lie_side_by_side(directory: Path) -> None:
    together = read_together(directory)
    assert [line.audit for line in together.lines] == list(AUDITS)
    assert together.question == "accuracy"
    good, early = (line.to_real for line in together.lines)
    assert good is not None
    assert early is not None
    assert good.mean < early.mean
    assert all(copies.distance is not None for line in together.lines for copies in line.copies)
    assert {verdict.relation for verdict in together.verdicts} == {"R4", "R5"}


def test_every_attack_is_measured_and_none_failed(results: AuditResults) -> None:
    assert results.failures == ()
    partial = [f"accuracy partial black box sngan, {known}" for known in KNOWN]
    white = [f"accuracy white box sngan, {known}" for known in KNOWN[1:]]
    measured = {m.attack for m in results.select(subject="substitute", against="reference")}
    assert measured == {"fidelity sngan", *partial, *white}
    assert {v.relation for v in results.verdicts} == {"R2", "R4", "R5"}


def test_going_on_with_real_images_begins_as_the_copy_of_fidelity_extraction(results: AuditResults) -> None:
    looks = results.select(attack="accuracy partial black box sngan, 10 % real", against="known")
    assert {m.metric for m in looks} == {"authenticity", "nearest_distance_ratio"}
    trained = [step.name for step in results.steps if step.kind == "substitute"]
    assert not any("stolen" in name for name in trained)


def test_refining_is_diagnosed_with_classes_and_pictures(results: AuditResults, directory: Path) -> None:
    assert len(results.refinements) == 2
    for found in results.refinements:
        assert found.classes is not None
        assert sum(found.classes.before) == sum(found.classes.after) == 1000
        assert len(found.classes.before) == 10
        assert {trial.power for trial in found.tried} | set(found.stuck) >= {0.0, 0.25, 0.5}
        assert found.chosen == min(found.tried, key=lambda t: (t.score, t.power)).power
    assert "Did refining help?" in (directory / results.name / "report.html").read_text()
    assert {p.subject for p in results.pictures} >= {"kept", "dropped"} or all(
        r.chosen == 0 for r in results.refinements
    )
