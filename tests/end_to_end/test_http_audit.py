"""An audit over the wire of what `ganguard serve` serves, beside the same audit at home: the same images, the
same numbers."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from ganguard.audit.check.run import check
from ganguard.audit.doctor import examine
from ganguard.audit.engine.execute import execute
from ganguard.audit.outcome.assemble import assemble
from ganguard.audit.plan.plan import make_plan
from ganguard.audit.run import audit
from ganguard.audit.spec.reading import read_spec
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.target_files import SECRET
from ganguard.base.errors import BudgetError, SpecError
from ganguard.base.settings import parse
from ganguard.gateway.shop.keys import Keys
from ganguard.gateway.shop.secret import secret_of
from ganguard.gateway.spec import GatewaySpec
from ganguard.queries.ledger import Ledger
from ganguard.queries.ledger_database import Database
from ganguard.results.records import AuditResults, Measurement
from ganguard.targets.wire import Scopes
from ganguard.targets.wire_client import WireClient

pytestmark = pytest.mark.slow

SPEC = {
    "real": "digits",
    "features": {"kind": "classifier", "steps": 30},
    "attacks": [
        {
            "kind": "fidelity",
            "architecture": "dcgan",
            "query_budget": [70, 130],
            "steps": 10,
            "batch_size": 16,
            "n_dis": 1,
        }
    ],
    "seeds": [0],
    "samples": 150,
    "even_if": "target_broken",
    "independent": "off",
}
NOISE = {"kind": "gaussian_noise", "std": 0.3}
Serve = Callable[..., tuple[str, str]]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Serve a checkpoint in a process of its own, to an account of a name; gives its address."""
    with ExitStack() as running:

        def start(checkpoint: Path, account: str, budget: int, **values: Any) -> str:
            state = tmp_path / f"state {account}"
            spec = {"target": {"checkpoint": str(checkpoint)}, "directory": str(state), "port": 0, **values}
            state.mkdir(mode=0o700)
            (state / "secret").touch(0o600)
            (state / "secret").write_bytes(SECRET)
            path = tmp_path / "gateway.yaml"
            path.write_text(yaml.safe_dump(spec))
            address = running.enter_context(_process(path))
            place = parse(GatewaySpec, spec, "spec").place()
            with Ledger(place) as ledger:
                ledger.open_account(account, budget)
            database = Database(place)
            key, _ = Keys(database).create(account, "default", Scopes(choose_seed=True, most_images=128))
            database.close()
            monkeypatch.setenv("GANGUARD_KEY", key)
            assert secret_of(state) == SECRET
            return address

        yield start


@contextmanager
def _process(spec: Path) -> Iterator[str]:
    """`ganguard serve`, which ends well when it is told to."""
    command = [sys.executable, "-c", "from ganguard.cli.main import main; main()", "serve", str(spec)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        try:
            assert line.startswith("Serving http://127.0.0.1:"), line
            yield line.removeprefix("Serving ").strip()
        finally:
            server.send_signal(signal.SIGTERM)
            _, said = server.communicate(timeout=60)
    assert server.returncode == 0, said
    assert "Traceback" not in said


def run(directory: Path, **values: Any) -> AuditResults:
    spec = parse(Spec, {**SPEC, **values}, "spec")
    return audit("tiny", spec, directory, processes=1, listener=lambda event: None)


def numbers(
    results: AuditResults, *, defence: str | None = None, subjects: tuple[str, ...] = ()
) -> list[Measurement]:
    """What was measured, without whose defence it was."""
    rows = results.select(defence=defence)
    return [
        m.model_copy(update={"defence": None, "adversary": None})
        for m in rows
        if not subjects or m.subject in subjects
    ]


def test_over_the_wire_the_numbers_are_those_at_home(
    tmp_path: Path, tiny_checkpoint: Any, serve: Callable[..., str]
) -> None:
    checkpoint = tiny_checkpoint(tmp_path / "generator")
    at_home = run(tmp_path / "home", target={"checkpoint": str(checkpoint)}, independent="on")
    address = serve(checkpoint, "us", 130 + 300)
    there = run(tmp_path / "wire", target={"url": address}, independent="on")
    assert numbers(there) == numbers(at_home)
    assert there.select(subject="independent", against="target")
    assert there.target.measured_against == "api"
    assert "to what the API returns" in (tmp_path / "wire" / "report.html").read_text()
    assert [account.bought for account in there.accounts] == [account.bought for account in at_home.accounts]
    assert [finding for finding in examine(tmp_path / "wire") if finding.severity == "wrong"] == []
    with Ledger(tmp_path / "state us" / "ledger.sqlite") as ledger:
        balance = ledger.balance("us")
    assert (balance.reserved, balance.delivered) == (430, 430)
    with pytest.raises(BudgetError, match="may buy 0 more"):
        run(tmp_path / "more", target={"url": address}, seeds=[1])


def test_behind_a_defence_too_beside_a_reference(
    tmp_path: Path, tiny_checkpoint: Any, serve: Callable[..., str]
) -> None:
    checkpoint = tiny_checkpoint(tmp_path / "generator")
    at_home = run(tmp_path / "home", target={"checkpoint": str(checkpoint)}, defences=[NOISE])
    address = serve(checkpoint, "adversary 0", 130, classes={"default": {"defences": NOISE}})
    there = run(tmp_path / "wire", target={"url": address}, reference={"checkpoint": str(checkpoint)})
    bought = ("substitute", "purchase")
    assert numbers(there, subjects=bought) == numbers(
        at_home, defence=at_home.defences[0].label, subjects=bought
    )
    plain = [
        [m for m in numbers(r, subjects=("target", "real")) if m.against != "purchase"]
        for r in (there, at_home)
    ]
    assert plain[0] == plain[1]
    assert there.target.measured_against == "reference"
    assert [finding for finding in examine(tmp_path / "wire") if finding.severity == "wrong"] == []


@pytest.mark.slow
def test_a_check_buys_the_first_images_of_its_audit_and_no_others(
    tmp_path: Path, tiny_checkpoint: Any, serve: Callable[..., str]
) -> None:
    """The account pays for the audit alone, to the image, although a check came before it, twice."""
    address = serve(tiny_checkpoint(tmp_path / "generator"), "us", 130 + 300)
    spec = parse(Spec, {**SPEC, "target": {"url": address}, "price": 0.1}, "spec")
    hear: Any = lambda *_: None  # noqa: E731
    found = [check("tiny", spec, tmp_path / "wire", listener=hear, say=hear) for _ in range(2)]
    for each in found:
        assert each.opened.problems == []
        assert each.look is not None
        assert (each.look.bought, each.look.impure) == (64, None)
        assert each.estimate is not None
        assert (each.estimate.buys, each.estimate.money) == (430 - 64, pytest.approx(36.6))
    results = run(tmp_path / "wire", target={"url": address}, price=0.1)
    assert [account.bought for account in results.accounts] == [300, 130]
    with Ledger(tmp_path / "state us" / "ledger.sqlite") as ledger:
        assert ledger.balance("us").reserved == 430


@pytest.mark.parametrize("beside_a_reference", [False, True])
def test_what_assembles_asks_the_gateway_for_nothing(
    tmp_path: Path,
    tiny_checkpoint: Any,
    serve: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    beside_a_reference: bool,
) -> None:
    checkpoint, audited = tiny_checkpoint(tmp_path / "generator"), tmp_path / "audit"
    target: dict[str, Any] = {"target": {"url": serve(checkpoint, "us", 130 + 300)}}
    if beside_a_reference:
        target["reference"] = {"checkpoint": str(checkpoint)}
    spec = parse(Spec, {**SPEC, **target}, "spec")
    plan = make_plan(spec)
    audited.mkdir()
    execution = execute(plan, audited, spec.compute, processes=1, listener=lambda event: None)

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("the gateway is asked")

    monkeypatch.setattr(WireClient, "__init__", refuse)
    monkeypatch.setattr(WireClient, "_asked", refuse)
    results = assemble("tiny", spec, plan, execution, audited, processes=1)
    assert {(account.role, account.bought) for account in results.accounts} == {
        ("auditor", 300),
        ("adversary", 130),
    }
    assert results.target.measured_against == ("reference" if beside_a_reference else "api")
    assert results.target.image_shape == (1, 8, 8)
    assert results.failures == ()


def test_a_reference_is_for_what_is_elsewhere_and_lies_here(tmp_path: Path) -> None:
    here, there = {"checkpoint": str(tmp_path)}, {"url": "http://localhost:1"}
    for target, reference in ((here, here), (there, there)):
        with pytest.raises(SpecError, match="reference goes with a target at a url"):
            parse(Spec, {**SPEC, "target": target, "reference": reference}, "spec")
    with pytest.raises(SpecError, match="reference: unknown target"):
        parse(Spec, {**SPEC, "target": there, "reference": {"chekpoint": "x"}}, "spec")
    with pytest.raises(SpecError, match="Set reference"):
        slant = {"kind": "semantic_interpolation", "attribute": "slant", "amount": 1}
        parse(Spec, {**SPEC, "target": there, "defences": [slant]}, "spec")


def test_the_preset_asks_this_machine() -> None:
    assert read_spec("digits-http", [])[1].remote()
