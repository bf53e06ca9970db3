"""What the gateway watches survives restarts, is told of once, and is read from older ledgers."""

import logging
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from sqlalchemy import func, insert, select, update

from ganguard.gateway.http.operator_page import render
from ganguard.gateway.tables import CHUNKS, HOURS, REQUESTS, SIGNS, WATCHED, open_database
from ganguard.gateway.watch.hours import HOUR, KEPT, by_hour, hour_now, prune_hours, today
from ganguard.gateway.watch.raised_signs import counts, raised_of
from ganguard.gateway.watch.rates import AccountRates
from ganguard.gateway.watch.signs import FAR, NEAR, RATE
from ganguard.gateway.watch.watched import KEEP, MOST_IN_MEMORY, Watched
from ganguard.queries.ledger_database import Database
from ganguard.targets.wire import Scopes

Start = Callable[..., Any]


def prior(count: int, seed: int = 0, width: int = 5) -> Any:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


@pytest.fixture
def database(place: str) -> Iterator[Database]:
    """An empty ledger with the gateway's tables."""
    opened = open_database(Database(place))
    yield opened
    opened.close()


def number_of(database: Database, table: Any) -> int:
    with database.reading("count") as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def test_a_sign_is_told_of_once_counted_and_kept(gateway: Start, caplog: pytest.LogCaptureFixture) -> None:
    us = gateway()
    key, admin = us.key(), us.key("operator", 0, Scopes(admin=True))
    with caplog.at_level(logging.WARNING, logger="ganguard.gateway"):
        for _ in range(2):
            us.buy(key, latents=(3 * prior(100)).tolist())
            us.service.journal.write()
        (line,) = [said for said in caplog.messages if "sign of copying, codes far" in said]
        assert line.startswith("account 'us' raises a sign of copying, codes far from the prior: ")
        assert " over 64 codes (limit " in line
        caplog.clear()
        again = gateway()
        again.buy(key, latents=(3 * prior(100, 2)).tolist())
        again.service.journal.write()
        assert not [said for said in caplog.messages if "codes far" in said]
    (sign,) = [sign for sign in raised_of(again.service.database, ["us"]) if sign.sign == FAR]
    assert (sign.times, sign.raised, sign.codes) == (1, True, 64)
    assert time.time() - 60 < sign.at <= sign.seen
    text = again.get("/metrics", admin).text
    assert f'ganguard_signs{{sign="{FAR}"}} 1.0' in text
    assert f'ganguard_signs_raised_total{{sign="{FAR}"}} 1.0' in text
    assert f'ganguard_signs{{sign="{RATE}"}} 0.0' in text


@pytest.mark.slow
def test_a_burst_behind_20_000_honest_codes_is_exported_and_shown(gateway: Start) -> None:
    us = gateway()
    key, admin = us.key(budget=30_000), us.key("operator", 0, Scopes(admin=True))
    for number in range(78):
        us.buy(key, latents=prior(256, number).tolist())
    assert us.counts() == (19_968, 19_968)
    us.service.journal.write()
    assert f'ganguard_signs{{sign="{NEAR}"}} 0.0' in us.get("/metrics", admin).text
    for number in range(8):
        us.buy(key, latents=prior(5, 1000 + number).repeat(25, 0).tolist())
    us.service.journal.write()
    assert f'ganguard_signs{{sign="{NEAR}"}} 1.0' in us.get("/metrics", admin).text
    assert re.search(rf"{NEAR}: \d\d[.\d]* % of the last", render(us.service, []))


def test_codes_of_before_a_restart_are_compared_with(gateway: Start) -> None:
    us = gateway()
    key, codes = us.key(), prior(60)
    us.buy(key, latents=codes.tolist())
    us.client.__exit__(None, None, None)  # it ends, and writes what it noted
    again = gateway()
    again.buy(key, latents=codes.tolist())
    again.service.journal.write()
    assert NEAR in {sign.sign for sign in raised_of(again.service.database, ["us"])}


def test_several_keys_of_one_account_are_one_adversary(gateway: Start) -> None:
    us = gateway()
    for _ in range(8):
        us.buy(us.key(), latents=prior(10).tolist())
    us.service.journal.write()
    assert NEAR in {sign.sign for sign in raised_of(us.service.database, ["us"])}


def test_yesterdays_requests_are_kept_in_sums(gateway: Start) -> None:
    """A ledger in which requests stand one by one: their hours and what they show stay."""
    us, now = gateway(), time.time()
    row = {"account": "old", "images": 10, "codes": 10, "squares": 50.0, "entries": 50, "repeated": 0}
    rows = [{**row, "at": now - 2 * HOUR, "near": 0} for _ in range(2000)]
    rows += [{**row, "at": now - HOUR, "near": 9} for _ in range(20)]
    rows += [{**row, "at": now - 100 * HOUR, "account": "older", "near": 0}]
    with us.service.database.transaction("be an old gateway") as connection:
        connection.execute(insert(REQUESTS), rows)
    while us.service.journal.fold():
        pass
    us.service.journal.write()
    database = us.service.database
    assert number_of(database, REQUESTS) == 0
    assert [images for _, images in by_hour(database, ["old"])["old"]] == [20_000, 200]
    assert by_hour(database, ["older"]) == {}
    (sign,) = raised_of(database, ["old"])
    assert sign.sign == NEAR
    assert us.service.journal.signs(["old"])["old"][1].value > 0.5


def test_what_is_watched_is_written_whole_if_the_database_failed(
    gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    us = gateway()
    us.service.journal.close()  # so that only this test writes
    journal, database = us.service.journal, us.service.database

    def fail(*_: object) -> None:
        raise OSError("no disk")

    journal.note("us", 100, torch.from_numpy(3 * prior(100)))
    with monkeypatch.context() as broken:
        broken.setattr("ganguard.gateway.watch.watched.write_raised", fail)
        with pytest.raises(OSError, match="no disk"):
            journal.write()
    assert (number_of(database, WATCHED), number_of(database, SIGNS)) == (0, 0)
    with monkeypatch.context() as broken:
        broken.setattr("ganguard.gateway.watch.journal.write_hours", fail)
        journal.note("us", 7, None)
        with pytest.raises(OSError, match="no disk"):
            journal.write()
    journal.write()
    assert today(database) == {"us": 107}
    assert {sign.sign for sign in raised_of(database, ["us"])} == {FAR}
    assert number_of(database, CHUNKS) == 1


def test_accounts_that_leave_memory_come_back(database: Database) -> None:
    watched, codes = Watched(database), torch.from_numpy(prior(70, width=16))
    watched.observe("first", codes)
    for number in range(MOST_IN_MEMORY + 5):
        watched.observe(f"account {number}", codes[:1])
    assert watched.write() == []
    assert number_of(database, WATCHED) == MOST_IN_MEMORY + 6
    assert len(watched._accounts) == MOST_IN_MEMORY
    assert "first" not in watched._accounts
    watched.observe("first", codes)
    assert [(account, sign.name) for account, sign in watched.write()] == [("first", NEAR)]
    other = Watched(database)  # of the same seed, whoever opens it
    other.observe("first", codes)
    assert other.write() == []  # raised already


def test_a_sign_that_two_gateways_raise_is_told_of_by_one(database: Database) -> None:
    one, other = Watched(database), Watched(database)
    for watched in (one, other):
        watched.observe("us", torch.from_numpy(3 * prior(64)))
    assert [sign.name for _, sign in [*one.write(), *other.write()]] == [FAR]
    assert counts(database) == {FAR: (1, 1)}


def test_old_codes_and_hours_are_forgotten(database: Database) -> None:
    watched = Watched(database)
    for account in ("old", "new"):
        watched.observe(account, torch.from_numpy(prior(10)))
    watched.write()
    with database.transaction("wait") as connection:
        old = WATCHED.c.account == "old"
        connection.execute(update(WATCHED).where(old).values(at=time.time() - KEEP - 1))
        rows = [{"account": "us", "hour": hour_now() - back, "images": 1} for back in (0, 47, 48, 100)]
        connection.execute(insert(HOURS), rows)
    watched.prune()
    prune_hours(database)
    assert (number_of(database, WATCHED), number_of(database, CHUNKS), number_of(database, HOURS)) == (
        1,
        1,
        2,
    )
    assert len(by_hour(database, ["us"])["us"]) == 2 <= KEPT


def test_a_rate_is_told_of_once_and_goes_after_a_day(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(images: int, hour: int) -> None:
        with database.transaction("ask") as connection:
            usual = [{"account": f"account {n}", "hour": hour, "images": 10} for n in range(5)]
            connection.execute(insert(HOURS), [*usual, {"account": "us", "hour": hour, "images": images}])

    now = time.time()
    asked(500, hour_now())
    rates = AccountRates(database)
    assert [(account, sign.name) for account, sign in rates.update()] == [("us", RATE)]
    assert AccountRates(database).update() == []
    assert counts(database) == {RATE: (1, 1)}
    monkeypatch.setattr(time, "time", lambda: now + 26 * HOUR)
    asked(10, hour_now())
    again = AccountRates(database)
    assert again.update() == []
    assert counts(database) == {RATE: (0, 1)}
    (sign,) = raised_of(database, ["us"])
    assert (sign.raised, sign.value) == (False, 50.0)
    asked(5000, hour_now() - 1)
    assert [account for account, _ in AccountRates(database).update()] == ["us"]
    assert counts(database) == {RATE: (1, 2)}
