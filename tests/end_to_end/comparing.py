"""A short audit of real digits, run by the command line, and what of its results must be equal from run to
run."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ganguard.base.cache import TEMPORARY

TRAINING = "steps: 120, batch_size: 16, checkpoint_every: 20"
SPEC = f"""
target: {{train: {{dataset: digits, architecture: sngan, n_dis: 1, {TRAINING}}}}}
real: digits
features: {{kind: classifier, steps: 60}}
attacks:
  - {{kind: fidelity, architecture: sngan, query_budget: [70, 600], n_dis: 1, {TRAINING}}}
  - {{kind: fidelity, architecture: dcgan, query_budget: 600, {TRAINING}}}
samples: 1100
even_if: target_broken
"""
VERB = "import sys; sys.argv[0] = 'ganguard'; from ganguard.cli.main import main; main()"


def start(directory: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Begin `ganguard` in `directory`, as the leader of a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", VERB, *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def start_audit(directory: Path, processes: int = 2) -> "subprocess.Popen[str]":
    """Begin, or go on with, the audit of SPEC into `directory`/out."""
    directory.mkdir(exist_ok=True)
    (directory / "spec.yaml").write_text(SPEC)
    return start(directory, "audit", "spec.yaml", "--out", "out", "--processes", str(processes))


def comparable(out: Path) -> dict[str, Any]:
    """The results of the audit in `out`, without what may differ: wall times, and by how many processes."""
    results: dict[str, Any] = json.loads((out / "results.json").read_text())
    for step in results["steps"]:
        del step["seconds"]
    del results["environment"]["processes"]
    return results


def temporaries(directory: Path) -> list[Path]:
    """Files and directories that somebody began to write and did not finish."""
    return list(directory.rglob(f"*{TEMPORARY}"))
