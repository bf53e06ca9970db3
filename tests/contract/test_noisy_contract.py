"""Pipelines and generators with noise as targets, through every part: metered, defended, stored, killed,
served, and audited whole."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pipelines
import pytest
import torch

from ganguard.audit.doctor import examine
from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.base.compute import Compute
from ganguard.base.errors import InputError
from ganguard.base.settings import parse
from ganguard.data.dataset import load_dataset, parse_dataset
from ganguard.defences.defended_target import defend
from ganguard.defences.protocol import parse_chain
from ganguard.defences.tools import tools_for
from ganguard.gateway.shop.service import Service
from ganguard.gateway.spec import GatewaySpec
from ganguard.queries.harvest import harvest
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store
from ganguard.results.records import AuditResults
from ganguard.targets.load import load_target, parse_target
from ganguard.targets.protocol import LatentTarget

FACTORY = """
import torch
from torch import nn


class G(nn.Module):
    latent_dim = 3

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 64)
        with torch.no_grad():
            self.layer.weight.copy_(torch.sin(torch.arange(192.0)).view(64, 3))
            self.layer.bias.zero_()

    def forward(self, z{argument}):
        return (self.layer(z).view(-1, 1, 8, 8) + {noise}).tanh()


class D(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 1)
        nn.init.constant_(self.layer.weight, 0.1)
        nn.init.zeros_(self.layer.bias)

    def forward(self, images):
        return self.layer(self.features(images))

    def features(self, images):
        return images.flatten(1)


def make():
    return G(), D()
"""
Settings = dict[str, Any]


def _python(folder: Path, name: str, **texts: str) -> Settings:
    said = {"argument": "", "noise": "torch.randn(len(z), 1, 8, 8)", **texts}
    (folder / f"{name}.py").write_text(FACTORY.format(**said))
    return {"python": f"{name}:make", "stochastic": True}


def _lists(folder: Path) -> Settings:
    noise = "torch.stack([torch.randn(1, 8, 8, generator=one) for one in generator])"
    return _python(folder, "noisy_contract_lists", argument=", generator", noise=noise)


def _program(folder: Path) -> Settings:
    class G(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(3, 64)

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return (self.layer(z) + torch.randn(64)).tanh().view(-1, 1, 8, 8)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(G(), torch.zeros(1, 3), check_trace=False), folder / "g.ts")
    return {"torchscript": str(folder / "g.ts"), "latent_dim": 3, "trusted": True, "stochastic": True}


def _pipeline(folder: Path, **settings: Any) -> Settings:
    path = folder / "pipeline"
    return {
        "diffusers": str(path if path.exists() else pipelines.unconditional(path)),
        "steps": 2,
        **settings,
    }


def _texts(folder: Path) -> Settings:
    return {"diffusers": str(pipelines.texts(folder / "texts")), "steps": 2, "prompts": ["a cat", "b"]}


KINDS: dict[str, Callable[[Path], Settings]] = {
    "python": lambda folder: _python(folder, "noisy_contract"),
    "python, with lists of generators": _lists,
    "torchscript": _program,
    "DDPM": _pipeline,
    "DDIM without noise": lambda folder: _pipeline(folder, scheduler="ddim"),
    "Stable Diffusion": _texts,
}
DEFAULT = ("python", "DDIM without noise")
EACH = [pytest.param(kind, marks=[] if kind in DEFAULT else pytest.mark.slow) for kind in KINDS]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(directory: Path, settings: Settings, **values: Any) -> AuditResults:
    architecture = {"kind": "dcgan", "width": 4}
    attack = {
        "kind": "fidelity",
        "architecture": architecture,
        "query_budget": 20,
        "steps": 2,
        "batch_size": 8,
    }
    said: dict[str, Any] = {"target": settings, "real": "digits", "features": "random_network", "seeds": [0]}
    said |= {"samples": 12, "even_if": "target_broken", "independent": "off", "attacks": [attack], **values}
    return audit("tiny", parse(Spec, said, "spec"), directory, processes=1, listener=lambda event: None)


@pytest.mark.parametrize("kind", EACH)
def test_it_is_defended_metered_and_stored(folder: Path, kind: str, compute: Compute) -> None:
    target = load_target(parse_target(KINDS[kind](folder)), compute)
    chain = parse_chain({"kind": "jpeg", "quality": 50})
    shielded = defend(target, chain, secret=b"s", client="c", tools=tools_for(target.image_shape[0], compute))
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.open_account("us", 30)
        store = Store(folder / "store", shielded.identity, "us", 0)
        first = harvest(meter(shielded, ledger, "us"), store, 10)
        more = harvest(meter(shielded, ledger, "us"), store, 30)
        assert torch.equal(more[:10], first)
        assert ledger.balance("us").reserved == 30
        own = target.sample(range(30), seed=0)
        assert 0 < (own.float() - more.float()).abs().mean() < 40


@pytest.mark.parametrize("kind", EACH)
def test_a_gateway_serves_it(folder: Path, kind: str, compute: Compute) -> None:
    settings = KINDS[kind](folder)
    said = {"target": settings, "directory": str(folder / "state"), "compute": compute.model_dump()}
    service = Service(parse(GatewaySpec, said, "spec"))
    try:
        queued = service.batching.of("somebody")
        images = queued.sample(range(20), seed=3)
        assert torch.equal(queued.sample(range(5, 9), seed=3), images[5:9])
        assert isinstance(queued, LatentTarget) == (kind == "DDIM without noise")
    finally:
        service.close()
    assert torch.equal(load_target(parse_target(settings), compute).sample(range(20), seed=3), images)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_audit_ends_and_says_how_images_were_made(folder: Path, kind: str) -> None:
    settings = KINDS[kind](folder)
    colour = {"real": _photos(folder)} if kind == "Stable Diffusion" else {}
    results = run(folder / "audit", settings, **colour)
    assert results.select(subject="substitute", against="target")
    assert [found for found in examine(folder / "audit") if found.severity == "wrong"] == []
    if "diffusers" in settings:
        assert any("steps" in note and "at once" in note for note in results.target.notes)
    again = run(folder / "audit", settings, **colour)
    assert again.measurements == results.measurements


def _photos(folder: Path) -> Settings:
    """Write 40 pictures of 16x16 pixels in colour."""
    from PIL import Image

    (folder / "photos").mkdir()
    noise = torch.Generator().manual_seed(0)
    for number in range(40):
        pixels = torch.randint(0, 256, (16, 16, 3), generator=noise, dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(folder / "photos" / f"{number}.png")
    return {"kind": "image_folder", "path": str(folder / "photos"), "size": 16}


def test_codes_are_sent_only_to_what_takes_them(folder: Path) -> None:
    with pytest.raises(InputError, match="codes: client, but this target takes no codes"):
        run(folder / "audit", KINDS["python"](folder), codes="client")


@pytest.mark.slow
def test_codes_are_sent_to_a_pipeline_without_noise(folder: Path) -> None:
    found = run(
        folder / "audit",
        KINDS["DDIM without noise"](folder),
        codes="client",
        defences=["none", {"kind": "linear_interpolation"}],
    )
    assert found.select(subject="substitute", against="target")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["python", "DDPM"])
def test_a_found_copy_may_be_one(folder: Path, tiny_checkpoint: Callable[..., Path], kind: str) -> None:
    gan = tiny_checkpoint(folder / "gan")
    attack = {"kind": "found", "substitute": KINDS[kind](folder), "query_budget": 10}
    results = run(folder / "audit", {"checkpoint": str(gan)}, attacks=[attack])
    assert results.select(subject="substitute", against="target")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["python", "DDPM"])
def test_a_harvest_that_is_killed_goes_on_with_the_same_images(
    folder: Path, kind: str, compute: Compute
) -> None:
    settings = KINDS[kind](folder)
    if "diffusers" in settings:
        settings["steps"] = 20
    verb = "import sys; sys.argv[0] = 'ganguard'; from ganguard.cli.main import main; main()"
    command = [sys.executable, "-c", verb, "harvest", json.dumps(settings), "--count", "300", "--out", "out"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
    while not list(folder.glob("out/data/*.parquet")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert ended.returncode == 0, ended.stderr
    target = load_target(parse_target(settings), compute)
    with Ledger(folder / "out" / "ledger.sqlite") as ledger:
        assert ledger.balance("default").reserved == 300
    bought = load_dataset(parse_dataset({"kind": "parquet", "path": str(folder / "out" / "data")})).images
    assert torch.equal(bought[100:140], target.sample(range(100, 140), seed=0))


def test_a_checkpoint_on_the_hub_without_noise_is_told_so(
    folder: Path, tiny_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, compute: Compute
) -> None:
    gan = tiny_checkpoint(folder / "gan")
    kept = folder / "models--owner--gan"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("0" * 40)
    shutil.copytree(gan, kept / "snapshots" / ("0" * 40))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    target = load_target(parse_target({"hub": "owner/gan", "stochastic": True}), compute)
    assert not isinstance(target, LatentTarget)
    assert any("other noise gives the same images" in note for note in getattr(target, "notes", ()))
    plain = load_target(parse_target({"hub": "owner/gan"}), compute)
    difference = target.sample(range(9), seed=1).float() - plain.sample(range(9), seed=1).float()
    assert difference.abs().max() <= 1
