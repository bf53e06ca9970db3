"""Whose directory it is: an audit goes on in its own, and touches nobody else's."""

import os
from pathlib import Path

import pytest

from ganguard.audit.outcome import directory as directory_module
from ganguard.audit.outcome.directory import (
    changed_files,
    copies_in,
    owner_of,
    read_assembled,
    remove_stale,
    require_ours,
    take,
    write_assembled,
)
from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.base.cache import write_bytes
from ganguard.base.errors import SpecError
from ganguard.base.locks import alone
from ganguard.base.settings import parse
from ganguard.results.records import AuditResults, write_results

SPEC = {
    "target": {"train": {"dataset": "digits", "architecture": "dcgan", "steps": 1}},
    "real": "digits",
    "features": "random_network",
    "attacks": [{"kind": "fidelity", "architecture": "dcgan", "query_budget": 10, "steps": 1}],
}


def everything(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_an_empty_directory_is_taken_and_kept(tmp_path: Path) -> None:
    assert owner_of(tmp_path) is None
    take(tmp_path, "mine")
    take(tmp_path, "mine")
    assert owner_of(tmp_path) == "mine"
    assert os.listdir(tmp_path) == ["audit.json"]


def test_an_audit_of_another_name_is_refused_and_both_are_named(tmp_path: Path) -> None:
    take(tmp_path, "mine")
    before = everything(tmp_path)
    for refuse in (require_ours, take):
        with pytest.raises(SpecError, match="holds the audit 'mine', and this one is 'yours'"):
            refuse(tmp_path, "yours")
    with pytest.raises(SpecError, match="holds the audit 'mine'"):
        audit("yours", parse(Spec, SPEC, "spec"), tmp_path, processes=1, listener=print)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("name", ["thesis.tex", "steps", "checkpoints", "ledger.sqlite"])
def test_a_directory_of_other_files_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(
        SpecError, match=rf"holds {name}, which no audit wrote. Choose another --out, new or empty"
    ):
        audit("digits", parse(Spec, SPEC, "spec"), tmp_path, processes=1, listener=print)
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_hidden_files_do_not_fill_a_directory(tmp_path: Path) -> None:
    (tmp_path / ".DS_Store").touch()
    (tmp_path / ".lock").touch()
    take(tmp_path, "mine")
    assert owner_of(tmp_path) == "mine"


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\xff", b'{"format": 2, "name": "x", "ganguard": "9"}', b'{"name": 3}']
)
def test_a_damaged_owner_is_named_with_a_way_out(tmp_path: Path, content: bytes) -> None:
    take(tmp_path, "mine")
    (tmp_path / "audit.json").write_bytes(content)
    with pytest.raises(SpecError, match=r"audit\.json: not what an audit writes, or damaged. Remove it if"):
        take(tmp_path, "mine")
    (tmp_path / "steps").mkdir()
    (tmp_path / ".lock").touch()
    (tmp_path / "audit.json").unlink()
    take(tmp_path, "mine")
    assert owner_of(tmp_path) == "mine"


def test_a_spec_from_elsewhere_is_refused_with_a_way_out(tmp_path: Path) -> None:
    take(tmp_path, "mine", "/a/mine.yaml")
    take(tmp_path, "mine", "/a/mine.yaml")
    take(tmp_path, "mine")
    with pytest.raises(
        SpecError,
        match=r"holds the audit of /a/mine\.yaml, and this one is of /b/mine\.yaml.* remove .*audit\.json",
    ):
        take(tmp_path, "mine", "/b/mine.yaml")
    (tmp_path / "steps").mkdir()
    (tmp_path / ".lock").touch()
    (tmp_path / "audit.json").unlink()
    take(tmp_path, "mine", "/b/mine.yaml")
    assert '"source": "/b/mine.yaml"' in (tmp_path / "audit.json").read_text()


def test_where_the_spec_came_from_is_added_to_an_older_directory(tmp_path: Path) -> None:
    (tmp_path / "audit.json").write_text('{"format": 1, "name": "mine", "ganguard": "0.0.9"}')
    take(tmp_path, "mine", "preset mine")
    said = (tmp_path / "audit.json").read_text()
    assert '"source": "preset mine"' in said
    assert '"ganguard": "0.0.9"' in said


def test_copies_that_are_not_written_anew_are_removed_and_nothing_else(tmp_path: Path) -> None:
    old = (
        "grids/a.png",
        "grids/b.png",
        "checkpoints/a/checkpoint.json",
        "checkpoints/b/checkpoint.json",
        "features/f.json",
    )
    for name in (*old, "grids/notes.txt", "purchases/p.json"):
        write_bytes(tmp_path / name, b"old")
    before = copies_in(tmp_path)
    for name in ("grids/a.png", "checkpoints/a/checkpoint.json", "grids/c.png"):
        write_bytes(tmp_path / name, b"old")
    remove_stale(tmp_path, before)
    kept = [
        "checkpoints/a/checkpoint.json",
        "grids/a.png",
        "grids/c.png",
        "grids/notes.txt",
        "purchases/p.json",
    ]
    assert (
        sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
        == kept
    )
    assert not (tmp_path / "checkpoints" / "b").exists()


def test_one_at_a_time(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(SpecError, match="another run is at work here"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


def test_what_came_out_is_known_file_by_file(tmp_path: Path, tiny_results: AuditResults) -> None:
    assert read_assembled(tmp_path) is None
    write_results(tiny_results, tmp_path)
    for name in ("grids/a.png", "checkpoints/a/checkpoint.json", "purchases/not-this", "report.html"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    write_assembled(tmp_path, "key")
    assembled = read_assembled(tmp_path)
    assert assembled is not None
    assert assembled.key == "key"
    assert sorted(assembled.files) == [
        "checkpoints/a/checkpoint.json",
        "grids/a.png",
        "report.html",
        "results.json",
        "results.parquet",
    ]
    assert changed_files(tmp_path, assembled) == []
    (tmp_path / "grids" / "a.png").unlink()
    (tmp_path / "report.html").write_text("other")
    assert sorted(changed_files(tmp_path, assembled)) == ["grids/a.png", "report.html"]
    (tmp_path / directory_module.ASSEMBLED).write_text("{}")
    assert read_assembled(tmp_path) is None
