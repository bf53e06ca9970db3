"""Stopped in the middle, an audit says how to go on, and goes on."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ganguard.audit.engine.workers.local import PATIENCE
from ganguard.base.cache import TEMPORARY

PROGRESS = re.compile(r"✓ \w+ \([\d.]+ s\)$|  \w+: \w* [\d,]+/[\d,]+$")
STATE = "out/work/train_target-*/training.safetensors"
SPEC = """
target: {train: {dataset: digits, architecture: sngan, steps: 4000, n_dis: 1, checkpoint_every: 20}}
real: digits
features: random_network
attacks: [{kind: fidelity, architecture: sngan, query_budget: 30, steps: 5, n_dis: 1}]
samples: 50
even_if: target_broken
"""


def start(directory: Path) -> "subprocess.Popen[str]":
    (directory / "spec.yaml").write_text(SPEC)
    code = "import sys; sys.argv[0] = 'ganguard'; from ganguard.cli.main import main; main()"
    command = [sys.executable, "-c", code, "audit", "spec.yaml", "--out", "out", "--processes", "2"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command, cwd=directory, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for_training(process: "subprocess.Popen[str]", directory: Path) -> None:
    deadline = time.monotonic() + 120
    while not list(directory.glob(STATE)):
        assert time.monotonic() < deadline, "the training never began"
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("whom", ["the audit", "everybody"])
def test_an_interrupt_ends_with_130_and_keeps_what_was_trained(
    tmp_path: Path, whom: str, number: signal.Signals
) -> None:
    process = start(tmp_path)
    wait_for_training(process, tmp_path)
    if whom == "everybody":
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    *before, last = said.splitlines()
    assert last == "stopped. Run the same command again: it goes on from here."
    assert [line for line in before if not PROGRESS.match(line)] == []
    assert list(tmp_path.glob(STATE))
    assert not list(tmp_path.rglob(f"*{TEMPORARY}"))


@pytest.mark.slow
def test_a_second_interrupt_ends_at_once(tmp_path: Path) -> None:
    """The pool's processes are stopped, so that the first interrupt waits for them, and the second finds it
    waiting."""
    process = start(tmp_path)
    wait_for_training(process, tmp_path)
    children = [
        int(pid) for pid in subprocess.check_output(["pgrep", "-P", str(process.pid)], text=True).split()
    ]
    for child in children:
        os.kill(child, signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    process.wait(timeout=60)
    for child in children:
        os.kill(child, signal.SIGCONT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - begun < PATIENCE
    assert said.splitlines()[-1] == "stopped at once. Run the same command again: it goes on from here."
