"""A gateway that is killed under load, again and again: clients end with what they paid for, and nobody
beyond a budget."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from gateway_site import Host
from torch import Tensor

from ganguard.base.errors import BudgetError, StepError
from ganguard.base.settings import parse
from ganguard.gateway.shop.service import Service
from ganguard.gateway.spec import GatewaySpec
from ganguard.queries.ledger import Ledger
from ganguard.targets.wire import ImagesRequest, Scopes, from_npz
from ganguard.targets.wire_client import WireClient

CLIENTS = 6
ACCOUNTS = ("alice", "bob", "carol")
SHAPE = (1, 8, 8)


class Buyer:
    """Buys one request after the other on an account until it is told to stop or has spent it; keeps what it
    got."""

    def __init__(self, number: int, url: str, key: str) -> None:
        self.account, self.number, self.got = (
            ACCOUNTS[number % len(ACCOUNTS)],
            number,
            dict[tuple[int, int], Tensor](),
        )
        self._client = WireClient(url, key, direct=True, pause=lambda seconds: time.sleep(min(seconds, 0.3)))

    def buy(self, enough: threading.Event) -> None:
        draw, place = random.Random(self.number), 0
        with suppress(BudgetError):
            while not enough.is_set():
                count = draw.randint(1, 40)
                asked = ImagesRequest(count=count, seed=self.number, start=place, format="npz")
                content = self._bought(asked, f"{self.number}-{place}")
                self.got[place, place + count] = from_npz(content, count, SHAPE)
                place += count

    def _bought(self, asked: ImagesRequest, key: str) -> bytes:
        """Who gives up asks again, as its message says."""
        while True:
            with suppress(StepError):
                return self._client.images(asked, key, most=1 << 20)

    def count(self) -> int:
        return sum(stop - start for start, stop in list(self.got))


@pytest.fixture
def load(tmp_path: Path, tiny_checkpoint: Callable[..., Path]) -> Callable[[int, int], None]:
    """Kill a server so many times under load, its accounts having a budget; look at everything after each,
    and at the end."""

    def go(kills: int, budget: int) -> None:
        values = {
            "target": {"checkpoint": str(tiny_checkpoint(tmp_path / "generator"))},
            "directory": str(tmp_path / "state"),
            "classes": {"default": {"defences": {"kind": "gaussian_noise", "std": 0.3}}},
        }
        keys = _keys(values, budget)
        server = Host(values)
        buyers = [Buyer(n, server.url, keys[n % len(ACCOUNTS)]) for n in range(CLIENTS)]
        enough, moments = threading.Event(), random.Random(kills)
        with ThreadPoolExecutor(CLIENTS) as clients:
            buying = [clients.submit(buyer.buy, enough) for buyer in buyers]
            try:
                for _ in range(kills):
                    time.sleep(moments.uniform(0.0, 0.5))
                    server.kill()
                    server.begin()
                    _require_invariants(tmp_path, buyers)
                time.sleep(0.5)
            finally:
                enough.set()
            for one in buying:
                one.result(120)
        server.end()
        assert server.kills == kills
        _require_everything(values, buyers, budget)

    return go


def _keys(values: dict[str, Any], budget: int) -> list[str]:
    service = Service(parse(GatewaySpec, values, "spec"))
    for account in ACCOUNTS:
        service.ledger.open_account(account, budget)
    scopes = Scopes(choose_seed=True)
    keys = [service.keys.create(account, "default", scopes)[0] for account in ACCOUNTS]
    service.close()
    return keys


def _require_invariants(tmp_path: Path, buyers: list[Buyer]) -> None:
    held = {account: sum(b.count() for b in buyers if b.account == account) for account in ACCOUNTS}
    with Ledger(
        tmp_path / "state" / "ledger.sqlite"
    ) as ledger:  # after: what is held now was reserved before
        for balance in ledger.balances():
            assert held[balance.account] <= balance.reserved <= balance.budget
            assert balance.delivered <= balance.reserved


def _require_everything(values: dict[str, Any], buyers: list[Buyer], budget: int) -> None:
    service = Service(parse(GatewaySpec, values, "spec"))
    for account in ACCOUNTS:
        mine, balance = [b for b in buyers if b.account == account], service.ledger.balance(account)
        assert sum(b.count() for b in mine) == balance.reserved == balance.delivered <= budget
    for buyer in buyers:
        target, stop = service.target_for(buyer.account, "default"), buyer.count()
        assert stop > 0
        whole = torch.cat([buyer.got[part] for part in sorted(buyer.got)])
        assert torch.equal(whole, target.sample(range(stop), seed=buyer.number))
    service.close()


@pytest.mark.slow
def test_kills_under_load_lose_nothing(load: Callable[[int, int], None]) -> None:
    load(3, 1_000_000)


@pytest.mark.slow
def test_fifty_kills_under_load_lose_nothing(load: Callable[[int, int], None]) -> None:
    load(50, 1_000_000)


def test_nobody_buys_beyond_a_budget_that_two_spend_at_once(load: Callable[[int, int], None]) -> None:
    load(1, 300)
