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
from conditional_gans import CONDITIONAL, NAMES, NOISY_VARIANTS, conditional_checkpoint
from fastapi.testclient import TestClient
from noisy_targets import KINDS
from test_target_contract import ADAPTERS, VARIANTS

from ganguard.audit.doctor import examine
from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.base.compute import Compute
from ganguard.base.errors import BudgetError, DataError, SpecError
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
from ganguard.targets.ask import Ask, asked_of
from ganguard.targets.conditions import conditions_of, sample
from ganguard.targets.load import load_target, parse_target
from ganguard.targets.protocol import LatentTarget
from ganguard.targets.wire import Scopes

Settings = dict[str, Any]


DIRTY = "python that leaves dirt"  # with codes of another prior and shape
ASKED = "asked for classes: "  # before the name of an adapter of a conditional generator
OFTEN = ("python", "noise")
OF_CLASSES = [ASKED + name for name in OFTEN]
MORE = [
    pytest.param(name, marks=pytest.mark.slow)
    for name in (
        *(DIRTY, "a flow", "pipeline with noise", "pipeline of texts"),
        *(ASKED + name for name in CONDITIONAL if name not in OFTEN),
    )
]


@pytest.fixture(params=[*ADAPTERS, "noise", *OF_CLASSES, *MORE])
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
    if request.param.startswith(ASKED):
        gan = conditional_checkpoint(tmp_path / "gan")
        return (CONDITIONAL | NOISY_VARIANTS)[request.param.removeprefix(ASKED)](gan, tmp_path)
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
        if known := conditions_of(target):
            asked = asked_of(target, None, range(70), seed=0)
            assert asked is not None
            assert Store.open(tmp_path / "store").read_conditions(70) == known.said(asked)
            assert set(known.said(asked)) == set(known.names)
        again = harvest(metered, Store(tmp_path / "store", target.identity, "us", 0), 70)
        assert torch.equal(again, images)
        assert ledger.balance("us").delivered == 70
        with pytest.raises(BudgetError):
            metered.sample(range(70, 71), seed=0)


PARTS = (range(4), range(4, 9))


def _skip_alike(request: pytest.FixtureRequest) -> None:
    """Skip what takes long for generators of conditions that become the same sort of target."""
    name = request.node.name
    if "pipeline of texts" in name or (ASKED in name and f"{ASKED}python" not in name):
        pytest.skip("one generator of classes is enough; test_noisy_contract.py audits texts")


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
    if (known := conditions_of(target)) is not None:
        assert shielded.conditions == known
        asked = torch.arange(9) % len(known)
        whole = shielded.sample(range(9), seed=0, conditions=asked)
        parts = [shielded.sample(part, seed=0, conditions=asked[part.start : part.stop]) for part in PARTS]
        assert torch.equal(torch.cat(parts), whole)
        undefended = sample(target, range(9), seed=0, conditions=asked)
        assert not torch.equal(whole, undefended)
    other = defend(target, chain, secret=b"s", client="another", tools=tools)
    if defence["kind"] == "gaussian_noise":
        assert not torch.equal(other.sample(range(9), seed=0), images)


def test_what_one_class_is_bought_of_is_a_purchase_of_its_own(tmp_path: Path, compute: Compute) -> None:
    said = CONDITIONAL["checkpoint"](conditional_checkpoint(tmp_path / "gan"), tmp_path)
    target = load_target(parse_target(said), compute)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.open_account("us", 25)
        metered = meter(target, ledger, "us")
        store = Store(tmp_path / "store", target.identity, "us", 0, ask=Ask(only=(NAMES[2],)))
        images = harvest(metered, store, 10)
        assert store.read_conditions(10) == [NAMES[2]] * 10
        wanted = sample(target, range(10), seed=0, conditions=torch.full((10,), 2))
        assert torch.equal(images, wanted)
        with pytest.raises(DataError, match="holds another harvest"):
            harvest(metered, Store(tmp_path / "store", target.identity, "us", 0), 10)
        harvest(metered, Store(tmp_path / "other", target.identity, "us", 0), 10)
        assert ledger.balance("us").delivered == 20  # the images of another ask are counted anew
        with pytest.raises(SpecError, match="unknown class 'cow'"):
            harvest(metered, Store(tmp_path / "cow", target.identity, "us", 0, ask=Ask(only=("cow",))), 5)
        assert ledger.balance("us").delivered == 20


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
def test_a_harvest_that_was_killed_goes_on(
    settings: Settings, request: pytest.FixtureRequest, tmp_path: Path, compute: Compute
) -> None:
    _skip_alike(request)
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
def test_an_audit_of_it_ends_and_its_report_is_whole(
    settings: Settings, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    _skip_alike(request)
    if "classes" in settings:
        settings = {**settings, "classes": ["0", "1", "2"]}  # as the real images call them
    attack = {"kind": "fidelity", "architecture": "dcgan", "query_budget": 20, "steps": 2, "batch_size": 8}
    said: Settings = {"target": settings, "real": "digits", "features": "random_network", "attacks": [attack]}
    said |= {"samples": 70, "even_if": "target_broken", "independent": "off", "seeds": [0]}
    out = tmp_path / "audit"
    results = audit("tiny", parse(Spec, said, "spec"), out, processes=1, listener=lambda event: None)
    assert results.select(subject="substitute", against="target")
    assert {account.role: account.bought for account in results.accounts}["adversary"] == 20
    assert [found for found in examine(out) if found.severity == "wrong"] == []
    assert "</html>" in (out / "report.html").read_text()
