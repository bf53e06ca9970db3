"""Gateways under load and faults: nobody gets more than it pays for, nobody loses what it paid, and every
failure has a cause.

`make proof` sends 100,000 requests; docs/reliability.md sums up its log. The slow test sends a tenth of them.
"""

import random
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from gateway_clients import Buyer, Slow, Stranger, Tally
from gateway_site import Site, ending, postgres_site, sqlite_site
from postgres_server import postgres

from ganguard.base.settings import parse
from ganguard.gateway.shop.service import Service
from ganguard.gateway.spec import GatewaySpec
from ganguard.targets.protocol import LatentTarget
from ganguard.targets.wire import Scopes

__all__ = ["postgres"]
SHAPE = (1, 8, 8)
BUYERS = 16
OWN_KEYS, NO_KEYS, POOR = ("alice", "bob"), ("carol", "dave"), "poor"
PLENTY = 10_000_000
SLOW_CLIENTS, PROVOKED = 4, 3

Make = Callable[[dict[str, Any]], Site]


@pytest.fixture
def under_load(
    tmp_path: Path, tiny_checkpoint: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> Callable[..., None]:
    """Send requests to a site while one fault follows the other; then look at everything."""

    def go(requests: int, make: Make, **more: Any) -> None:
        values = {
            "target": {"checkpoint": str(tiny_checkpoint(tmp_path / "generator"))},
            "directory": str(tmp_path / "state"),
            "classes": {"default": {"defences": {"kind": "gaussian_noise", "std": 0.3}}},
            "port": 0,
            **more,
        }
        keys = _keys(values, poor=requests // 100)
        begun = time.monotonic()
        with ending(make(values)) as site:
            tally, buyers = Tally(site, requests), list[Buyer]()
            accounts = [*OWN_KEYS, *NO_KEYS, POOR]
            for number in range(BUYERS):
                account = accounts[number % len(accounts)]
                own = account not in NO_KEYS
                buyers.append(Buyer(number, account, keys[account], tally, own=own, shape=SHAPE))
            others = [Slow(number, keys["slow"], tally) for number in range(SLOW_CLIENTS)]
            others += [Stranger(number, keys["hostile"], tally) for number in range(PROVOKED)]
            faults = threading.Thread(target=site.trouble, args=(requests, tally.enough))
            faults.start()
            with ThreadPoolExecutor(BUYERS + len(others)) as clients:
                working = [clients.submit(client.go_on) for client in [*buyers, *others]]
                tally.enough.wait()
                faults.join()
                for client in working:
                    client.result(300)
            _require_again_the_same(site, buyers, keys)
        with capsys.disabled():
            sys.stdout.write(_summary(tally, site, time.monotonic() - begun))
        assert tally.unexplained == []
        _require_everything(values, buyers, keys)

    return go


def _keys(values: dict[str, Any], poor: int) -> dict[str, str]:
    """Open the accounts, and return a key of each."""
    service = Service(parse(GatewaySpec, values, "spec"))
    scopes, keys = Scopes(choose_seed=True, send_latents=True), dict[str, str]()
    for account in [*OWN_KEYS, *NO_KEYS, POOR, "slow", "hostile"]:
        service.ledger.open_account(account, poor if account == POOR else PLENTY)
        keys[account] = service.keys.create(account, "default", scopes)[0]
    service.close()
    return keys


def _require_again_the_same(site: Site, buyers: list[Buyer], keys: dict[str, str]) -> None:
    """Ask again for some of what was bought: the same bytes, and nothing is spent."""
    draw, tally = random.Random(0), Tally(site, 1 << 30)
    for buyer in buyers:
        got = buyer.bought.images
        for key in draw.sample(sorted(got), min(5, len(got))):
            body, images = got[key]
            asked_again = Buyer(
                0, buyer.bought.account, keys[buyer.bought.account], tally, own=True, shape=SHAPE
            )
            asked_again.buy(body, key)
            asked_again.close()
            assert torch.equal(asked_again.bought.images[key][1], images)


def _require_everything(values: dict[str, Any], buyers: list[Buyer], keys: dict[str, str]) -> None:
    """Compare the ledger with what the clients hold, and the images with those that the target makes."""
    service = Service(parse(GatewaySpec, values, "spec"))
    for account in keys:
        mine, balance = (
            [b.bought for b in buyers if b.bought.account == account],
            service.ledger.balance(account),
        )
        held = sum(len(images) for bought in mine for _, images in bought.images.values())
        lost = sum(bought.lost for bought in mine)
        assert balance.delivered <= balance.reserved <= balance.budget
        if account in (*OWN_KEYS, POOR):
            assert held == balance.reserved == balance.delivered
        elif account in NO_KEYS:
            # Who names no key, and gets no answer, cannot ask again; a request is of at most 4 images.
            assert held <= balance.delivered <= balance.reserved <= held + 4 * lost
    assert any(buyer.bought.spent_out for buyer in buyers if buyer.bought.account == POOR)
    for buyer in buyers:
        target = service.target_for(buyer.bought.account, "default")
        assert isinstance(target, LatentTarget)
        for body, images in list(buyer.bought.images.values())[:200]:
            if "seed" in body:
                wanted = range(body["start"], body["start"] + body["count"])
                assert torch.equal(images, target.sample(wanted, seed=body["seed"]))
            elif "latents" in body:
                assert torch.equal(images, target.generate(torch.tensor(body["latents"])))
    service.close()


def _summary(tally: Tally, site: Site, took: float) -> str:
    faults = [name for name, *_ in site.windows]
    met = ", ".join(f"{name} {faults.count(name)}" for name in sorted(set(faults)))
    lines = [f"{tally.answers():,} requests answered in {took:.0f} s; faults: {met}"]
    for who in sorted({who for who, _ in tally.statuses}):
        counts = sorted((status, n) for (of, status), n in tally.statuses.items() if of == who)
        lines.append(f"  {who}: " + ", ".join(f"{status or 'no answer'} {n:,}" for status, n in counts))
    return "\n".join(["", *lines, f"  unexplained: {len(tally.unexplained)}", ""])


def _on_postgres(postgres: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Make, dict[str, Any]]:
    monkeypatch.setenv("GATEWAY_LEDGER", postgres.database())
    return lambda values: postgres_site(values, postgres), {"ledger": "env:GATEWAY_LEDGER"}


@pytest.mark.slow
def test_five_thousand_requests_to_one_host(under_load: Callable[..., None]) -> None:
    under_load(5_000, sqlite_site)


@pytest.mark.slow
def test_five_thousand_requests_to_two_hosts(
    under_load: Callable[..., None], postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, ledger = _on_postgres(postgres, monkeypatch)
    under_load(5_000, make, **ledger)


@pytest.mark.proof
def test_fifty_thousand_requests_to_one_host(under_load: Callable[..., None]) -> None:
    under_load(50_000, sqlite_site)


@pytest.mark.proof
def test_fifty_thousand_requests_to_two_hosts(
    under_load: Callable[..., None], postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, ledger = _on_postgres(postgres, monkeypatch)
    under_load(50_000, make, **ledger)
