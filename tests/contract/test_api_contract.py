"""APIs as targets, through every part: metered, defended, stored, killed, served, and audited whole."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from api_jobs import of_jobs
from api_server import ImageApi, charged_and_lost, good, serving

from ganguard.audit.doctor import examine
from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.base.compute import Compute
from ganguard.base.settings import parse
from ganguard.defences.defended_target import defend
from ganguard.defences.protocol import parse_chain
from ganguard.defences.tools import tools_for
from ganguard.queries.harvest import harvest
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store
from ganguard.results.records import AuditResults
from ganguard.targets.api import target as api_target
from ganguard.targets.batching_target import BatchingSettings, BatchingTarget
from ganguard.targets.load import load_target, parse_target
from ganguard.targets.protocol import BlackBoxTarget

Settings = dict[str, Any]


def _http(api: ImageApi) -> Settings:
    request = {"url": f"{api.url}/make", "body": {"text": "$PROMPT"}}
    return {"http": {"request": request, "image": "$.data[0].b64_json", "prompts": ["a digit"], "size": 8}}


def _openai(api: ImageApi) -> Settings:
    return {"openai": {"base_url": api.url, "model": "m", "prompts": ["a", "b"], "size": "8x8"}}


KINDS: dict[str, Callable[[ImageApi], Settings]] = {"http": _http, "openai": _openai}


def _jobs(api: ImageApi) -> Settings:
    """An API that answers with jobs, of three images each."""
    request = {"url": f"{api.url}/make", "body": {"text": "$PROMPT", "n": "$N"}}
    poll = {"url": "$.urls.get", "status": "$.status", "every": 0.001}
    values = {**_http(api)["http"], "request": request, "poll": poll, "image": "$.output[*]", "n": 3}
    return {"http": values}


@pytest.fixture
def api() -> Iterator[ImageApi]:
    with serving() as found:
        yield found


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(api_target, "FIRST_PAUSE", 0.0)


@pytest.fixture(params=KINDS)
def settings(request: pytest.FixtureRequest, api: ImageApi) -> Settings:
    value = KINDS[request.param](api)
    return {request.param: {**value[request.param], "channels": 1}}


@pytest.fixture
def target(settings: Settings, compute: Compute) -> BlackBoxTarget:
    return load_target(parse_target(settings), compute)


def run(directory: Path, settings: Settings, **values: Any) -> AuditResults:
    attack = {"kind": "fidelity", "architecture": "dcgan", "query_budget": 20, "steps": 2, "batch_size": 8}
    said: dict[str, Any] = {"target": settings, "real": "digits", "features": "random_network", "seeds": [0]}
    said |= {"samples": 12, "even_if": "target_broken", "independent": "off", "attacks": [attack], **values}
    return audit("tiny", parse(Spec, said, "spec"), directory, processes=1, listener=lambda event: None)


@pytest.mark.parametrize("cuts", [[0, 1, 9], [0, 4, 5, 9], list(range(10))])
def test_images_are_equal_however_a_request_is_cut(target: BlackBoxTarget, cuts: list[int]) -> None:
    whole = target.sample(range(9), seed=1)
    parts = [target.sample(range(start, stop), seed=1) for start, stop in itertools.pairwise(cuts)]
    assert torch.equal(torch.cat(parts), whole)


def test_behind_a_defence_and_a_meter_a_lost_answer_is_counted(
    api: ImageApi, target: BlackBoxTarget, tmp_path: Path, compute: Compute
) -> None:
    api.script += [good, charged_and_lost]
    chain = parse_chain({"kind": "gaussian_noise", "std": 0.2})
    shielded = defend(target, chain, secret=b"s", client="c", tools=tools_for(1, compute))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.open_account("us", 6)
        store = Store(tmp_path / "store", shielded.identity, "us", 0)
        images = harvest(meter(shielded, ledger, "us"), store, 4)
        assert ledger.balance("us").reserved == api.made == 5
        assert dict(ledger.asked_again()) == {"us": 1}
        assert not torch.equal(images, target.sample(range(4), seed=0))
        assert torch.equal(harvest(meter(shielded, ledger, "us"), store, 4), images)
    assert api.made == 5


def test_through_the_queue_of_a_gateway(target: BlackBoxTarget) -> None:
    queue = BatchingTarget(target, BatchingSettings())
    try:
        assert torch.equal(queue.of("us").sample(range(3), seed=0), target.sample(range(3), seed=0))
    finally:
        queue.close()


@pytest.mark.parametrize("kind", [pytest.param("http", marks=pytest.mark.slow), "openai"])
def test_an_audit_of_an_api_ends_and_says_what_it_cost(api: ImageApi, kind: str, tmp_path: Path) -> None:
    api.script += [good] * 30 + [charged_and_lost]
    settings = {kind: {**KINDS[kind](api)[kind], "channels": 1}}
    results = run(tmp_path / "audit", settings)
    assert results.target.description.startswith(f"{kind}: ")
    assert "not idempotent" in results.target.description
    assert results.target.measured_against == "api"
    assert {account.role: (account.bought, account.again) for account in results.accounts} == {
        "auditor": (24, 0),
        "adversary": (21, 1),
    }
    assert api.made == 45
    assert results.select(subject="substitute", against="target")
    page = (tmp_path / "audit" / "report.html").read_text()
    assert "1 image asked for again after no answer came" in page
    assert [found for found in examine(tmp_path / "audit") if found.severity == "wrong"] == []
    elsewhere = run(tmp_path / "elsewhere", settings)  # of the answers that are kept
    assert api.made == 45
    assert elsewhere.measurements == results.measurements


def test_an_audit_of_jobs_of_several_images_ends_and_counts_images(api: ImageApi, tmp_path: Path) -> None:
    jobs = of_jobs(api)
    jobs.ends = ["Succeeded"] * 10 + ["failed"]
    settings = {"http": {**_jobs(api)["http"], "channels": 1, "at_once": 2}}
    results = run(tmp_path / "audit", settings)
    assert {account.role: (account.bought, account.again) for account in results.accounts} == {
        "auditor": (24, 0),
        "adversary": (23, 3),  # the images of the job that failed
    }
    assert (api.made, len(api.asked)) == (44, 4 + 4 + 7 + 1)
    assert [found for found in examine(tmp_path / "audit") if found.severity == "wrong"] == []


@pytest.mark.parametrize("cuts", [[0, 2, 9], [0, 4, 5, 9], list(range(10))])
def test_jobs_of_several_images_are_cut_and_batched_like_others(
    api: ImageApi, cuts: list[int], compute: Compute
) -> None:
    of_jobs(api)
    target = load_target(parse_target(_jobs(api)), compute)
    queue = BatchingTarget(target, BatchingSettings())
    try:
        parts = [target.sample(range(start, stop), seed=1) for start, stop in itertools.pairwise(cuts)]
        assert torch.equal(queue.of("us").sample(range(9), seed=1), torch.cat(parts))
    finally:
        queue.close()
    assert api.made == 9


SLOW_SERVER_PAUSE = 0.05


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_harvest_that_is_killed_again_and_again_pays_for_no_stored_answer_twice(
    api: ImageApi, kind: str, tmp_path: Path
) -> None:
    def slowly(api: ImageApi) -> Any:
        time.sleep(SLOW_SERVER_PAUSE)
        return good(api)

    api.script += [slowly] * 200
    said = json.dumps(KINDS[kind](api))
    command = [sys.executable, "-c", "from ganguard.cli.main import main; main()", "harvest", said]
    command += ["--count", "60", "--out", str(tmp_path / "out")]
    for _ in range(2):
        made = api.made
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ)
        while api.made < made + 15 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    with Ledger(tmp_path / "out" / "ledger.sqlite") as ledger:
        reserved = ledger.balance("default").reserved
        again = ledger.asked_again()["default"]
    # A request that was noted and not yet sent when the kill came counts as made: one a kill, at most.
    assert 60 <= api.made <= reserved == 60 + again <= 62
    assert (f"{again} of them were asked for again" in ended.stderr) == (again > 0)
    kept = list((tmp_path / "home").rglob("*.answer"))
    assert len(kept) == 60
