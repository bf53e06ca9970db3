"""The table of verdicts says of each where it was found, and has those that several audits share."""

from collections.abc import Callable
from pathlib import Path

import pytest
from report_samples import make_results
from side_by_side_samples import ATTACKS, audit_of, audits_by_factors

from ganguard.base.cache import write_json
from ganguard.base.errors import DataError
from ganguard.report.every_verdict import COLUMNS, as_lines, as_markdown, every_verdict
from ganguard.results.records import Verdict, write_results
from ganguard.results.side_by_side.files import FILE

Cli = Callable[..., tuple[int, str, str]]

HOLDS = Verdict(
    relation="R1",
    statement="a | b is below 1",
    outcome="holds",
    reason="the 95 % interval excludes 1",
    seeds=5,
    ratio=0.5,
    low=0.4,
    high=0.625,
    corrected_low=0.375,
    corrected_high=0.75,
)
WITHHELD = Verdict(
    relation="R2", statement="c is below 1", outcome="undecided", reason="withheld: weak", seeds=3
)


def audit(directory: Path, *verdicts: Verdict, name: str = "mine", real: str = "digits") -> Path:
    results = make_results()
    results = results.model_copy(update={"verdicts": verdicts, "name": name, "real": real})
    directory.mkdir()
    write_results(results, directory)
    return directory


def test_each_verdict_stands_with_its_data_and_target_by_relation(tmp_path: Path) -> None:
    one = audit(tmp_path / "one", WITHHELD, HOLDS)
    two = audit(tmp_path / "two", HOLDS, name="other", real="faces")
    found = every_verdict([one, two])
    assert [(each.verdict.relation, each.audit, each.data) for each in found] == [
        ("R1", "mine", "digits"),
        ("R1", "other", "faces"),
        ("R2", "mine", "digits"),
    ]
    target = make_results().target.description
    assert found[0].cells[3:] == (
        target,
        "a | b is below 1",
        "0.500 (0.400 to 0.625; corrected 0.375 to 0.750)",
        "5 seeds",
        "holds",
    )
    assert found[2].cells[5:] == ("–", "3 seeds", "undecided: withheld: weak")


def test_a_line_of_markdown_has_a_cell_for_each_column(tmp_path: Path) -> None:
    lines = as_markdown(every_verdict([audit(tmp_path / "one", HOLDS, WITHHELD)])).splitlines()
    assert len(lines) == 4
    assert {line.replace(r"\|", "").count("|") for line in lines} == {len(COLUMNS) + 1}
    assert r"a \| b" in lines[2]


def test_lines_name_a_relation_and_an_audit_once(tmp_path: Path) -> None:
    one = audit(tmp_path / "one", HOLDS, HOLDS.model_copy(update={"statement": "d"}), WITHHELD)
    two = audit(tmp_path / "two", HOLDS, name="other")
    lines = as_lines(every_verdict([one, two]))
    assert [line for line in lines if not line.startswith(" ")] == ["R1", "R2"]
    assert sum(line.startswith("  mine (data: digits; target: ") for line in lines) == 2  # under R1, under R2
    assert "    d: holds, 0.500 (0.400 to 0.625; corrected 0.375 to 0.750); 5 seeds" in lines


def test_audits_side_by_side_give_their_own_verdicts_and_the_common_ones(tmp_path: Path) -> None:
    together = audits_by_factors((1.0, 2.0, 3.0), (2.0, 1.0, 3.0))
    for i, line in enumerate(together.lines):
        results = audit_of(dict(zip(ATTACKS, (1.0, 2.0, 3.0), strict=True)), 5, i)
        (tmp_path / line.audit).mkdir()
        write_results(
            results.model_copy(update={"verdicts": (HOLDS,), "name": line.audit}), tmp_path / line.audit
        )
    write_json(tmp_path / FILE, together.model_dump(mode="json"))
    found = every_verdict([tmp_path])
    own = [each for each in found if each.audit != together.name]
    assert [each.audit for each in own] == [line.audit for line in together.lines]
    common = [each.verdict for each in found if each.audit == together.name]
    assert common == [*together.ratios, *together.verdicts]
    assert {each.target for each in found if each.audit == together.name} == {"2 targets"}


def test_audits_side_by_side_on_accuracy_are_not_said_twice(tmp_path: Path) -> None:
    """Their common records are each audit's own again, before the correction."""
    together = audits_by_factors((1.0, 2.0, 3.0), (2.0, 1.0, 3.0)).model_copy(update={"question": "accuracy"})
    for line in together.lines:
        audit(tmp_path / line.audit, HOLDS, name=line.audit)
    write_json(tmp_path / FILE, together.model_dump(mode="json"))
    found = every_verdict([tmp_path])
    assert [each.audit for each in found] == [line.audit for line in together.lines]
    with pytest.raises(DataError, match="is named twice"):
        every_verdict([tmp_path, tmp_path / together.lines[0].audit])


def test_the_command_prints_it_and_refuses_what_is_no_audit(cli: Cli, tmp_path: Path) -> None:
    one = audit(tmp_path / "one", HOLDS)
    code, out, _ = cli("verdicts", str(one))
    assert (code, out.splitlines()[0]) == (0, "R1")
    code, out, _ = cli("verdicts", str(one), "--markdown")
    assert code == 0 and out == as_markdown(every_verdict([one]))
    assert cli("verdicts", str(audit(tmp_path / "none")))[1].startswith("No verdict: ")
    code, _, err = cli("verdicts", str(one), str(tmp_path / "absent"))
    assert code == 2 and "absent/results.json: no such file" in err and err.count("\n") == 1
    code, _, err = cli("verdicts", str(one), f"{one}/")
    assert code == 2 and "is named twice" in err
