"""Several audits, run below one directory: what is written of all of them, and what the doctor says of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from report_samples import draw_grids
from side_by_side_samples import ATTACKS, audit_of

from ganguard.audit import several as run_several
from ganguard.audit.doctor import examine
from ganguard.audit.spec.spec import Spec
from ganguard.base.cache import TEMPORARY, write_json
from ganguard.results.records import AuditResults
from ganguard.results.side_by_side import SideBySide, side_by_side
from ganguard.results.side_by_side.files import FILE

Cli = Callable[..., tuple[int, str, str]]


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
