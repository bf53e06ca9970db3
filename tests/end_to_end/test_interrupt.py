"""Stopped in the middle, an audit says how to go on, and goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SPEC = """
target: {train: {dataset: digits, architecture: sngan, steps: 4000, n_dis: 1, checkpoint_every: 20}}
real: digits
features: random_network
attacks: [{kind: fidelity, architecture: sngan, query_budget: 30, steps: 5, n_dis: 1}]
samples: 50
"""


def start(directory: Path) -> "subprocess.Popen[str]":
    (directory / "spec.yaml").write_text(SPEC)
    code = "import sys; sys.argv[0] = 'ganguard'; from ganguard.cli.main import main; main()"
    command = [sys.executable, "-c", code, "audit", "spec.yaml", "--out", "out", "--processes", "2"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(command, cwd=directory, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["the audit", "everybody"])
def test_ctrl_c_ends_with_130_and_keeps_what_was_trained(tmp_path: Path, whom: str) -> None:
    process = start(tmp_path)
    state = "out/work/train_target-*/training.safetensors"
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(state)):
        assert time.monotonic() < deadline, "the training never began"
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    if whom == "everybody":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "stopped. Run the same command again: it goes on from here."
    assert "Traceback" not in said
    assert list(tmp_path.glob(state))
