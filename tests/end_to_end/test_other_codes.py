"""Generators whose codes are of another prior and shape: bought, stored, attacked, defended and measured."""

import importlib
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from ganguard.results.records import read_results

Cli = Callable[..., tuple[int, str, str]]

MODULE = """
import torch
from torch import nn


class G(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.ConvTranspose2d(3, 1, 4, 4)
        with torch.no_grad():
            self.layer.weight.copy_(2 * torch.sin(torch.arange(48.0)).view(3, 1, 4, 4))
            self.layer.bias.zero_()

    def forward(self, z):
        assert z.shape[1:] == (3, 2, 2) and len(z) == 16, z.shape
        assert -1 <= z.min() and z.max() <= 1, "not what it was trained on"
        return self.layer(z).tanh()


def make():
    return G()


def code(generator):
    return torch.rand(3, 2, 2, generator=generator) ** 2
"""
SPEC = """
target: {{python: "{name}:make", latent_shape: [3, 2, 2], batch: 16, prior: {prior}}}
real: digits
features: random_network
codes: client
attacks:
  - {{kind: fidelity, architecture: {{kind: dcgan, width: 4}}, query_budget: 70, steps: 2, batch_size: 8}}
defences: [none, {{kind: linear_interpolation{preserve}}}]
samples: 50
even_if: target_broken
"""
_NUMBERS = itertools.count()


@pytest.fixture
def module(tmp_path: Path) -> str:
    name = f"other_codes_{next(_NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    importlib.invalidate_caches()
    return name


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["uniform", "python:{name}:code"])
def test_an_audit_of_codes_of_another_prior_and_shape(
    cli: Cli, tmp_path: Path, module: str, prior: str
) -> None:
    said = f'"{prior.format(name=module)}"'
    (tmp_path / "spec.yaml").write_text(SPEC.format(name=module, prior=said, preserve=""))
    code, _, err = cli("audit", "spec.yaml", "--out", "out", "--processes", "1")
    assert code == 0, err
    assert read_results(tmp_path / "out").target.image_shape == (1, 8, 8)
    stored = [
        pq.read_table(file).column("latent").to_pylist()
        for file in sorted((tmp_path / "out").rglob("*.parquet"))
        if "latent" in pq.read_schema(file).names
    ]
    assert stored
    codes = torch.tensor([row for rows in stored for row in rows])
    assert codes.shape[1] == 12
    assert (codes.min() >= 0) == prior.startswith("python")


def test_a_defence_that_cannot_keep_the_prior_is_refused_before_anything_is_bought(
    cli: Cli, tmp_path: Path, module: str
) -> None:
    spec = SPEC.format(name=module, prior="uniform", preserve=", preserve_distribution: true")
    (tmp_path / "spec.yaml").write_text(spec)
    code, _, err = cli("audit", "spec.yaml", "--out", "out", "--processes", "1")
    assert code == 2
    assert "this target's prior is uniform. Leave preserve_distribution out" in " ".join(err.split())
    assert not list(tmp_path.rglob("ledger.sqlite"))


def test_harvest_takes_such_a_target_as_a_mapping(cli: Cli, tmp_path: Path, module: str) -> None:
    target = json.dumps(
        {"python": f"{module}:make", "latent_shape": [3, 2, 2], "batch": 16, "prior": "uniform"}
    )
    code, out, err = cli("harvest", target, "--count", "70", "--out", "out")
    assert code == 0, err
    assert "70 images" in out
    wrong = target.replace("uniform", "gauss")
    code, _, err = cli("harvest", wrong, "--count", "5", "--out", "other")
    assert code == 2
    assert "must be one of normal, sphere, truncated, uniform" in " ".join(err.split())
