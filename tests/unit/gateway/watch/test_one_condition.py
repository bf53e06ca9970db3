"""Askers of one class: what is a sign, how often an honest customer would raise it, and where it shows."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from ganguard.gateway.refusals import ProblemError
from ganguard.gateway.shop.asked import Asked
from ganguard.gateway.shop.order import order_of
from ganguard.gateway.watch.by_condition import MOST_NAMED, MOST_SHOWN, OTHERS
from ganguard.gateway.watch.one_condition import (
    EVER,
    FEWEST,
    Commonest,
    honest_share,
    most_requests,
    one_condition_sign,
    usual_share,
)
from ganguard.gateway.watch.signs import ONE
from ganguard.queries.reservation import of_conditions
from ganguard.targets.ask import UNIFORM
from ganguard.targets.wire import Scopes

Start = Callable[..., Any]


@pytest.mark.parametrize("conditions", [2, 10, 1000])
@pytest.mark.parametrize("usual", [None, 0.6])
def test_an_honest_customer_ever_raises_it_with_the_stated_probability_at_most(
    conditions: int, usual: float | None
) -> None:
    share, spent = honest_share(usual or 1 / conditions), 0.0
    for requests in range(FEWEST, 300):
        limit = most_requests(requests, share, conditions)
        beyond = binom.sf(limit, requests, share)
        allowed = EVER * FEWEST / (requests * (requests + 1) * conditions)
        assert beyond <= allowed
        assert limit == 0 or binom.sf(limit - 1, requests, share) > allowed  # no looser than it must be
        spent += conditions * beyond
    assert spent <= EVER


def test_of_simulated_honest_customers_none_raises_it() -> None:
    """Their every request is for one class with the largest share that is honest."""
    share, customers, requests = honest_share(0.1), 3000, 300
    draws = np.random.default_rng(0).random((customers, requests)) < share
    counts = draws.cumsum(1)[:, FEWEST - 1 :]
    limits = np.array([most_requests(n, share, 10) for n in range(FEWEST, requests + 1)])
    assert not (counts > limits).any()
    assert (draws.mean(1) > share).mean() > 0.3  # so the limit is what spares them


@pytest.mark.parametrize(("conditions", "usual", "enough"), [(10, 0.1, 17), (1000, 0.001, 16), (2, 0.5, 94)])
def test_who_asks_for_one_class_alone_raises_it(conditions: int, usual: float, enough: int) -> None:
    def raised(requests: int) -> bool:
        return one_condition_sign(Commonest(requests, requests), usual, conditions).raised

    assert next(n for n in range(FEWEST, 1000) if raised(n)) == enough


def test_what_is_usual_is_no_sign() -> None:
    favourites = [Commonest(100, 100)] * 3 + [Commonest(100, 12)] * 2
    assert usual_share(favourites, 10) == 1.0
    assert not one_condition_sign(favourites[0], 1.0, 10).raised
    assert usual_share(favourites[::-1][:4], 10) == 0.1  # too few accounts to compare
    assert usual_share([Commonest(100, 100)] * 2 + [Commonest(100, 12)] * 3, 10) == 0.12
    assert not one_condition_sign(Commonest(10**6, 10**6), 1.0, 1).raised


def ask(us: Any, account: str, names: list[str], times: int, each: int = 64) -> None:
    """Let an account's requests count, without their images."""
    us.service.ledger.ensure_account(account, 10**9)
    for n in range(times):
        name = names[n % len(names)]
        asked = of_conditions([name] * each, {}, name)
        us.service.ledger.reserve(f"{account} {n}", account, each, f"{n}", asked)
        us.service.ledger.commit(f"{account} {n}")


def test_requests_count_once_for_what_they_ask_for(conditional: Start) -> None:
    us = conditional()
    key = us.key()
    for n in range(6):
        us.buy(key, f"k{n}", count=2, condition="cat")
        us.buy(key, f"k{n}", count=2, condition="cat")
    us.buy(key, count=3, condition=["dog"] * 3)
    us.buy(key, count=30)
    found = {of.condition: of.requests for of in us.service.ledger.conditions("us")}
    assert (found["cat"] >= 6, found["dog"] >= 1, sum(found.values())) == (True, True, 8)


def test_a_mixed_request_counts_for_an_image_that_nobody_can_choose(conditional: Start) -> None:
    us = conditional()
    key = us.key()
    for n in range(40):
        us.buy(key, f"k{n}", count=4, condition=["dog", "cat", "cat", "cat"])
    found = {of.condition: of.requests for of in us.service.ledger.conditions("us")}
    assert 0 < found["dog"] < 25 < found["cat"] + 5
    assert sum(found.values()) == 40


def test_what_was_given_back_was_no_request(conditional: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A balanced order that fails again and again is no sign, and one whose client is gone hides nothing."""
    us = conditional()
    key, service = us.key(), us.service

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no memory")

    with monkeypatch.context() as patch:
        patch.setattr(service.batching.inner, "generate", fail)
        for _ in range(FEWEST + 4):
            assert us.buy(key, "k", condition=["cat", "dog", 'great "owl"']).status_code == 503
    (listed,) = service.keys.listed()
    for n in range(FEWEST + 4):
        asked = Asked(count=1, condition="dog")
        order = order_of(listed, asked, f"gone {n}", service.batching.inner, 64)
        with pytest.raises(ProblemError):
            service.sales.sell(order, "default", lambda images: b"", lambda: True)
    assert {of.requests for of in service.ledger.conditions("us")} == {0}
    assert us.buy(key, "k", condition=["cat", "dog", 'great "owl"']).status_code == 200
    assert us.buy(key, "k", condition=["cat", "dog", 'great "owl"']).status_code == 200
    assert sum(of.requests for of in service.ledger.conditions("us")) == 1
    assert service.ledger.check({}).problems == ()


def test_the_asker_of_one_class_is_told_once_and_shown(
    conditional: Start, caplog: pytest.LogCaptureFixture
) -> None:
    us = conditional()
    us.key("thief")
    operator = us.key("operator", 0, Scopes(admin=True))
    ask(us, "thief", ["cat"], 80)
    ask(us, "honest", ["cat", "dog", 'great "owl"'], 80)
    ask(us, "new", ["dog"], FEWEST - 1)
    us.service.watch.update()
    said = [line for line in caplog.messages if ONE in line]
    assert said == [
        f"account 'thief' raises a sign of copying, {ONE}: 1 of 'cat' over 80 requests "
        f"(limit {limit(80):.3g})"
    ]
    page = us.client.get("/", auth=("operator", operator)).text
    assert f"{ONE}: 100 % of cat, of 80 requests; limit" in page
    assert page.index("<h3>thief") < page.index("<h3>honest")
    metrics = us.get("/metrics", operator).text
    assert f'ganguard_signs{{sign="{ONE}"}} 1.0' in metrics
    assert f'ganguard_signs_raised_total{{sign="{ONE}"}} 1.0' in metrics
    caplog.clear()
    conditional().service.watch.update()  # it starts again
    assert not [line for line in caplog.messages if ONE in line]


def limit(requests: int) -> float:
    return most_requests(requests, honest_share(1 / 3), 3) / requests


def test_a_gateway_without_conditions_has_none_of_it(gateway: Start) -> None:
    us = gateway()
    us.buy(us.key(), count=3)
    us.service.watch.update()
    assert us.service.watch.by_condition is None
    text = us.service.telemetry.text().decode()
    assert ONE not in text
    assert "ganguard_images_bought" not in text


def test_metrics_and_page_name_few_conditions(conditional: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganguard.gateway.watch.paced.SHARE", float("inf"))
    us = conditional()
    operator = us.key("operator", 0, Scopes(admin=True))
    us.service.ledger.ensure_account("us", 10**6)
    names = [f"c{n:03}" for n in range(100) for _ in range(n + 1)]
    us.service.ledger.reserve("a", "us", len(names), "first", of_conditions([*names, *["x" * 500] * 0]))
    metrics = us.get("/metrics", operator).text
    lines = [line for line in metrics.splitlines() if line.startswith("ganguard_images_bought{")]
    assert len(lines) == MOST_NAMED + 1
    assert 'ganguard_images_bought{condition="c099"} 100.0' in lines
    assert f'ganguard_images_bought{{condition="{OTHERS}"}} {80 * 81 / 2}' in lines
    page = us.client.get("/", auth=("operator", operator)).text
    assert "<dt>c095" in page
    assert "<dt>c094" not in page
    assert "<dt>95 others</dt><dd>4,560</dd>" in page


def test_of_what_an_account_bought_few_rows_are_read(conditional: Start) -> None:
    us = conditional()
    watched, rows = us.service.watch.by_condition, list[Any]()
    assert watched.bought(["us"], {"us": "default"}) == {}
    for account, names in (("us", 40), ("few", 2), ("none", 0)):
        us.service.ledger.ensure_account(account, 10**6)
        asked = [f"c{n:03}" for n in range(names) for _ in range(n + 1)]
        us.service.ledger.reserve(account, account, len(asked), account, of_conditions(asked))
    us.service.ledger.open_condition("few", "never bought", 7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganguard.queries.ledger_conditions._checked", lambda row: rows.append(row) or row)
        found = watched.bought(["us", "few", "none"], dict.fromkeys(["us", "few", "none"], "default"))
    assert [(of.name, of.images) for of in found["us"].most] == [
        (f"c{n:03}", n + 1) for n in range(39, 34, -1)
    ]
    assert (found["us"].others, found["us"].images) == (35, 35 * 36 // 2)
    assert [(of.name, of.images) for of in found["few"].most] == [("c001", 2), ("c000", 1)]
    assert (found["few"].others, found["few"].images, "none" in found) == (0, 0, False)
    assert len(rows) == MOST_SHOWN + 2


def test_totals_that_take_long_are_not_read_every_time(
    conditional: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    us = conditional()
    watched, now = us.service.watch.by_condition, [1e9]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("ganguard.gateway.watch.paced.time", clock)

    def read() -> list[tuple[str, int]]:
        now[0] += 3.0
        return [(f"at {now[0] - 1e9:g}", 1)]

    monkeypatch.setattr(watched, "_read_totals", read)
    monkeypatch.setattr(us.service.watch, "by_condition", None)  # nobody else asks meanwhile
    watched._pace._next = 0.0
    assert watched.totals() == [("at 3", 1)]
    now[0] += 56.0
    assert watched.totals() == [("at 3", 1)]
    now[0] += 1.5
    assert watched.totals() == [("at 63.5", 1)]


def distance(condition: str | None, budget: int, value: float, **other: Any) -> dict[str, Any]:
    said = {
        "subject": "substitute",
        "metric": "intra_fd" if condition else "frechet_distance",
        "against": "target",
        "attack": "with labels",
        "seed": 0,
        "query_budget": budget,
        "value": value,
        "spread": 0.1 * value,
    }
    return said | ({"condition": condition} if condition else {}) | other


@pytest.fixture
def audited(tmp_path: Path) -> Path:
    rows = [distance(None, 300, 4.0), distance(None, 3000, 2.0)]
    rows += [distance("cat", 300, 8.0), distance("cat", 3000, 2.0), distance("dog", 3000, 9.0)]
    # None of these is a distance of a uniform purchase to the target within a class.
    rows += [
        distance("cat", 300, 0.1, attack="cats alone"),
        distance("cat", 300, 0.1, against="reference"),
        distance("cat", 300, 0.1, metric="frechet_distance"),
        distance("cat", 300, 0.1, subject="second draw"),
    ]
    target = {"identity": "x", "conditions": {"kind": "classes", "names": ["cat", "dog", 'great "owl"']}}
    asks = {"with labels": {"label": "uniformly", "digest": UNIFORM.digest()}, "cats alone": None}
    asks["cats alone"] = {"label": "only cat", "digest": "other"}
    attacks = [{"label": label, "ask": ask} for label, ask in asks.items()]
    said = {"format": 1, "name": "d", "target": target, "attacks": attacks, "measurements": rows}
    (tmp_path / "results.json").write_text(json.dumps(said))
    return tmp_path


def test_risk_by_class_is_read_off_copies_from_so_many_images_of_it(
    conditional: Start, audited: Path
) -> None:
    us = conditional(risk={"results": str(audited), "even_if": "another_generator"})
    watched = us.service.watch.by_condition
    assert str(watched.risk("cat", 100, "default")).startswith("≈ 8 ")  # 300 images of three classes
    assert str(watched.risk("cat", 1000, "default")).startswith("≈ 2 ")
    assert str(watched.risk("cat", 316, "default")).startswith("≈ 4 ")
    assert str(watched.risk("cat", 10, "default")).startswith("≥ 8 ")
    assert str(watched.risk("dog", 5000, "default")).startswith("≤ 9 ")
    assert watched.risk('great "owl"', 5000, "default") is None
    assert watched.risk("cat", 0, "default") is None
    assert str(us.service.watch.risk(300, "default").adaptive).startswith("≈ 4 ")  # not 0.1, of one class
    operator = us.key("operator", 0, Scopes(admin=True))
    ask(us, "alice", ["cat"], 1, each=100)
    page = us.client.get("/", auth=("operator", operator)).text
    assert "<dt>cat: FD within it of a copy ≈ 8 (" in page


def test_an_audit_without_conditions_says_nothing_of_a_class(conditional: Start, tmp_path: Path) -> None:
    said = {"format": 1, "name": "d", "measurements": [distance(None, 300, 4.0)]}
    (tmp_path / "results.json").write_text(json.dumps(said))
    us = conditional(risk={"results": str(tmp_path), "even_if": "another_generator"})
    assert us.service.watch.by_condition.risk("cat", 100, "default") is None
