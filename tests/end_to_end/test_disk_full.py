"""The disk is full: whatever is being written then, the audit ends in one line, and goes on when there is
room."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from comparing import VERB, comparable
from doctored import SPEC

from ganguard.queries.ledger import Ledger

pytestmark = pytest.mark.slow

PLACES = {
    "ganguard.audit.outcome.directory:write_json": "audit.json",
    "ganguard.audit.steps.real:write_tensors": "real.safetensors",
    "ganguard.audit.steps.real:write_json": "counts.json",
    "ganguard.base.grids:write_bytes": "grid.png",
    "ganguard.audit.engine.cache:write_json": "step.json",
    "ganguard.training.loop:save_state": "training.safetensors",
    "ganguard.training.assembling:save_checkpoint": "checkpoint",
    "ganguard.audit.steps.target_files:write_json": "target.json",
    "ganguard.queries.ledger:Ledger.__init__": "ledger.sqlite",
    "ganguard.queries.store:write_json": "store.json",
    "ganguard.queries.harvest:write_bytes": "requests",
    "ganguard.queries.ledger:Ledger.reserve": "ledger.sqlite",
    "ganguard.queries.ledger:Ledger.commit": "ledger.sqlite",
    "ganguard.queries.store:write_bytes": ".parquet",
    "ganguard.audit.steps.yardstick_files:write_tensors": "balls.safetensors",
    "ganguard.audit.steps.measurements:write_json": "measurements.json",
    "ganguard.audit.steps.purchase_files:write_json": "purchase.json",
    "ganguard.audit.steps.substitute_files:write_json": "substitute.json",
    "ganguard.audit.steps.replay:write_tensors": "bought.safetensors",
    "ganguard.audit.outcome.copies:copy_directory": "checkpoints",
    "ganguard.audit.outcome.copies:copy_file": "grids",
    "ganguard.results.records:write_json": "results.json",
    "ganguard.results.rows:atomic_path": "results.parquet",
    "ganguard.audit.run:write_report": "report.html",
    "ganguard.audit.run:write_assembled": ".assembled",
}
"""Where the disk gets full, in the order in which an audit comes there → what cannot be written then."""
VERBS = {
    "ganguard.training.loop:save_state": (
        "train digits --out mine --steps 4 --architecture dcgan",
        "training.safetensors",
    ),
    "ganguard.training.assembling:save_checkpoint": (
        "train digits --out mine --steps 4 --architecture dcgan",
        "checkpoint",
    ),
    "ganguard.queries.ledger:Ledger.__init__": (
        "harvest mine/checkpoint --out out --count 70",
        "ledger.sqlite",
    ),
    "ganguard.queries.store:write_bytes": ("harvest mine/checkpoint --out out --count 90", ".parquet"),
}
"""The same for other verbs, each with its arguments."""
SIZES = [1_000, 150_000, 250_000]  # bytes that a file may have: a quota, not a full disk
START, NO_LIMIT = "ganguard.cli.main:_hear_interrupts", -1
AUDIT = ["audit", "tiny.yaml", "--out", "out", "--processes"]


def run(directory: Path, runs: list[tuple[str, int, list[str]]]) -> list[dict[str, Any]]:
    """What came of each run: where the disk got full, how many bytes a file could have then, and the
    arguments."""
    (directory / "tiny.yaml").write_text(json.dumps(SPEC))
    command = [sys.executable, Path(__file__).with_name("full_disk.py"), directory]
    ended = subprocess.run(command, input=json.dumps(runs), stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(ended.stdout)


def check_failed(outcome: dict[str, Any], named: str = "") -> None:
    """It ended in one line that says what cannot be written and what to do, and left nothing half done."""
    failed = [line for line in outcome["lines"] if line.startswith("failed: ")]
    assert outcome["code"] == 1, outcome
    assert outcome["lines"][-1:] == failed, outcome
    assert named in failed[0]
    assert "Free some space" in failed[0] or "Check whether it is full" in failed[0]
    assert "the same command again" in failed[0]
    assert not any("Traceback" in line for line in outcome["lines"])
    assert outcome["left"] == []
    assert outcome["wrong"] == []


def check_whole(directory: Path, outcome: dict[str, Any], sound: Path) -> None:
    """It ended as if nothing had happened, and bought nothing twice."""
    assert outcome["code"] == 0, outcome
    assert outcome["wrong"] == []
    assert comparable(directory / "out") == comparable(sound)
    assert bought(directory / "out") == bought(sound)


def bought(directory: Path) -> list[tuple[str, int, int]]:
    with Ledger(directory / "ledger.sqlite") as ledger:
        return [(balance.account, balance.reserved, balance.delivered) for balance in ledger.balances()]


def test_a_full_disk_wherever_an_audit_writes(tmp_path: Path, sound: Path) -> None:
    """One audit, whose every run but the last comes a little further."""
    arguments = [*AUDIT, "1"]
    *failed, whole = run(
        tmp_path, [*((place, 0, arguments) for place in PLACES), (START, NO_LIMIT, arguments)]
    )
    for outcome, named in zip(failed, PLACES.values(), strict=True):
        check_failed(outcome, named)
    check_whole(tmp_path, whole, sound)


@pytest.mark.slow
def test_a_full_disk_wherever_other_verbs_write(tmp_path: Path) -> None:
    runs = [
        (place, limit, said.split())
        for place, (said, _) in VERBS.items()
        for place, limit in ((place, 0), (START, NO_LIMIT))
    ]
    outcomes = run(tmp_path, runs)
    for outcome, (_, named) in zip(outcomes[::2], VERBS.values(), strict=True):
        check_failed(outcome, named)
    assert [(outcome["code"], outcome["wrong"]) for outcome in outcomes[1::2]] == [(0, [])] * len(VERBS)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_quota_that_grows(tmp_path: Path, sound: Path, processes: int) -> None:
    arguments = [*AUDIT, str(processes)]
    *failed, whole = run(
        tmp_path, [*((START, size, arguments) for size in SIZES), (START, NO_LIMIT, arguments)]
    )
    for outcome in failed:
        check_failed(outcome)
    check_whole(tmp_path, whole, sound)


MOUNTED = """
mount -t tmpfs -o size=4k none out || exit 77
for size in $SIZES; do
    mount -o remount,size=$size out
    $GANGUARD audit tiny.yaml --out out/audit --processes 1 >>said 2>&1
    echo "exit code $?" >>said
done
mount -o remount,ro out
for verb in "audit tiny.yaml --out out/audit" "audit tiny.yaml --out out/new" "doctor out/audit"; do
    $GANGUARD $verb >>said 2>&1
    echo "exit code $?" >>said
done
cp -r out/audit kept
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare, to mount a disk of its own")
def test_a_disk_that_is_full_indeed_and_then_read_only(tmp_path: Path, sound: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(json.dumps(SPEC))
    (tmp_path / "out").mkdir()
    sizes = ["8k", "100k", "300k", "500k", "20m"]
    (tmp_path / "verb.py").write_text(VERB)
    environment = {**os.environ, "SIZES": " ".join(sizes), "GANGUARD": f"{sys.executable} verb.py"}
    ended = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", MOUNTED], cwd=tmp_path, env=environment, check=False
    )
    if not (tmp_path / "said").exists():
        pytest.skip(f"no disk can be mounted here (exit code {ended.returncode})")
    said = (tmp_path / "said").read_text()
    lines = said.splitlines()
    codes = [line for line in lines if line.startswith("exit code")]
    assert codes == [
        *["exit code 1"] * (len(sizes) - 1),
        "exit code 0",
        "exit code 2",
        "exit code 2",
        "exit code 0",
    ], said
    assert said.count("failed: ") == len(sizes) - 1
    assert said.count("error: ") == 2
    assert said.count("Read-only file system") == 2
    assert "Traceback" not in said
    shutil.copytree(tmp_path / "kept", tmp_path / "out", dirs_exist_ok=True)
    check_whole(tmp_path, {"code": 0, "wrong": []}, sound)


@pytest.mark.parametrize("out", ["file/below", "/proc/nowhere/below", "/sys/below"])
@pytest.mark.parametrize(
    "verb", ["audit tiny.yaml", "train digits --steps 1", "harvest mine", "attack fidelity mine"]
)
def test_a_place_that_cannot_be_written_is_bad_input(
    cli: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    tiny_checkpoint: Callable[..., Path],
    verb: str,
    out: str,
) -> None:
    (tmp_path / "tiny.yaml").write_text(json.dumps(SPEC))
    (tmp_path / "file").write_text("mine")
    tiny_checkpoint(tmp_path / "mine", "dcgan")
    code, _, said = cli(*verb.split(), "--out", out)
    assert code == 2, said
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert (tmp_path / "file").read_text() == "mine"
