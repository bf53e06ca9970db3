"""How often one account may ask, whatever becomes of its requests, and how strangers are slowed."""

import base64
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from ganguard.base.errors import GanguardError, SpecError
from ganguard.base.settings import parse
from ganguard.gateway.http import door
from ganguard.gateway.http.door import Door, shown_key
from ganguard.gateway.http.request_rate import RequestRate
from ganguard.gateway.http.shares import Shares
from ganguard.gateway.refusals import ProblemError
from ganguard.gateway.spec import AccountClass
from ganguard.targets.wire import Scopes

Start = Callable[..., Any]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses before answers, which are not made here."""
    made = list[float]()

    async def note(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(door, "_pause", note)
    return made


REFUSALS: dict[str, Callable[[Any, str], Any]] = {
    "a body that does not fit": lambda us, key: us.buy(key, count=0),
    "no JSON": lambda us, key: us.client.post("/v1/images", content=b"{", headers=bearer(key)),
    "not allowed": lambda us, key: us.buy(key, count=1, seed=1),
    "too large": lambda us, key: us.client.post("/v1/images", content=b" " * 10_000, headers=bearer(key)),
    "no route": lambda us, key: us.get("/nothing", key),
    "no such method": lambda us, key: us.client.put("/v1/images", headers=bearer(key)),
    "the account": lambda us, key: us.get("/v1/account", key),
    "not an operator": lambda us, key: us.get("/metrics", key),
    "the page by password": lambda us, key: us.client.get("/", auth=("operator", key)),
}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize("name", list(REFUSALS))
def test_every_request_of_a_key_counts(gateway: Start, pauses: list[float], name: str) -> None:
    us = gateway(classes={"slow": {"requests_a_minute": 5}})
    key = us.key(class_="slow", scopes=Scopes())
    statuses = [REFUSALS[name](us, key).status_code for _ in range(5)]
    assert 429 not in statuses
    answer = us.buy(key, count=1)
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:ganguard:problem:request-rate"
    assert int(answer.headers["retry-after"]) >= 1
    assert len([seconds for seconds in pauses if seconds]) == 1
    assert us.counts() == (0, 0)


def test_the_rate_is_the_accounts_and_not_the_keys(gateway: Start, pauses: list[float]) -> None:
    us = gateway(classes={"slow": {"requests_a_minute": 4}})
    keys = [us.key(class_="slow") for _ in range(2)]
    assert [us.get("/v1/account", key).status_code for key in keys * 2] == [200] * 4
    assert [us.get("/v1/account", key).status_code for key in keys] == [429] * 2
    assert us.get("/v1/account", us.key("others", class_="slow")).status_code == 200
    assert us.buy(us.key("usual"), count=1).status_code == 200


def test_a_large_body_counts_as_several_requests(gateway: Start, pauses: list[float]) -> None:
    us = gateway(
        classes={"slow": {"requests_a_minute": 3}}, most_images=4096, batching={"most_waiting": 8192}
    )
    key = us.key(class_="slow", scopes=Scopes(send_latents=True, most_images=4096))
    answer = us.client.post(
        "/v1/images",
        content=b'{"count": 0}'.ljust(4 * door.BYTES_A_REQUEST),
        headers={**bearer(key), "Content-Type": "application/json"},
    )
    assert answer.status_code == 422
    assert us.get("/v1/account", key).status_code == 429


def test_there_is_a_default_and_no_limit_if_none_is_wanted(gateway: Start, pauses: list[float]) -> None:
    assert AccountClass().requests_a_minute is not None
    with pytest.raises(SpecError, match="requests_a_minute"):
        parse(AccountClass, {"requests_a_minute": 0}, "spec")
    us = gateway(classes={"free": {"requests_a_minute": None}})
    key = us.key(class_="free")
    assert {us.get("/nothing", key).status_code for _ in range(500)} == {404}


def test_strangers_are_answered_later_if_they_are_many(
    gateway: Start, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "STRANGERS_A_MINUTE", 3)
    us = gateway()
    for path in ("/docs", "/nothing", "/v1/account"):
        assert us.client.get(path).status_code in (200, 404, 401)
    assert not any(pauses)
    assert us.get("/v1/account", f"gg_{'0' * 16}_{'0' * 64}").status_code == 401
    assert us.client.post("/v1/images", json={"count": 1}).status_code == 401
    assert len([seconds for seconds in pauses if seconds > 1]) == 2
    pauses.clear()
    assert us.client.get("/healthz").status_code == us.client.get("/readyz").status_code == 200
    assert us.buy(us.key(), count=1).status_code == 200
    assert not any(pauses)
    monkeypatch.setattr(door, "HEALTH_A_MINUTE", 1)
    assert us.client.get("/healthz").status_code == us.client.get("/readyz").status_code == 200
    assert 0 < max(pauses) <= 0.03


def test_no_query_and_no_cookie_is_parsed(gateway: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """No route reads them, and 16 KB of them took FastAPI 8 ms on the event loop."""
    parsed = list[str]()
    monkeypatch.setattr("starlette.requests.cookie_parser", lambda cookies: parsed.append(cookies) or {})
    us = gateway()
    headers = {**bearer(us.key()), "Cookie": "a=b"}
    assert us.client.get("/healthz?a=b", headers=headers).status_code == 200
    assert us.client.get("/v1/account?a=b", headers=headers).status_code == 200
    assert us.client.post("/v1/images?a=b", json={"count": 1}, headers=headers).status_code == 200
    assert parsed == []
    admin = bearer(us.key("operator", 0, Scopes(admin=True)))
    assert us.client.get(f"/?page=0&{'a=b&' * 3000}", headers=admin).status_code == 422  # the page reads one
    assert us.client.get(f"/?{'a=b&' * 3000}page=0", headers=admin).status_code == 200  # so much of it


def test_no_account_has_all_requests_at_once() -> None:
    """Of one account's twelve, of ten at most, five are worked on; another one still gets in."""

    class OneKey:
        account = "us"

    async def crowd() -> list[int]:
        go_on, statuses = anyio.Event(), list[int]()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await go_on.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        async def check(shown: str) -> Any:
            key = OneKey()
            key.account = shown
            return key

        async def note(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        async def ask(account: bytes) -> None:
            headers = [(b"authorization", b"Bearer " + account)]
            await entrance({"type": "http", "path": "/x", "method": "GET", "headers": headers}, None, note)

        entrance = Door(app, check, lambda key: None)
        entrance._at_once = Shares(10, "too many")
        async with anyio.create_task_group() as tasks:
            for _ in range(12):
                tasks.start_soon(ask, b"us")
            await anyio.wait_all_tasks_blocked()
            assert statuses == [503] * 7
            tasks.start_soon(ask, b"them")
            await anyio.wait_all_tasks_blocked()
            assert statuses == [503] * 7
            go_on.set()
        assert entrance._at_once.held == 0
        return statuses

    assert anyio.run(crowd) == [503] * 7 + [200] * 6


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        (b"Bearer gg_x", "gg_x"),
        (b"bearer gg_x", "gg_x"),
        (b"Basic " + base64.b64encode(b"operator:gg_x"), "gg_x"),
        (b"Basic " + base64.b64encode(b":a:b"), "a:b"),
        (b"Basic " + base64.b64encode(b"operator"), ""),
        (b"Basic ###", ""),
        (b"Basic " + base64.b64encode(b"\xff:\xff"), ""),
        (b"Basic \xff", ""),
        (b"Bearer  \xa0gg_x", "gg_x"),
        (b"Basic  " + base64.b64encode(b"a:gg_x"), "gg_x"),
        (b"Digest x", ""),
        (b"", ""),
    ],
)
def test_the_key_that_a_header_shows(header: bytes, shown: str) -> None:
    assert shown_key(header) == shown


@pytest.mark.parametrize("blanks", ["  ", " \t"])
def test_a_key_that_a_route_finds_has_a_rate(gateway: Start, pauses: list[float], blanks: str) -> None:
    """FastAPI drops blanks before a key; whoever sent two of them was never slowed."""
    us = gateway(classes={"slow": {"requests_a_minute": 3}})
    key = us.key("operator", class_="slow", scopes=Scopes(admin=True))
    password = base64.b64encode(f":{key}".encode()).decode()
    shown = [f"Bearer{blanks}{key}", f"Basic{blanks}{password}", f"Basic !{password}"]
    answers = [us.client.get("/metrics", headers={b"Authorization": one.encode("latin-1")}) for one in shown]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert us.get("/v1/account", key).status_code == 429


def test_a_look_up_that_fails_is_a_matter_of_the_machine(
    gateway: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    us = gateway()

    async def fail(shown: str) -> None:
        raise GanguardError("/secret/ledger.sqlite: locked.")

    monkeypatch.setattr(us.service.async_keys, "check", fail)
    answers = [us.get("/v1/account", "gg_x") for _ in range(5)]
    assert {answer.status_code for answer in answers} == {503}
    assert "secret" not in answers[0].text
    assert len([line for line in caplog.messages if "locked" in line]) <= 1


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_rate_is_a_minutes_requests_in_the_long_run() -> None:
    clock = Clock()
    rate = RequestRate(clock)
    admitted = 0
    for _ in range(10 * 60 * 20):  # twenty times a second for ten minutes, at ten a second
        admitted += rate.ask("us", 600) == 0
        clock.now += 0.05
    assert admitted <= 60 + 6000
    clock.now += 120
    assert [rate.ask("us", 600) for _ in range(60)] == [0.0] * 60
    assert rate.ask("us", 600) > 0


def test_a_client_that_waits_as_told_is_served() -> None:
    clock = Clock()
    rate = RequestRate(clock)
    while not (wait := rate.ask("us", 6)):
        pass
    for _ in range(20):
        clock.now += wait
        assert rate.ask("us", 6) == 0
        wait = rate.ask("us", 6)


def test_the_debt_of_refused_requests_is_bounded() -> None:
    clock = Clock()
    rate = RequestRate(clock)
    for _ in range(10_000):
        rate.ask("us", 6000)
    clock.now += 2 * 200 / 100  # twice the burst
    assert rate.ask("us", 6000) == 0


def test_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from ganguard.gateway.http import request_rate

    monkeypatch.setattr(request_rate, "_MOST_BUCKETS", 100)
    clock = Clock()
    rate = RequestRate(clock)
    for number in range(1000):
        rate.ask(str(number), 60)
        clock.now += 1.0
        assert len(rate._buckets) <= 100


def test_an_account_alone_may_hold_all_the_room_and_half_of_it_otherwise() -> None:
    room = Shares(10, "too much")
    with room.hold("us", 10), pytest.raises(ProblemError, match="too much"), room.hold("them", 1):
        pass
    with room.hold("us", 5), pytest.raises(ProblemError), room.hold("us", 1):
        pass
    with room.hold("us", 5), room.hold("them", 2):
        assert room.held == 7
    assert room.held == 0
