"""Each kind of target through every part: metered, defended, stored, killed, served, and audited whole."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from noisy_targets import KINDS
from test_target_contract import ADAPTERS, VARIANTS

from ganguard.audit.doctor import examine
from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.base.compute import Compute
from ganguard.base.errors import BudgetError
from ganguard.base.settings import parse
from ganguard.defences.defended_target import defend
from ganguard.defences.protocol import parse_chain
from ganguard.defences.tools import tools_for
from ganguard.gateway.http.app import create_app
from ganguard.gateway.shop.service import Service
from ganguard.gateway.spec import GatewaySpec
from ganguard.queries.harvest import harvest
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store
from ganguard.targets.load import load_target, parse_target
from ganguard.targets.protocol import LatentTarget
from ganguard.targets.wire import Scopes

Settings = dict[str, Any]


DIRTY = "python that leaves dirt"  # with codes of another prior and shape
MORE = [pytest.param(name, marks=pytest.mark.slow) for name in (DIRTY, "pipeline with noise")]


@pytest.fixture(params=[*ADAPTERS, "noise", *MORE])
def settings(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tiny_checkpoint: Callable[..., Path],
) -> Settings:
    """Return what a spec says of an untrained generator, through one adapter."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))  # of processes that a test starts
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    if request.param in KINDS:
        return KINDS[request.param](tmp_path)
    return (ADAPTERS | VARIANTS)[request.param](tiny_checkpoint(tmp_path / "gan"), tmp_path)


def test_what_is_bought_is_counted_stored_and_never_bought_twice(
    settings: Settings, tmp_path: Path, compute: Compute
) -> None:
    target = load_target(parse_target(settings), compute)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.open_account("us", 70)
        metered = meter(target, ledger, "us")
        images = harvest(metered, Store(tmp_path / "store", target.identity, "us", 0), 70)
        assert torch.equal(images, target.sample(range(70), seed=0))
        again = harvest(metered, Store(tmp_path / "store", target.identity, "us", 0), 70)
        assert torch.equal(again, images)
        assert ledger.balance("us").delivered == 70
        with pytest.raises(BudgetError):
            metered.sample(range(70, 71), seed=0)


@pytest.mark.parametrize(
    "defence",
    [{"kind": "gaussian_noise", "std": 0.2}, {"kind": "linear_interpolation"}],
    ids=["output", "input"],
)
def test_a_defence_stands_before_it(settings: Settings, defence: Settings, compute: Compute) -> None:
    target = load_target(parse_target(settings), compute)
    if defence["kind"] == "linear_interpolation" and not isinstance(target, LatentTarget):
        pytest.skip("its client cannot send codes, and no input defence stands before it")
    chain, tools = parse_chain(defence), tools_for(target.image_shape[0], compute)
    shielded = defend(target, chain, secret=b"s", client="c", tools=tools)
    images = shielded.sample(range(9), seed=0)
    assert images.shape == (9, *target.image_shape)
    assert not torch.equal(images, target.sample(range(9), seed=0))
    assert torch.equal(
        torch.cat([shielded.sample(range(4), seed=0), shielded.sample(range(4, 9), seed=0)]), images
    )
    other = defend(target, chain, secret=b"s", client="another", tools=tools)
    if defence["kind"] == "gaussian_noise":
        assert not torch.equal(other.sample(range(9), seed=0), images)


def test_a_gateway_sells_the_same_images(settings: Settings, tmp_path: Path, compute: Compute) -> None:
    target = load_target(parse_target(settings), compute)
    said = {"target": settings, "directory": str(tmp_path / "state")}
    service = Service(parse(GatewaySpec, said, "spec"))
    with TestClient(create_app(service)) as client:
        service.ledger.ensure_account("us", 10)
        scopes = Scopes(send_latents=True, choose_seed=True, most_images=256)
        key, _ = service.keys.create("us", "default", scopes)
        answer = client.post(
            "/v1/images",
            json={"count": 5, "seed": 3, "start": 70, "format": "npz"},
            headers={"Authorization": f"Bearer {key}"},
        )
        assert answer.status_code == 200, answer.text
        with np.load(io.BytesIO(answer.content)) as arrays:
            sold = torch.from_numpy(arrays["images"])
        assert torch.equal(sold, target.sample(range(70, 75), seed=3))
        assert service.ledger.balance("us").delivered == 5


@pytest.mark.slow
def test_a_harvest_that_was_killed_goes_on(settings: Settings, tmp_path: Path, compute: Compute) -> None:
    command = [sys.executable, "-c", "from ganguard.cli.main import main; main()", "harvest"]
    command += [json.dumps(settings), "--count", "2000", "--out", str(tmp_path / "out")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
    begun = tmp_path / "out" / "data"
    while process.poll() is None and not (begun.is_dir() and any(begun.iterdir())):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    subprocess.run(command, check=True, capture_output=True, env=os.environ)
    target = load_target(parse_target(settings), compute)
    with Ledger(tmp_path / "out" / "ledger.sqlite") as ledger:
        assert ledger.balance("default").delivered == 2000
    images = Store(tmp_path / "out", target.identity, "default", 0).read(2000)
    assert torch.equal(images, target.sample(range(2000), seed=0))


@pytest.mark.slow
def test_an_audit_of_it_ends_and_its_report_is_whole(settings: Settings, tmp_path: Path) -> None:
    attack = {"kind": "fidelity", "architecture": "dcgan", "query_budget": 20, "steps": 2, "batch_size": 8}
    said: Settings = {"target": settings, "real": "digits", "features": "random_network", "attacks": [attack]}
    said |= {"samples": 70, "even_if": "target_broken", "independent": "off", "seeds": [0]}
    out = tmp_path / "audit"
    results = audit("tiny", parse(Spec, said, "spec"), out, processes=1, listener=lambda event: None)
    assert results.select(subject="substitute", against="target")
    assert {account.role: account.bought for account in results.accounts}["adversary"] == 20
    assert [found for found in examine(out) if found.severity == "wrong"] == []
    assert "</html>" in (out / "report.html").read_text()
