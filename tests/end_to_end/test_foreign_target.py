"""Generators as users have them, from the command line: what is taken is audited whole, what is refused is
refused before anything is bought."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ganguard.base.settings import parse
from ganguard.gateway.shop.service import Service
from ganguard.gateway.spec import GatewaySpec
from ganguard.results.records import read_results

Cli = Callable[..., tuple[int, str, str]]

FACTORY = """
import os, sys
import torch
from torch import nn

{first}


class G(nn.Module):
    latent_dim = 4

    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(4, 64), {norm}
        with torch.no_grad():
            self.layer.weight.copy_(2 * torch.sin(torch.arange(256.0)).view(64, 4))
            self.layer.bias.zero_()

    def forward(self, z):
        x = self.norm(self.layer(z)).tanh().view(-1, 1, 8, 8)
        return {images}


class D(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 1)
        nn.init.constant_(self.layer.weight, 0.1)
        nn.init.constant_(self.layer.bias, 0.0)

    def forward(self, images):
        return self.layer(self.features(images))

    def features(self, images):
        return images.flatten(1)


def make():
    d = D()
    {last}
    return {returned}
"""
SPEC = """
target: {{python: "{name}:make"{settings}}}
real: digits
features: random_network
attacks:
  - {{kind: fidelity, architecture: {{kind: dcgan, width: 4}}, query_budget: 30, steps: 2, batch_size: 8}}
samples: 50
even_if: target_broken
"""
_NUMBERS = itertools.count()


def factory(folder: Path, **texts: str) -> str:
    """Write a module with a factory, and return the module's name."""
    said = {"first": "", "norm": "nn.Identity()", "images": "x", "last": "pass", "returned": "G(), d"}
    name = f"foreign_target_{next(_NUMBERS)}"
    (folder / f"{name}.py").write_text(FACTORY.format(**{**said, **texts}))
    return name


FIDELITY = ("fidelity", "--query-budget", "30")
SHORT = ("--set", "steps=2", "--set", "batch_size=8", "--set", "architecture={kind: dcgan, width: 4}")


def test_an_attack_trains_after_a_module_that_switches_gradients_off(cli: Cli, tmp_path: Path) -> None:
    name = factory(tmp_path, first="torch.set_grad_enabled(False); os.chdir('/'); sys.argv.append('--left')")
    code, _, err = cli("attack", FIDELITY[0], f"python:{name}:make", *FIDELITY[1:], *SHORT, "--out", "out")
    assert code == 0, err
    assert (tmp_path / "out" / "checkpoint").is_dir()


REFUSED = {
    "normalised by the batch": ({"norm": "nn.BatchNorm1d(64, track_running_stats=False)"}, "no running stat"),
    "noise": ({"images": "(x + 0.1 * torch.randn(len(x), 1, 8, 8)).clamp(-1, 1)"}, "draws noise"),
    "unit range": ({"images": "(x + 1) / 2 - 1e-4"}, "Set `range: [0, 1]`"),
    "D that cannot be copied": ({"last": "d.names = (n for n in 'ab')"}, "cannot be copied by copy.deepcopy"),
}


@pytest.mark.parametrize("verb", ["harvest", "attack", "audit"])
@pytest.mark.parametrize("kind", REFUSED)
def test_nothing_is_bought_from_a_generator_that_is_refused(
    kind: str, verb: str, cli: Cli, tmp_path: Path
) -> None:
    texts, said = REFUSED[kind]
    name = factory(tmp_path, **texts)
    target = f"python:{name}:make"
    (tmp_path / "spec.yaml").write_text(SPEC.format(name=name, settings=""))
    arguments = {
        "harvest": ("harvest", target, "--count", "5"),
        "attack": ("attack", FIDELITY[0], target, *FIDELITY[1:], *SHORT),
        "audit": ("audit", "spec.yaml", "--processes", "1"),
    }
    code, _, err = cli(*arguments[verb], "--out", "out")
    assert code == 2
    assert said in " ".join(err.split())
    assert "Traceback" not in err
    assert not list(tmp_path.rglob("*.parquet"))
    assert not list(tmp_path.rglob("ledger.sqlite"))


def test_an_audit_says_what_it_saw_when_it_opened_a_target(cli: Cli, tmp_path: Path) -> None:
    """In whole numbers from 0 to 255, with BatchNorm that was never filled, and gradients switched off."""
    name = factory(
        tmp_path,
        first="torch.set_grad_enabled(False)",
        norm="nn.BatchNorm1d(64)",
        images="((x + 1) * 127.5).round().byte()",
    )
    (tmp_path / "spec.yaml").write_text(SPEC.format(name=name, settings=", range: [0, 255]"))
    code, out, err = cli("audit", "spec.yaml", "--out", "out", "--processes", "1")
    assert code == 0, err
    said = "The generator: the BatchNorm1d 'norm' never saw a batch"
    (note,) = read_results(tmp_path / "out").target.notes
    assert note.startswith(said)
    for shown in (out, err, (tmp_path / "out" / "report.html").read_text().replace("&#39;", "'")):
        assert said in shown


def test_harvest_says_the_same_and_takes_a_range(cli: Cli, tmp_path: Path) -> None:
    name = factory(tmp_path, norm="nn.BatchNorm1d(64)", images="(x + 1) / 2")
    harvest = ("harvest", f"python:{name}:make", "--count", "5", "--out", "out")
    code, _, err = cli(*harvest)
    assert code == 2
    assert "Set `range: [0, 1]`" in err
    code, out, err = cli(*harvest, "--range", "0", "1")
    assert code == 0, err
    assert "never saw a batch" in err
    assert "5 images" in out


def test_a_gateway_serves_such_a_generator_and_logs_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    first = "torch.set_grad_enabled(False); os.chdir('/'); torch.set_default_dtype(torch.float64)"
    name = factory(tmp_path, first=first, norm="nn.BatchNorm1d(64)", images="(x + 1) * 127.5")
    said = {"target": {"python": f"{name}:make", "range": [0, 255]}, "directory": str(tmp_path / "state")}
    service = Service(parse(GatewaySpec, said, "spec"))
    try:
        queued = service.batching.of("somebody")
        images = queued.sample(range(70), seed=0)
        assert torch.equal(queued.sample(range(5, 9), seed=0), images[5:9])
    finally:
        service.close()
    assert torch.get_default_dtype() == torch.float32
    assert Path.cwd() == tmp_path
    assert "The generator: the BatchNorm1d 'norm' never saw a batch" in caplog.text
