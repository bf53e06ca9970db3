"""Orders that fail: every answer names the idempotency key, and nothing is spent on what was not made."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ganguard.base.errors import StepError, TargetError
from ganguard.queries.ledger import Ledger

Start = Callable[..., Any]


def fail(*_: object, **__: object) -> Any:
    raise RuntimeError("no images today, at /secret/path")


def named(answer: Any, status: int, kind: str | None = None) -> str:
    """The idempotency key that a refusal names, in header and body."""
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert answer.headers["idempotency-key"] == said["idempotency_key"]
    assert "secret" not in answer.text
    if kind:
        assert said["type"] == f"urn:ganguard:problem:{kind}"
    return said["idempotency_key"]


@pytest.mark.parametrize("problem", [RuntimeError, TargetError, MemoryError, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["target", "defence", "body"])
def test_what_was_not_made_is_given_back(
    gateway: Start, monkeypatch: pytest.MonkeyPatch, problem: type[BaseException], where: str
) -> None:
    """A client without a key of its own loses nothing, however often it fails."""

    def broken(*_: object, **__: object) -> Any:
        raise problem("at /secret/path")

    us = gateway(classes={"default": {"defences": {"kind": "gaussian_noise", "std": 0.2}}})
    key = us.key(budget=3)
    with monkeypatch.context() as patched:
        if where == "target":
            patched.setattr(us.service.batching.inner, "generate", broken)
        elif where == "defence":
            patched.setattr("ganguard.defences.output_noise.to_uint8", broken)
        else:
            patched.setattr("ganguard.targets.wire.encode_png", broken)
        answers = [us.buy(key, count=3) for _ in range(3)]
    keys = {named(answer, 503, "not-made") for answer in answers}
    assert len(keys) == 3
    assert all("nothing was spent" in answer.json()["detail"] for answer in answers)
    assert us.counts() == (0, 0)
    assert us.service.admission.inside == 0
    assert us.buy(key, keys.pop(), count=3).status_code == 200
    assert us.counts() == (3, 3)


def test_what_cannot_be_given_back_is_redeemed_under_the_key(
    gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StepError("/secret/ledger.sqlite: the disk is full.")

    us = gateway()
    key = us.key(budget=3)
    with monkeypatch.context() as broken:
        broken.setattr(us.service.batching.inner, "generate", fail)
        broken.setattr(Ledger, "release", full)
        answer = us.buy(key, count=3)
    given = named(answer, 503)
    assert "stay reserved" in answer.json()["detail"]
    assert "nothing was spent" not in answer.text
    assert us.counts() == (3, 0)
    assert us.buy(key, given, count=3).status_code == 200
    assert us.counts() == (3, 3)


@pytest.mark.parametrize("step", ["reserve_all", "commit_all"])
def test_a_ledger_that_fails_leaves_the_key(
    gateway: Start, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Whether the images are reserved cannot be known: the answer claims neither."""
    us = gateway()
    key = us.key(budget=3)
    real = getattr(us.service.ledger, step)

    def lost(*asked: Any) -> None:
        real(*asked)
        raise StepError("/secret/ledger.sqlite: the answer was lost.")

    with monkeypatch.context() as broken:
        group = us.service.orders._reserve if step == "reserve_all" else us.service.orders._commit
        broken.setattr(group, "_do", lost)
        answer = us.buy(key, count=3)
    given = named(answer, 503)
    assert "spent" not in answer.json()["detail"]
    assert us.counts() == (3, 0 if step == "reserve_all" else 3)
    assert us.buy(key, given, count=3).status_code == 200
    assert us.counts() == (3, 3)


def test_what_fails_after_the_delivery_is_redeemed(gateway: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    us = gateway()
    key = us.key(budget=3)
    with monkeypatch.context() as broken:
        broken.setattr(us.service.journal, "note", fail)
        answer = us.buy(key, count=3)
    given = named(answer, 500)
    assert answer.headers["retry-after"]
    assert us.counts() == (3, 3)
    assert us.buy(key, given, count=3).status_code == 200


def test_every_refusal_of_an_order_names_its_key(gateway: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    us = gateway(
        most_images=8,
        batching={"most_waiting": 10},
        classes={"slow": {"images_a_minute": 6}},
    )
    key, slow = us.key(budget=5), us.key("slow", class_="slow")
    assert us.buy(key, "k", count=3).status_code == 200
    named(us.buy(key, count=3), 402, "budget-exhausted")
    assert named(us.buy(key, "k", count=2), 422, "key-conflict") == "k"
    with us.service.admission.room("them", 6, 0):
        named(us.buy(key, count=5), 503, "no-room")
    named(us.buy(slow, count=7), 403)
    assert us.buy(slow, count=6).status_code == 200
    named(us.buy(slow, count=6), 429, "rate-exceeded")
    monkeypatch.setattr(us.service.sales, "admitted", fail)
    named(us.buy(key, count=1), 500)
    assert us.counts() == (3, 3)


class Turns:
    """A generator that says when it begins, and waits for its turn: then it makes images, or raises."""

    def __init__(self, us: Any) -> None:
        self._real, self.begun, self.go = (
            us.service.batching.inner.generate,
            threading.Event(),
            threading.Event(),
        )
        self.fails = False
        us.service.batching.inner.generate = self

    def __call__(self, latents: Any) -> Any:
        self.begun.set()
        assert self.go.wait(20)
        return fail() if self.fails else self._real(latents)


def until(said: Callable[[], bool]) -> None:
    tick = threading.Event()
    assert any(said() or tick.wait(0.01) for _ in range(2000))


@pytest.mark.parametrize("requests", [1, 3])
def test_of_several_at_once_the_last_that_fails_gives_back(gateway: Start, requests: int) -> None:
    us = gateway()
    key, turns = us.key(budget=3), Turns(us)
    turns.fails = True
    with ThreadPoolExecutor(requests) as clients:
        asked = [clients.submit(us.buy, key, "k", count=3) for _ in range(requests)]
        until(lambda: us.service.admission.inside == 3 * requests and us.service.batching.waiting % 3 == 0)
        until(lambda: sum(t.requests for t in us.service.orders._in_progress._found.values()) == requests)
        turns.go.set()
        answers = [one.result(20) for one in asked]
    assert [named(answer, 503) for answer in answers] == ["k"] * requests
    assert sum("nothing was spent" in answer.text for answer in answers) == 1
    assert us.counts() == (0, 0)
    assert us.service.orders._in_progress._found == {}


def test_elsewhere_nothing_is_delivered_that_was_given_back(gateway: Start) -> None:
    """One host reserves and fails, while another makes the same images: it must not send them unpaid."""
    here, there = gateway(), gateway()
    key = here.key(budget=3)
    ours, theirs = Turns(here), Turns(there)
    with ThreadPoolExecutor(2) as clients:
        first = clients.submit(here.buy, key, "k", count=3)
        assert ours.begun.wait(20)
        second = clients.submit(there.buy, key, "k", count=3)
        assert theirs.begun.wait(20)
        assert here.counts() == (3, 0)
        ours.fails = True
        ours.go.set()
        named(first.result(20), 503, "not-made")
        assert here.counts() == (0, 0)
        theirs.go.set()
        answer = second.result(20)
    named(answer, 503)
    assert "Ask again" in answer.json()["detail"]
    assert here.counts() == (0, 0)
    assert there.buy(key, "k", count=3).status_code == 200
    assert here.counts() == (3, 3)


def test_elsewhere_nothing_is_delivered_on_another_orders_account(gateway: Start) -> None:
    """The same, and the key was given to a smaller order meanwhile."""
    here, there = gateway(), gateway()
    key = here.key(budget=9)
    ours, theirs = Turns(here), Turns(there)
    with ThreadPoolExecutor(2) as clients:
        first = clients.submit(here.buy, key, "k", count=8)
        assert ours.begun.wait(20)
        second = clients.submit(there.buy, key, "k", count=8)
        assert theirs.begun.wait(20)
        ours.fails = True
        ours.go.set()
        named(first.result(20), 503, "not-made")
        ours.fails = False
        assert here.buy(key, "k", count=1).status_code == 200
        theirs.go.set()
        named(second.result(20), 503)
    assert here.counts() == (1, 1)
    named(there.buy(key, "k", count=8), 422, "key-conflict")


def test_a_gateway_that_closes_gives_back_what_it_does_not_make(gateway: Start) -> None:
    us = gateway()
    key = us.key(budget=3)
    us.service.batching.close()
    named(us.buy(key, count=3), 503, "not-made")
    assert us.counts() == (0, 0)


def test_a_request_that_is_cancelled_is_not_charged(gateway: Start) -> None:
    """As it is when the server ends, which the answer says with its key."""
    us = gateway()
    turns, body = Turns(us), b'{"count": 3}'
    headers = [
        (b"authorization", f"Bearer {us.key(budget=3)}".encode()),
        (b"content-type", b"application/json"),
    ]
    scope = {"type": "http", "method": "POST", "path": "/v1/images", "headers": headers, "query_string": b""}

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    sent = list[Any]()

    async def send(message: Any) -> None:
        sent.append(message)

    async def cancelled() -> None:
        request = asyncio.ensure_future(us.client.app({**scope, "state": {}}, receive, send))
        while not turns.begun.is_set():
            await asyncio.sleep(0.01)
        request.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await request

    us.client.portal.call(cancelled)
    assert sent[0]["status"] == 503
    assert b"idempotency-key" in dict(sent[0]["headers"])
    assert us.counts() == (3, 0)
    assert us.service.admission.inside == 0
    turns.go.set()
    until(lambda: us.counts() == (0, 0))
    until(lambda: us.service.orders._in_progress._found == {})


def test_images_that_cannot_be_made_have_a_rate(gateway: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """They cost the gateway's time and no budget: an account cannot go on like this for ever."""
    us = gateway(most_images=4)
    key, other = us.key(budget=1000), us.key("other", 1000)
    with monkeypatch.context() as broken:
        broken.setattr(us.service.batching.inner, "generate", fail)
        answers = [us.buy(key, count=4) for _ in range(40)]
    codes = [answer.status_code for answer in answers]
    assert 10 <= codes.count(503) <= 16
    assert codes[-1] == 429
    named(answers[-1], 429, "rate-exceeded")
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert answers[-1].json()["left"] == 0
    assert us.counts() == (0, 0)
    assert us.buy(other, count=4).status_code == 200


def test_one_accounts_codes_fail_no_others_order(gateway: Start) -> None:
    """A generator that cannot take some codes: the orders beside them are delivered."""
    us = gateway(batching={"longest_wait": 0.3})
    real = us.service.batching.inner.generate

    def brittle(latents: Any) -> Any:
        return fail() if (latents.abs() >= 1000).any() else real(latents)

    us.service.batching.inner.generate = brittle
    keys = [us.key(f"account {number}", 10) for number in range(6)]
    codes = [[[1000.0 if number == 2 else 0.5] * 5] for number in range(6)]
    with ThreadPoolExecutor(6) as clients:
        answers = list(
            clients.map(lambda each: us.buy(each[0], latents=each[1]), zip(keys, codes, strict=True))
        )
    assert [answer.status_code for answer in answers] == [200, 200, 503, 200, 200, 200]
    assert [us.counts(f"account {number}") for number in range(6)] == [(1, 1)] * 2 + [(0, 0)] + [(1, 1)] * 3
