"""A target of the user's own code is known only once it is opened: it may be another one in the next run."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ganguard.results.records import read_results

Cli = Callable[..., tuple[int, str, str]]

FACTORY = """
import os, torch
from torch import nn

class G(nn.Module):
    latent_dim = 4
    def __init__(self):
        super().__init__()
        self.f = nn.Linear(4, 64)
        nn.init.constant_(self.f.weight, float(os.environ["WEIGHT"]))
        nn.init.constant_(self.f.bias, 0.0)
    def forward(self, z):
        return self.f(z).tanh().view(-1, 1, 8, 8)

def make():
    return G()
"""
SPEC = """
target: {python: "changing_factory:make"}
real: digits
features: random_network
attacks: [{kind: fidelity, architecture: {kind: dcgan, width: 4}, query_budget: 30, steps: 2, batch_size: 8}]
samples: 50
even_if: target_broken
"""


def planned(cli: Cli) -> tuple[int, int, str]:
    """What a dry run says: steps, those of them that are done, and all of it."""
    code, out, _ = cli("audit", "spec.yaml", "--out", "out", "--dry-run")
    assert code == 0
    found = re.search(r"(\d+) steps, (\d+) done before", out)
    assert found
    return int(found[1]), int(found[2]), out


def test_a_target_that_changed_is_audited_anew_and_a_plan_says_what_it_takes_it_for(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "changing_factory.py").write_text(FACTORY)
    (tmp_path / "spec.yaml").write_text(SPEC)
    monkeypatch.setenv("WEIGHT", "0.1")
    assert "the plan assumes the one that was opened last" not in " ".join(planned(cli)[2].split())
    identities: set[str] = set()
    for weight in ("0.1", "0.2"):
        monkeypatch.setenv("WEIGHT", weight)
        code, _, err = cli("audit", "spec.yaml", "--out", "out", "--processes", "1")
        assert code == 0, err
        identities.add(read_results(tmp_path / "out").target.identity)
    assert len(identities) == 2
    monkeypatch.delenv("WEIGHT")  # a plan does not open it
    steps, done, said = planned(cli)
    assert done == steps - 1
    assert "opened again" in said
    assert "the plan assumes the one that was opened last" in " ".join(said.split())
    assert re.search(r"bought in all +. 130 +. 130 ", said)
