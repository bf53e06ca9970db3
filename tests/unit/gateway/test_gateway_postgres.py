"""A gateway whose ledger is in PostgreSQL, and two that share it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ganguard.base.errors import SpecError
from ganguard.gateway.shop import databases
from ganguard.gateway.shop.keys import Keys
from ganguard.gateway.watch.hours import by_hour
from ganguard.gateway.watch.signs import ONE
from ganguard.queries.ledger_database import Database
from ganguard.queries.reservation import of_conditions
from ganguard.targets.wire import Scopes

Start = Callable[..., Any]


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch, postgres: Any) -> str:
    """The spec's way to a new, empty database."""
    monkeypatch.setenv("GATEWAY_LEDGER", postgres.database())
    return "env:GATEWAY_LEDGER"


def test_two_gateways_share_accounts_keys_and_reservations(gateway: Start, shared: str) -> None:
    one, other = gateway(ledger=shared), gateway(ledger=shared)
    key = one.key(budget=100)
    first = one.buy(key, "k", count=30)
    assert other.buy(key, "k", count=30).content == first.content
    assert one.counts() == other.counts() == (30, 30)

    def buy(number: int) -> int:
        return (one, other)[number % 2].buy(key, count=10).status_code

    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(buy, range(12)))
    assert answers.count(200) == 7
    assert answers.count(402) == 5
    assert one.counts() == (100, 100)
    one.service.journal.write()
    other.service.journal.write()
    ((_, images),) = by_hour(one.service.database, ["us"])["us"]
    assert images == 100  # what was redeemed was asked for once


@pytest.mark.parametrize("anew", [None, 1, 8])
def test_one_gateway_delivers_nothing_that_the_other_gave_back(
    gateway: Start, shared: str, anew: int | None
) -> None:
    """Also if the idempotency key was given to another order meanwhile."""
    one, other = gateway(ledger=shared), gateway(ledger=shared)
    key, begun, go = one.key(budget=9), threading.Event(), threading.Event()
    real = other.service.batching.inner.generate

    def slow(latents: Any) -> Any:
        begun.set()
        assert go.wait(20)
        return real(latents)

    def fail(latents: Any) -> None:
        other.service.batching.inner.generate = slow
        late.append(clients.submit(other.buy, key, "k", count=8))
        assert begun.wait(20)
        raise RuntimeError("no images")

    late, works = [], one.service.batching.inner.generate
    one.service.batching.inner.generate = fail
    with ThreadPoolExecutor(1) as clients:
        assert "nothing was spent" in one.buy(key, "k", count=8).json()["detail"]
        assert one.counts() == (0, 0)
        one.service.batching.inner.generate = works
        if anew:
            assert one.buy(key, "k", count=anew).status_code == 200
        go.set()
        answer = late[0].result(20)
    if anew == 8:  # the same order: it was paid for meanwhile
        assert answer.content == one.buy(key, "k", count=8).content
    else:
        assert answer.status_code == 503
    assert one.counts() == (anew or 0, anew or 0)


def test_many_make_the_tables_at_once(postgres: Any, tmp_path: Path) -> None:
    address = postgres.database()

    def make(number: int) -> str:
        database = Database(address)
        text, _ = Keys(database).create(f"account {number}", "default", Scopes())
        database.close()
        return text

    with ThreadPoolExecutor(6) as at_once:
        keys = list(at_once.map(make, range(6)))
    database = Database(address)
    assert all(Keys(database).check(key) for key in keys)
    database.close()


def test_one_account_gets_keys_of_one_class(postgres: Any) -> None:
    """Two that make its first key at once: the second sees the first, and is refused."""
    database = Database(postgres.database())
    keys = Keys(database)

    def make(number: int) -> bool:
        try:
            keys.create("us", f"class-{number}", Scopes())
        except SpecError:
            return False
        return True

    with ThreadPoolExecutor(6) as at_once:
        assert sum(at_once.map(make, range(6))) == 1
    assert len(keys.listed()) == 1
    database.close()


def test_a_database_that_hangs_is_a_503_and_works_again_without_a_restart(
    gateway: Start, shared: str, postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "PATIENCE", 0.5)
    us = gateway(ledger=shared)
    key = us.key(budget=100)
    assert us.buy(key, "k", count=3).status_code == 200
    with postgres.hung(), ThreadPoolExecutor(6) as clients:
        begun = time.monotonic()
        found = list(clients.map(lambda n: us.buy(key, f"hung-{n}", count=1), range(6)))
        found.append(us.get("/v1/account", key))
        assert time.monotonic() - begun < 20
        for answer in found:
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            assert answer.headers["content-type"] == "application/problem+json"
            assert "postgres" not in answer.text
    answers = [us.buy(key, f"hung-{n}", count=1) for n in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 6
    assert us.counts() == (9, 9)  # what was reserved while nobody heard of it counts once


def test_two_gateways_share_budgets_and_signs_of_classes(
    conditional: Start, shared: str, caplog: pytest.LogCaptureFixture
) -> None:
    budgets = {"default": {"budgets": {"cat": 25}}}
    one, other = (conditional(ledger=shared, classes=budgets) for _ in range(2))
    key = one.key(budget=100)

    def buy(number: int) -> int:
        return (one, other)[number % 2].buy(key, count=2, condition=["cat", "dog"]).status_code

    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(buy, range(30)))
    assert (answers.count(200), answers.count(402)) == (25, 5)
    assert one.counts() == (50, 50)
    for n in range(150):
        one.service.ledger.reserve(f"{n}", "us", 0, f"{n}", of_conditions(["cat"], {}, "cat"))
        one.service.ledger.commit(f"{n}")
    one.service.ledger.open_condition("us", "cat", 300)
    found = {of.condition: (of.reserved, of.delivered) for of in other.service.ledger.conditions("us")}
    assert found["dog"] == (25, 25)
    for us in (one, other):
        us.service.watch.update()
        assert dict(us.service.watch.by_condition.totals())["dog"] == 25
        assert us.service.watch.by_condition.signs.sign("us").of == "cat"
    assert len([line for line in caplog.messages if ONE in line]) == 1
