"""Killed anywhere, an audit goes on, and ends as if nothing had happened."""

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

from ganguard.audit.runners import RUNNERS
from ganguard.queries.ledger import Ledger

KILLS = 100
SHARE = 4  # of the hundred, in the default run
OFTEN = 0.003  # seconds between two looks for the moment to kill
PHASES = [kind for kind in RUNNERS if kind != "open_target"]  # of an audit that trains its target


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory = tmp_path_factory.mktemp("undisturbed")
    process = start_audit(directory)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    return comparable(directory / "out")


def kill_in(phase: str, process: "subprocess.Popen[str]", out: Path, delay: float) -> bool:
    """Kill the whole process group `delay` seconds after a step of the phase was seen at work, or after the start for the
    phase "start"; False where the process ended before."""
    while phase != "start" and not list(out.glob(f"work/{phase}-*")):
        if process.poll() is not None:
            process.communicate()
            return False
        time.sleep(OFTEN)
    time.sleep(delay)
    ended = process.poll() is not None
    if not ended:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return not ended


def nobody_is_left(process: "subprocess.Popen[str]") -> None:
    """Of its group, but for the dead whom nobody has buried yet."""
    listed = subprocess.check_output(["ps", "axo", "pgid=,stat="], text=True)
    states = [state for group, state in map(str.split, listed.splitlines()) if group == str(process.pid)]
    assert [state for state in states if not state.startswith("Z")] == []


def survive(directory: Path, kills: int, undisturbed: dict[str, Any], seed: int) -> dict[str, int]:
    """Kill audits `kills` times, phase after phase, let each end, and compare; how often each phase was hit."""
    chance = random.Random(seed)
    phases = ["start", *PHASES]
    hit = dict.fromkeys(phases, 0)
    audits = 0
    while sum(hit.values()) < kills:
        audits += 1
        here = directory / str(audits)
        for phase in phases:
            process = start_audit(here)
            longest = 6.0 if phase == "start" else chance.choice([0.02, 0.3, 2.0])
            if sum(hit.values()) < kills and kill_in(phase, process, here / "out", chance.uniform(0, longest)):
                hit[phase] += 1
                nobody_is_left(process)
            elif process.poll() is None:
                process.communicate(timeout=600)
        process = start_audit(here)
        _, said = process.communicate(timeout=600)
        assert process.returncode == 0, said
        assert comparable(here / "out") == undisturbed
        assert temporaries(here) == []
        assert list((here / "out" / "work").iterdir()) == []
    return hit


def test_a_share_of_the_kills(tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    chance = random.Random(5)
    for phase in chance.sample(["train_target", "yardsticks", "purchase", "substitute", "measure"], SHARE):
        process = start_audit(tmp_path)
        kill_in(phase, process, tmp_path / "out", chance.uniform(0, 0.3))
        nobody_is_left(process)
    process = start_audit(tmp_path)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    assert comparable(tmp_path / "out") == undisturbed
    assert temporaries(tmp_path) == []


@pytest.mark.slow
def test_a_hundred_kills_in_every_phase(tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    hit = survive(tmp_path, KILLS, undisturbed, seed=1)
    longer = {"start", "features", "train_target", "yardsticks", "purchase", "substitute", "measure"}
    assert all(hit[phase] for phase in longer), hit


@pytest.mark.slow
def test_one_process_of_the_pool_dies(tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    """Another takes its place. A step that loses its process twice fails alone, and the next run does it."""
    chance = random.Random(2)
    process = start_audit(tmp_path)
    killed = 0
    while process.poll() is None:
        time.sleep(chance.uniform(3, 6))
        listed = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False)
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
    indices = [i for file in (tmp_path / "bought" / "data").glob("*.parquet") for i in pq.read_table(file)["index"].to_pylist()]
    assert sorted(indices) == list(range(count))
    assert temporaries(tmp_path) == []
