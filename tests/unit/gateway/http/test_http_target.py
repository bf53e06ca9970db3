"""A gateway as a target: the images of the target behind it, each bought once whatever is lost on the way."""

from collections.abc import Callable
from contextlib import nullcontext
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import torch

from ganguard.base.compute import Compute
from ganguard.base.errors import BudgetError, SpecError, StepError, TargetError
from ganguard.queries.harvest import harvest
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.http import remote
from ganguard.targets.load import load_target, parse_target
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget, WhiteBoxTarget
from ganguard.targets.wire import ImagesRequest, Scopes
from ganguard.targets.wire_client import WireClient

Start = Callable[..., Any]
Lossy = Callable[[httpx.Request], int | Exception | None]


def connected(us: Any, key: str, client: Any = None, pauses: list[float] | None = None) -> Any:
    """The gateway as a target."""
    pause = (lambda seconds: None) if pauses is None else pauses.append
    return remote(
        WireClient(
            "http://testserver",
            key,
            direct=True,
            opened=lambda: nullcontext(client or us.client),
            pause=pause,
        )
    )


class Road:
    """Between client and gateway: what `lose` says of the n-th request happens to its answer, or instead of
    it."""

    def __init__(self, us: Any, *fates: str | httpx.Response) -> None:
        self.fates, self.asked = list(fates), list[tuple[str, str | None]]()
        self.client = httpx.Client(transport=httpx.MockTransport(self._pass), base_url="http://testserver")
        self._us = us

    def _pass(self, request: httpx.Request) -> httpx.Response:
        fate = self.fates.pop(0) if self.fates else "through"
        self.asked.append((request.method, request.headers.get("idempotency-key")))
        if isinstance(fate, httpx.Response):
            return fate
        if fate == "never sent":
            raise httpx.ConnectError("no route")
        answer = self._us.client.request(
            request.method, request.url.path, content=request.content, headers=request.headers
        )
        if fate == "lost":
            raise httpx.ReadError("the connection was dropped")
        return httpx.Response(
            answer.status_code, content=answer.content, headers={k: v for k, v in answer.headers.items()}
        )


@pytest.mark.parametrize("latents", [False, True])
def test_it_can_what_its_key_may(gateway: Start, generator: Path, compute: Compute, latents: bool) -> None:
    us = gateway()
    target = connected(us, us.key(scopes=Scopes(send_latents=latents, choose_seed=True)))
    plain = CheckpointTarget(checkpoint=str(generator)).load(compute)
    assert isinstance(target, BlackBoxTarget)
    assert isinstance(target, LatentTarget) is latents
    assert not isinstance(target, WhiteBoxTarget)
    assert torch.equal(target.sample(range(50, 190), seed=4), plain.sample(range(50, 190), seed=4))
    if latents:
        codes = plain.draw_latents(range(70), seed=1)
        assert torch.equal(target.draw_latents(range(70), seed=1), codes)
        assert torch.equal(target.generate(codes), plain.generate(codes))
    assert us.counts()[0] == 140 + 70 * latents


def test_without_a_choice_of_seeds_the_same_request_brings_the_same_images(gateway: Start) -> None:
    us = gateway()
    key = us.key(scopes=Scopes())
    first = connected(us, key).sample(range(100), seed=1)
    assert torch.equal(connected(us, key).sample(range(100), seed=1), first)
    assert us.counts() == (100, 100)
    assert not torch.equal(connected(us, key).sample(range(100), seed=2), first)


def test_an_answer_that_is_lost_is_not_bought_twice(gateway: Start) -> None:
    us = gateway()
    key = us.key()
    busy = httpx.Response(503, headers={"Retry-After": "7"}, json={"detail": "busy"})
    road, pauses = Road(us, "through", "lost", "never sent", busy, "lost", "through", "lost"), list[float]()
    got = connected(us, key, road.client, pauses).sample(range(300), seed=1)
    assert torch.equal(got, connected(us, key).sample(range(300), seed=1))
    assert us.counts() == (300, 300)
    keys = [key for method, key in road.asked if method == "POST"]
    assert [len(list(same)) for _, same in groupby(keys)] == [
        5,
        2,
        1,
        1,
        1,
    ]  # 64 images a request, and each key its own
    assert len(set(keys)) == 5
    assert 7.0 in pauses
    assert len(pauses) == 5
    road.client.close()


def test_a_rate_is_waited_for_and_a_budget_is_not(gateway: Start) -> None:
    us = gateway()
    slow = httpx.Response(429, headers={"Retry-After": "12"}, json={"detail": "slowly"})
    road, pauses = Road(us, "through", slow), list[float]()
    target = connected(us, us.key(budget=10), road.client, pauses)
    assert len(target.sample(range(6), seed=0)) == 6
    assert pauses == [12.0]
    with pytest.raises(BudgetError, match="may buy 4 more"):
        target.sample(range(6, 16), seed=0)
    assert us.counts() == (6, 6)
    road.client.close()


def test_an_exhausted_budget_is_told_at_once(gateway: Start) -> None:
    """No client asks for ever for what no waiting brings."""
    us = gateway()
    road, pauses = Road(us), list[float]()
    target = connected(us, us.key(budget=10), road.client, pauses)
    with pytest.raises(BudgetError, match="may buy 10 more of its budget of 10"):
        target.sample(range(11), seed=0)
    assert len(road.asked) == 2  # the account, and the images once
    assert pauses == []
    road.client.close()


def test_a_rate_without_a_time_is_waited_for_too(gateway: Start) -> None:
    us = gateway()
    slow = httpx.Response(429, json={"detail": "slowly"})
    road, pauses = Road(us, "through", slow, slow), list[float]()
    assert len(connected(us, us.key(), road.client, pauses).sample(range(6), seed=0)) == 6
    assert len(pauses) == 2
    road.client.close()


def test_a_new_audit_after_a_change_of_what_is_served_buys_it(
    gateway: Start, tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    """Its idempotency keys follow from what is served, so it is not told of what an old one bought."""
    us = gateway()
    key = us.key(scopes=Scopes())
    first = connected(us, key).sample(range(70), seed=1)
    them = gateway(target={"checkpoint": str(tiny_checkpoint(tmp_path / "other", seed=1))})
    assert not torch.equal(connected(them, key).sample(range(70), seed=1), first)
    noisy = gateway(classes={"default": {"defences": {"kind": "gaussian_noise", "std": 0.2}}})
    assert not torch.equal(connected(noisy, key).sample(range(70), seed=1), first)
    assert us.counts() == (210, 210)
    assert torch.equal(connected(us, key).sample(range(70), seed=1), first)
    assert us.counts() == (210, 210)


def test_no_more_is_asked_for_at_once_than_the_gateway_has_room_for(gateway: Start) -> None:
    us = gateway(most_images=5)
    target = connected(us, us.key())
    road = Road(us)
    assert len(connected(us, us.key(), road.client).sample(range(12), seed=0)) == 12
    assert len(road.asked) == 1 + 3
    assert len(target.sample(range(12), seed=0)) == 12
    road.client.close()


class Clock:
    """A time that passes where it is waited for, and where an attempt takes long."""

    def __init__(self, attempt: float) -> None:
        self.time, self._attempt, self.looked = 0.0, attempt, 0

    def now(self) -> float:
        self.looked += 1
        self.time += self._attempt
        return self.time

    def pause(self, seconds: float) -> None:
        self.time += seconds


def patient(us: Any, key: str, client: Any, clock: Clock) -> WireClient:
    return WireClient(
        "http://testserver",
        key,
        direct=True,
        opened=lambda: nullcontext(client),
        pause=clock.pause,
        now=clock.now,
    )


@pytest.mark.parametrize(("attempt", "attempts"), [(0.0, range(12, 24)), (200.0, range(2, 4))])
def test_patience_ends_by_the_clock(gateway: Start, attempt: float, attempts: range) -> None:
    us, clock = gateway(), Clock(attempt)
    road = Road(us, *["never sent"] * 100)
    with pytest.raises(StepError, match="nothing is bought twice"):
        patient(us, us.key(), road.client, clock).images(ImagesRequest(count=3), "k", most=0)
    assert len(road.asked) in attempts
    assert 300 <= clock.time < 300 + 30 + 2 * attempt
    assert us.counts() == (0, 0)
    road.client.close()


def test_waiting_for_a_rate_is_no_failure_but_ends_too(gateway: Start) -> None:
    us, clock = gateway(), Clock(0.0)
    slow = httpx.Response(429, headers={"Retry-After": "1000"}, json={"detail": "slowly"})
    road = Road(us, slow, slow, "never sent", "through", *[slow] * 10)
    client = patient(us, us.key(), road.client, clock)
    client.images(ImagesRequest(count=3), "k", most=0)
    assert 2000 <= clock.time < 2010
    with pytest.raises(StepError, match="slowly"):
        client.images(ImagesRequest(count=3), "k", most=0)
    assert clock.time < 2010 + 3600 + 1000
    road.client.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(200, content=b"not an archive"), "as NPZ"),
        (httpx.Response(403, json={"detail": "not you"}), "not you"),
        (httpx.Response(302, headers={"Location": "http://elsewhere"}), "status 302"),
        (httpx.Response(404, content=b"<html>"), "status 404"),
        (httpx.Response(200, content=b"x" * 1_000_000), "larger"),
    ],
)
def test_what_is_no_answer_is_refused(gateway: Start, answer: httpx.Response, said: str) -> None:
    us = gateway()
    road = Road(us, "through", answer)
    target = connected(us, us.key(), road.client)
    with pytest.raises(TargetError, match=said) as refused:
        target.sample(range(3), seed=0)
    assert "\n" not in str(refused.value)
    road.client.close()


def test_what_is_no_gateway_is_refused(gateway: Start) -> None:
    us = gateway()
    for answer in (httpx.Response(200, json={"hello": "there"}), httpx.Response(200, content=b"<html>")):
        road = Road(us, answer)
        with pytest.raises(
            TargetError, match="must be a ganguard gateway of this version; got another answer"
        ):
            connected(us, us.key("other"), road.client)
        road.client.close()


def test_a_harvest_over_the_wire_is_the_harvest_at_home(
    gateway: Start, generator: Path, compute: Compute, tmp_path: Path
) -> None:
    us = gateway()
    key, plain = us.key(budget=600), CheckpointTarget(checkpoint=str(generator)).load(compute)
    road = Road(us, "through", "through", "lost")
    target = connected(us, key, road.client)
    with Ledger(tmp_path / "client.sqlite") as ledger:
        ledger.open_account("audit", 600)
        stores = [Store(tmp_path / name, target.identity, "audit", 3) for name in ("a", "b")]
        got = harvest(meter(target, ledger, "audit"), stores[0], 600)
        again = harvest(meter(connected(us, key), ledger, "audit"), stores[1], 600)  # the store was lost
    assert torch.equal(got, plain.sample(range(600), seed=3))
    assert torch.equal(again, got)
    assert us.counts() == (600, 600)
    road.client.close()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"url": "https://images.example.org"}, "authorised_by must say who"),
        ({"url": "https://images.example.org", "authorised_by": " "}, "authorised_by must say who"),
        ({"url": "http://images.example.org", "authorised_by": "its owner"}, "must begin with https"),
        ({"url": "http://localhost.example.org:80"}, "authorised_by must say who"),
        ({"url": "http://127.0.0.1.example.org"}, "authorised_by must say who"),
        ({"url": "http://10.0.0.1"}, "authorised_by must say who"),
        ({"url": "ftp://localhost"}, "url must be"),
        ({"url": "localhost:8000"}, "url must be"),
        ({"url": "http://user:word@localhost"}, "url must be"),
        ({"url": "http://localhost:99999"}, "url must be"),
        ({"url": "http://[::1"}, "url must be"),
    ],
)
def test_an_address_is_allowed_or_refused_before_anything_is_sent(values: dict[str, str], said: str) -> None:
    with pytest.raises(SpecError, match=said) as refused:
        parse_target(values)
    assert "\n" not in str(refused.value)
    assert ":word@" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "http://127.0.0.1:1", "http://127.9.9.9", "http://[::1]:1"]
)
def test_this_machine_needs_no_permission_but_a_key(
    url: str, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GANGUARD_KEY", raising=False)
    with pytest.raises(TargetError, match="GANGUARD_KEY must hold a key"):
        load_target(parse_target({"url": url}), compute)
