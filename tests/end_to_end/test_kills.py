"""Killed anywhere, an audit goes on, and ends as if nothing had happened."""

import itertools
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from comparing import comparable, start, start_audit, temporaries

from ganguard.queries.ledger import Ledger

LIVES = 4  # independent series of kills, a hundred together
KILLS = 25  # of one series
PATIENCE = 30.0  # seconds until the last of a killed group is dead
OFTEN = 0.003  # seconds between two looks for the moment to kill
PHASES = [
    "start",
    "real",
    "features",
    "train_target",
    "fit",
    "yardsticks",
    "purchase",
    "substitute",
    "measure",
    "replay",
]
"""Of an audit that trains its target, in the order in which they begin: "start" is any moment of the first
seconds."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory = tmp_path_factory.mktemp("undisturbed")
    process = start_audit(directory)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    return comparable(directory / "out")


def seen(phase: str, process: "subprocess.Popen[str]", out: Path, since: float) -> bool:
    """Wait until this process is at a step of the phase; False where the phase or the process ended before.

    since: when the process began. A directory that an earlier, killed process left behind counts from its
    next change.
    """
    while process.poll() is None:
        here = [path for step in out.glob(f"work/{phase}-*") for path in (step, *step.rglob("*"))]
        if any(changed > since for changed in map(changed_at, here)):
            return True
        if not here and list(out.glob(f"steps/{phase}-*")):
            return False
        time.sleep(OFTEN)
    return False


def changed_at(path: Path) -> float:
    """When a file or directory last changed, in seconds; long ago where it is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def kill(process: "subprocess.Popen[str]") -> bool:
    """Kill the whole process group; False where the process had ended."""
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return alive


def nobody_is_left(process: "subprocess.Popen[str]") -> None:
    """Of its group, but for the dead whom nobody has buried yet. On a busy machine who was killed takes a
    while to die."""
    until = time.monotonic() + PATIENCE
    while left := alive(process.pid):
        assert time.monotonic() < until, left
        time.sleep(0.05)


def alive(group: int) -> list[str]:
    """States of the processes of a group."""
    listed = subprocess.check_output(["ps", "axo", "pgid=,stat="], text=True)
    return [
        state
        for of, state in map(str.split, listed.splitlines())
        if of == str(group) and not state.startswith("Z")
    ]


def killed_in(phases: list[str], directory: Path, chance: random.Random) -> list[str]:
    """Kill one audit once in each of the phases, some moment after it began; in which it was at work then."""
    hit: list[str] = []
    process, since = start_audit(directory), time.time()
    for phase in phases:
        if phase != "start" and not seen(phase, process, directory / "out", since):
            continue
        time.sleep(chance.uniform(0, 6.0 if phase == "start" else chance.choice([0.02, 0.3, 2.0])))
        if kill(process):
            hit.append(phase)
        nobody_is_left(process)
        process, since = start_audit(directory), time.time()
    process.communicate(timeout=600)
    return hit


def nothing_happened(directory: Path, undisturbed: dict[str, Any]) -> None:
    """The audit in `directory`, run once more, ends as the undisturbed one did, and leaves nothing behind."""
    process = start_audit(directory)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    assert comparable(directory / "out") == undisturbed
    assert temporaries(directory) == []
    assert list((directory / "out" / "work").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("life", range(LIVES))
def test_a_hundred_kills_in_every_phase(life: int, tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    chance = random.Random(life)
    hit: list[str] = []
    for audit in itertools.count():
        if len(hit) >= KILLS:
            break
        hit += killed_in(PHASES, tmp_path / str(audit), chance)
        nothing_happened(tmp_path / str(audit), undisturbed)
    longer = {"start", "features", "train_target", "yardsticks", "substitute", "measure"}
    assert longer <= set(hit), hit


@pytest.mark.slow
def test_one_process_of_the_pool_dies(tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    """Another takes its place. A step that loses its process twice fails alone, and the next run does it."""
    chance = random.Random(2)
    process = start_audit(tmp_path)
    killed = 0
    while process.poll() is None:
        time.sleep(chance.uniform(3, 6))
        listed = subprocess.run(
            ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False
        )
        found = [int(pid) for pid in listed.stdout.split()]
        if found:
            os.kill(chance.choice(found), signal.SIGKILL)
            killed += 1
    process.communicate()
    assert killed > 1
    process = start_audit(tmp_path)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    assert comparable(tmp_path / "out") == undisturbed
    assert temporaries(tmp_path) == []


@pytest.mark.slow
def test_two_harvests_of_one_store_and_account_are_killed_again_and_again(tmp_path: Path) -> None:
    count, chance = 6000, random.Random(3)
    trained = start(tmp_path, "train", "digits", "--out", "gan", "--steps", "2", "--set", "n_dis=1")
    _, said = trained.communicate(timeout=120)
    assert trained.returncode == 0, said
    arguments = ("harvest", "gan/checkpoint", "--count", str(count), "--out", "bought", "--device", "cpu")
    for _ in range(10):
        pair = [start(tmp_path, *arguments) for _ in range(2)]
        time.sleep(chance.uniform(1.5, 5))
        for process in pair:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    pair = [start(tmp_path, *arguments) for _ in range(2)]
    for process in pair:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    ledger = Ledger(tmp_path / "bought" / "ledger.sqlite")
    balance = ledger.balance("default")
    ledger.close()
    assert (balance.reserved, balance.delivered) == (count, count)
    indices = [
        i
        for file in (tmp_path / "bought" / "data").glob("*.parquet")
        for i in pq.read_table(file)["index"].to_pylist()
    ]
    assert sorted(indices) == list(range(count))
    assert temporaries(tmp_path) == []
