"""The doctor finds what is wrong in a directory, names it, says what to do, and touches nothing."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from doctored import SHARD, change, everything, flip, notes, one, run, truncate, wrong

from ganguard.audit.doctor import examine
from ganguard.base.cache import TEMPORARY
from ganguard.base.errors import DataError
from ganguard.base.findings import Findings
from ganguard.base.locks import LOCK, alone
from ganguard.data.parquet import shard_name
from ganguard.queries.ledger import Ledger, reservation_id
from ganguard.queries.purchases_check import check_ledger
from ganguard.queries.store import Store

Cli = Callable[..., tuple[int, str, str]]


def test_a_sound_directory_is_left_as_it_is(sound: Path) -> None:
    before = everything(sound)
    findings = examine(sound)
    assert {finding.severity for finding in findings} == {"ok"}
    assert len(findings) == 1 + 1 + 1 + 3 + 1  # owner, results, steps, three purchases, ledger
    assert everything(sound) == before


def test_two_shards_with_one_image_are_found(copied: Path) -> None:
    shard = one(copied, SHARD)
    twin = shutil.copyfile(shard, shard.with_name(shard_name(10, 50, shard.read_bytes())))
    found = wrong(copied)
    assert any(finding.where == twin and "image 10 lies in two shards" in finding.what for finding in found)


def test_what_is_missing_of_a_purchase_is_a_note(copied: Path) -> None:
    shard = one(copied, SHARD)
    shard.unlink()
    (note,) = notes(copied)
    assert note.where == copied / "ledger.sqlite"
    assert "has bought 40 images, of which 0 are stored here" in note.what
    assert "counts once" in note.advice
    assert wrong(copied) == []


def test_a_description_that_is_missing_is_a_note(copied: Path) -> None:
    one(copied, "purchases/*auditor-0/store.json").unlink()
    assert sorted(note.what.split()[0] for note in notes(copied)) == ["account", "nothing"]
    assert wrong(copied) == []


def test_a_removed_shard_comes_again_when_it_is_wanted(copied: Path) -> None:
    shard = one(copied, SHARD)
    content = shard.read_bytes()
    shard.unlink()
    for kind in ("substitute", "replay", "measure"):
        shutil.rmtree(one(copied, f"steps/{kind}-*"))
    run(copied)
    assert shard.read_bytes() == content
    assert {finding.severity for finding in examine(copied)} == {"ok"}


def test_what_a_killed_run_left_is_a_note_each(copied: Path) -> None:
    temporary = copied / "grids" / f".real.png.x{TEMPORARY}"
    temporary.touch()
    directory = copied / "work" / "measure-0" / f".checkpoint.x{TEMPORARY}"
    (directory / f".inner.x{TEMPORARY}").mkdir(parents=True)
    assert {note.where for note in notes(copied)} == {temporary, directory, directory.parent}
    assert wrong(copied) == []
    (directory.parent / "training.safetensors").write_bytes(b"half")
    assert [finding.where for finding in wrong(copied)] == [directory.parent / "training.safetensors"]


def test_a_run_that_ended_before_its_results_were_written_is_a_note(copied: Path) -> None:
    (copied / ".assembled").unlink()
    assert ["ended before everything was written" in note.what for note in notes(copied)] == [True]
    for name in ("results.json", "results.parquet", "report.html"):
        (copied / name).unlink()
    assert ["has no results yet" in note.what for note in notes(copied)] == [True]
    assert wrong(copied) == []


def test_a_copy_without_hidden_files_is_told_from_a_run_that_did_not_end(copied: Path) -> None:
    """As `cp -r audit/* elsewhere` makes it."""
    for hidden in [path for path in copied.rglob(".*") if path.is_file()]:
        hidden.unlink()
    (note,) = notes(copied)
    assert "a copy without the audit's hidden files" in note.what
    assert "cp -a" in note.advice
    assert wrong(copied) == []
    assert any("the report says what the results say" in finding.what for finding in examine(copied))
    (copied / "report.html").write_text("another page")
    assert [each.where.name for each in notes(copied)] == [copied.name, "report.html"]
    (copied / "report.html").unlink()
    assert [each.where.name for each in wrong(copied)] == ["report.html"]


def test_a_report_that_was_written_again_is_sound(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(
        copied / ".assembled",
        files=json.loads((copied / ".assembled").read_text())["files"] | {"report.html": "0" * 64},
    )
    assert {finding.severity for finding in examine(copied)} == {"ok"}


def test_purchases_that_the_results_no_longer_use_are_notes(copied: Path) -> None:
    run(copied, seeds=[1])
    (note,) = notes(copied)
    assert note.where.name.endswith("adversary-0-provider")
    assert "no longer use" in note.what


def test_what_was_bought_after_the_results_is_a_note(copied: Path) -> None:
    results = json.loads((copied / "results.json").read_text())
    for account in results["accounts"]:
        account["bought"] -= 1
    (copied / "results.json").write_text(json.dumps(results))
    assert sum("and the ledger says" in note.what for note in notes(copied)) == 2
    for account in results["accounts"]:
        account["bought"] += 5
    (copied / "results.json").write_text(json.dumps(results))
    assert sum("and the ledger says" in finding.what for finding in wrong(copied)) == 2


def test_a_directory_at_which_an_audit_is_at_work_says_so(copied: Path) -> None:
    with alone(copied):
        assert [note.what for note in notes(copied)] == ["an audit is at work: what follows may change"]
    assert (copied / LOCK).exists()


def test_a_ledger_that_a_killed_process_left_is_read_with_its_log(copied: Path, tmp_path: Path) -> None:
    """What a killed process wrote last lies in ledger.sqlite-wal only."""
    living = Ledger(copied / "ledger.sqlite")
    living.open_account("late", 5)
    living.reserve("id", "late", 5, "sample seed=0 indices=0:5")
    killed = shutil.copytree(copied, tmp_path / "killed")
    living.close()
    before = everything(killed)
    assert any("account 'late' has bought 5 images, of which 0" in note.what for note in notes(killed))
    assert everything(killed) == before


@pytest.mark.parametrize(
    ("images", "severities", "what"),
    [
        (10, ["ok"], "accounts: 1; images bought: 40"),
        (11, ["wrong"], "holds 11 images of 4 queries each, and 40 were delivered to 'us'"),
        (9, ["note", "ok"], "account 'us' has bought 40 images, of which 36 are stored here"),
    ],
)
def test_images_that_cost_several_queries_are_counted_so(
    tmp_path: Path, images: int, severities: list[str], what: str
) -> None:
    store, words = Store(tmp_path, "target", "us", 0, queries_an_image=4), "generate latents=0a"
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.open_account("us", 40)
        ledger.reserve(reservation_id("target", "us", words), "us", 40, words)
        ledger.commit(reservation_id("target", "us", words))
    found = Findings()
    check_ledger(tmp_path / "ledger.sqlite", {store: images}, found, required=False)
    assert [finding.severity for finding in found] == severities
    assert what in found[0].what


def test_an_unforeseen_failure_is_a_finding(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("what nobody foresaw")

    monkeypatch.setattr("ganguard.queries.store_check.check_shards", fail)
    assert [finding.what for finding in wrong(copied)] == [
        "it could not be looked at (RuntimeError: what nobody foresaw)"
    ]


def test_a_harvest_an_attack_and_a_training_are_looked_at_too(
    tmp_path: Path, tiny_checkpoint: Callable[..., Path], cli: Cli
) -> None:
    mine = str(tiny_checkpoint(tmp_path / "mine", "dcgan"))
    assert cli("harvest", mine, "--out", "bought", "--count", "40")[0] == 0
    attack = ("attack", "fidelity", mine, "--out", "copy", "--query-budget", "20", "--architecture", "dcgan")
    assert cli(*attack, "--set", "steps=2", "--set", "batch_size=4")[0] == 0
    for directory, said in (
        ("bought", "40 images"),
        ("copy", "a training's state, step 2"),
        ("mine", "a checkpoint of dcgan"),
    ):
        code, out, err = cli("doctor", directory)
        assert (code, err) == (0, "")
        assert said in out
        assert out.endswith("Nothing is wrong.\n")
        assert "wrong  " not in out
    flip(tmp_path / "copy" / "checkpoint" / "generator.safetensors")
    flip(one(tmp_path, "bought/data/*.parquet"))
    truncate(tmp_path / "copy" / "training.safetensors")
    assert [finding.where.name for finding in wrong(tmp_path / "copy")] == [
        "training.safetensors",
        "generator.safetensors",
    ]
    code, out, _ = cli("doctor", "bought")
    assert code == 1
    assert "wrong  bought/data/0000000000-0000000040-" in out
    assert out.endswith("1 thing is wrong.\n")


def test_one_line_a_finding_and_exit_codes(copied: Path, cli: Cli) -> None:
    code, out, err = cli("doctor", str(copied))
    assert (code, err) == (0, "")
    assert [line[:5] for line in out.splitlines()] == ["ok   "] * 7 + ["Nothi"]
    (copied / "report.html").unlink()
    flip(one(copied, SHARD))
    code, out, _ = cli("doctor", str(copied))
    assert code == 1
    assert out.splitlines()[-1] == "2 things are wrong."
    assert sum(line.startswith("wrong  ") for line in out.splitlines()) == 2


@pytest.mark.parametrize(
    "make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("mine")]
)
def test_what_ganguard_did_not_write_is_bad_input(
    tmp_path: Path, make: Callable[[Path], None], cli: Cli
) -> None:
    make(tmp_path / "other")
    with pytest.raises(DataError):
        examine(tmp_path / "other")
    code, out, err = cli("doctor", "other")
    assert (code, out) == (2, "")
    assert err == (
        "error: other: not a directory that ganguard wrote. Give the --out of an audit, a harvest, an "
        "attack or a training, or the directory of a gateway.\n"
    )
