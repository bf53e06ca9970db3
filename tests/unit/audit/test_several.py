"""R3 over several audits: what differs is found, and what is noise is not, however many ratios are asked."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from report_samples import EMPTY_CELLS, draw_grids
from side_by_side_samples import audit_of

from ganguard.audit import several as run_several
from ganguard.audit.doctor import examine
from ganguard.audit.spec.reading import audits_listed
from ganguard.audit.spec.spec import Spec
from ganguard.base.cache import TEMPORARY, write_json
from ganguard.base.errors import SpecError
from ganguard.report.beside import render_beside
from ganguard.results.records import AuditResults
from ganguard.results.side_by_side import SideBySide, side_by_side
from ganguard.results.side_by_side.files import FILE

Cli = Callable[..., tuple[int, str, str]]
ATTACKS = ("fidelity sngan", "fidelity pggan", "fidelity stylegan2")


def _found(*factors: tuple[float, float, float], seeds: int = 5, stream: int = 0) -> SideBySide:
    audits = {
        f"audit {i}": audit_of(dict(zip(ATTACKS, each, strict=True)), seeds, 10 * stream + i)
        for i, each in enumerate(factors)
    }
    return side_by_side("pairs", audits)


def test_equal_substitutes_are_seldom_told_apart() -> None:
    """Nine ratios a question, of which a 95 % interval each would call one different in a third of all
    cases."""
    outcomes = [
        [verdict.outcome for verdict in _found((1, 1, 1), (1, 1, 1), (1, 1, 1), stream=s).verdicts]
        for s in range(60)
    ]
    assert sum(one == "holds" for one, _ in outcomes) <= 8
    assert sum(other == "holds" for _, other in outcomes) <= 8


def test_a_better_substitute_is_found_and_that_no_target_changes_it() -> None:
    substitutes, depends = _found((1, 1, 3), (1, 1, 3), (2, 2, 6)).verdicts
    assert (substitutes.outcome, depends.outcome) == ("holds", "undecided")
    assert substitutes.reason.startswith("6 of 9 ratios differ from 1")


def test_what_depends_on_the_target_is_found() -> None:
    assert [v.outcome for v in _found((1, 3, 3), (3, 1, 3), (3, 3, 1)).verdicts] == ["holds", "holds"]


def test_every_ratio_says_what_it_is_of() -> None:
    ratios = {ratio.statement: ratio for ratio in _found((1, 2, 2), (1, 1, 1), (1, 1, 1)).ratios}
    assert len(ratios) == 18
    one = ratios["audit 0: fidelity sngan / fidelity pggan"]
    assert one.ratio == pytest.approx(1 / 2, rel=0.2)
    assert one.low is not None
    assert one.high is not None
    assert one.low < one.ratio < one.high
    two = ratios["fidelity sngan / fidelity pggan, of audit 0 / of audit 1"]
    assert two.ratio == pytest.approx(1 / 2, rel=0.3)


def test_one_seed_decides_nothing() -> None:
    found = _found((1, 9, 9), (1, 1, 1), seeds=1)
    assert {verdict.outcome for verdict in (*found.verdicts, *found.ratios)} == {"undecided"}
    assert all("no interval" in verdict.reason for verdict in found.verdicts)


def test_the_largest_budget_that_all_have_is_compared() -> None:
    factors = dict.fromkeys(ATTACKS, 1.0)
    audits = {"a": audit_of(factors, 2, 0, (100, 1000)), "b": audit_of(factors, 2, 1, (100,))}
    assert side_by_side("pairs", audits).query_budget == 100


def test_audits_with_nothing_in_common_are_refused() -> None:
    audits = {
        "a": audit_of({ATTACKS[0]: 1, ATTACKS[1]: 1}, 2, 0),
        "b": audit_of({ATTACKS[0]: 1, ATTACKS[2]: 1}, 2, 1),
    }
    with pytest.raises(SpecError, match="pairs: its audits must have two attacks"):
        side_by_side("pairs", audits)


@pytest.mark.parametrize("seeds", [1, 5])
def test_the_page_shows_every_cell_and_links_to_everyaudit_of(seeds: int) -> None:
    found = _found((1, 3, 3), (3, 1, 3), seeds=seeds)
    page = render_beside(found)
    assert not EMPTY_CELLS.search(re.sub(r"<style>.*?</style>", "", page, flags=re.S))
    assert all(f'href="audit {i}/report.html"' in page for i in range(2))
    assert all(attack in page for attack in ATTACKS)
    assert SideBySide.model_validate_json(found.model_dump_json()) == found


def test_the_audits_are_run_below_one_directory(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: dict[str, tuple[Path, list[int]]] = {}

    def audit(name: str, spec: Spec, directory: Path, **others: object) -> AuditResults:
        ran[name] = directory, list(spec.seeds)
        return audit_of(dict.fromkeys(ATTACKS, 1.0), 3, len(ran))

    monkeypatch.setattr(run_several, "audit", audit)
    code, out, _ = cli("audit", "pairs", "--set", "seeds=[5, 6, 7]", "--out", "here")
    assert code == 0
    assert ran == {
        f"pairs-{kind}": (Path("here", f"pairs-{kind}"), [5, 6, 7])
        for kind in ("sngan", "pggan", "stylegan2")
    }
    assert "R3 the substitute's architecture matters: undecided" in out
    assert "pairs-stylegan2" in Path("here", "report.html").read_text()
    assert SideBySide.model_validate_json(Path("here", "side-by-side.json").read_text()).name == "pairs"


@pytest.fixture
def together(tmp_path: Path) -> Path:
    """Two audits' results and what was made of both."""
    found = {
        name: audit_of(dict.fromkeys(ATTACKS, 1.0), 3, stream) for stream, name in enumerate(("one", "two"))
    }
    for name, results in found.items():
        draw_grids(results, tmp_path / "both" / name)
        write_json(tmp_path / "both" / name / "results.json", results.model_dump(mode="json"))
    beside = side_by_side("both", found)
    write_json(tmp_path / "both" / FILE, beside.model_dump(mode="json"))
    run_several.write_page(beside, tmp_path / "both")
    return tmp_path / "both"


def test_the_report_of_all_is_written_again(together: Path, cli: Cli) -> None:
    page = (together / "report.html").read_bytes()
    (together / "report.html").unlink()
    assert cli("report", "both")[:2] == (0, "Report: both/report.html\n")
    assert (together / "report.html").read_bytes() == page
    assert all((together / name / "report.html").is_file() for name in ("one", "two"))


@pytest.mark.parametrize("name", ["../one", ".", ""])
def test_a_name_that_leads_elsewhere_is_refused(together: Path, cli: Cli, name: str) -> None:
    path = together / FILE
    path.write_text(path.read_text().replace('"audit": "one"', f'"audit": "{name}"'))
    code, _, err = cli("report", "both")
    assert (code, err) == (
        2,
        f"error: both/side-by-side.json: each audit must be a directory beside it; got {name!r}. Run the "
        "audits again.\n",
    )


def test_the_doctor_looks_at_all_and_at_what_was_made_of_them(together: Path) -> None:
    assert [finding.what for finding in examine(together) if finding.severity == "ok"] == [
        "2 audits side by side"
    ]
    assert {finding.where.name for finding in examine(together)} >= {"one", "two", "both"}


def test_the_doctor_looks_at_what_else_lies_there(together: Path) -> None:
    """A training's directory, with an audit below it, is a training's."""
    (together / "training.safetensors").write_text("damaged")
    assert "damaged: no training can go on from it" in [finding.what for finding in examine(together)]
    (together / FILE).unlink()
    assert [finding.where.name for finding in examine(together)] == ["training.safetensors"]


def test_the_doctor_finds_what_a_killed_run_left_beside_the_audits(together: Path) -> None:
    (together / f".report.html.x{TEMPORARY}").touch()
    (together / "one" / f".report.html.y{TEMPORARY}").touch()
    left = [
        finding.where.name[-len(TEMPORARY) - 1]
        for finding in examine(together)
        if "half written" in finding.what
    ]
    assert sorted(left) == ["x", "y"]


def _no_audits(directory: Path) -> None:
    for name in ("one", "two"):
        (directory / name / "results.json").unlink()


def _other_results(directory: Path) -> None:
    write_json(
        directory / "two" / "results.json",
        audit_of(dict.fromkeys(ATTACKS, 2.0), 3, 9).model_dump(mode="json"),
    )


@pytest.mark.parametrize(
    ("damage", "severity", "what"),
    [
        (lambda d: (d / "report.html").write_text("mine"), "wrong", "absent, or not of these results"),
        (lambda d: (d / "report.html").unlink(), "wrong", "absent, or not of these results"),
        (lambda d: (d / FILE).write_text("{"), "wrong", "not what the audits wrote"),
        (lambda d: (d / FILE).unlink(), "note", "the audits do not lie side by side yet"),
        (_no_audits, "wrong", "it cannot be compared with the audits' results"),
        (_other_results, "wrong", "it is not what the audits' results say"),
        (
            lambda d: (d / "two" / "results.json").write_text("{"),
            "wrong",
            "it cannot be compared with the audits' results",
        ),
    ],
)
def test_the_doctor_finds_what_is_wrong_of_all(
    together: Path, damage: Callable[[Path], object], severity: str, what: str
) -> None:
    damage(together)
    last = examine(together)[-1]
    assert (last.severity, last.what.split(": ")[0]) == (severity, what)


def test_the_directory_of_an_audit_is_not_taken(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "audit.json").write_text("{}")
    code, _, err = cli("audit", "pairs", "--out", "here")
    assert code == 2
    assert "here: holds an audit of its own" in err


def test_a_spec_lists_audits_or_is_one() -> None:
    assert audits_listed("pairs") == ("pairs", ["pairs-sngan", "pairs-pggan", "pairs-stylegan2"])
    assert audits_listed("digits") == ("digits", [])


@pytest.mark.parametrize(
    "said", ["[digits]", "digits", "[digits, 3]", "[digits, digits]", "[a, b]\nseeds: [0]"]
)
def test_a_list_of_audits_that_is_none_is_refused(tmp_path: Path, said: str) -> None:
    (tmp_path / "mine.yaml").write_text(f"audits: {said}")
    with pytest.raises(SpecError, match="audits must be a list of two or more"):
        audits_listed(str(tmp_path / "mine.yaml"))
