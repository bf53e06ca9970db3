"""Buying images over HTTP: what comes back, what is paid, and what is refused."""

import base64
import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganguard.base.compute import Compute
from ganguard.queries.ledger import Ledger
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.wire import Scopes, from_npz

Start = Callable[..., Any]


def pixels(answer: Any, count: int) -> torch.Tensor:
    assert answer.status_code == 200, answer.text
    return from_npz(answer.content, count, (1, 8, 8))


def problem(answer: Any, status: int, type_: str = "") -> dict[str, Any]:
    """A refusal's problem details; its type is a plain one unless it is given."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == status
    assert found["type"] == (f"urn:ganguard:problem:{type_}" if type_ else "about:blank")
    assert found["title"]
    assert found["detail"]
    return found


def test_images_are_the_targets_and_are_paid_for(gateway: Start, generator: Any, compute: Compute) -> None:
    us = gateway()
    key = us.key()
    target = CheckpointTarget(checkpoint=str(generator)).load(compute)
    answer = us.buy(key, count=5, seed=3, start=70, format="npz")
    assert torch.equal(pixels(answer, 5), target.sample(range(70, 75), seed=3))
    codes = target.draw_latents(range(4), seed=9)
    answer = us.buy(key, latents=codes.tolist(), format="npz")
    assert torch.equal(pixels(answer, 4), target.generate(codes))
    assert us.counts() == (9, 9)


def test_png_holds_the_same_images(gateway: Start) -> None:
    us = gateway()
    key = us.key()
    plain = pixels(us.buy(key, "a", count=3, seed=1, format="npz"), 3)
    answer = us.buy(key, "a", count=3, seed=1, format="png")
    said = answer.json()
    read = [np.asarray(Image.open(io.BytesIO(base64.b64decode(image)))) for image in said["images"]]
    assert np.array_equal(np.stack(read), plain[:, 0].numpy())
    assert said["idempotency_key"] == answer.headers["idempotency-key"] == "a"
    assert us.counts() == (3, 3)


@pytest.mark.parametrize("body", [{"count": 4}, {"count": 4, "seed": 2}, {"latents": [[0.5] * 5, [0.1] * 5]}])
@pytest.mark.parametrize("form", ["png", "npz"])
def test_a_key_redeems_its_reservation_free_with_identical_bytes(
    gateway: Start, body: dict[str, Any], form: str
) -> None:
    us = gateway(
        classes={"default": {"defences": {"kind": "gaussian_noise", "std": 0.2, "randomness": "per_request"}}}
    )
    key = us.key(budget=4)
    first = us.buy(key, "mine", **body, format=form)
    spent = us.counts()
    again = gateway(classes=us.service.spec.model_dump()["classes"]).buy(
        key, "mine", **body, format=form
    )  # after a restart
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert us.counts() == spent


def test_without_a_key_of_its_own_the_server_makes_one(gateway: Start) -> None:
    us = gateway()
    key = us.key()
    first, other = us.buy(key, count=2), us.buy(key, count=2)
    assert first.headers["idempotency-key"] != other.headers["idempotency-key"]
    assert first.json()["images"] != other.json()["images"]
    assert us.buy(key, first.headers["idempotency-key"], count=2).content == first.content
    assert us.counts() == (4, 4)


def test_one_accounts_key_is_not_anothers(gateway: Start) -> None:
    us = gateway()
    mine, theirs = us.key(), us.key("them")
    assert us.buy(mine, "k", count=2).content != us.buy(theirs, "k", count=2).content
    assert us.counts() == us.counts("them") == (2, 2)


@pytest.mark.parametrize(
    "other", [{"count": 3}, {"count": 2, "seed": 5}, {"latents": [[0.1] * 5, [0.2] * 5]}]
)
def test_a_key_stands_for_one_request(gateway: Start, other: dict[str, Any]) -> None:
    us = gateway()
    key = us.key()
    assert us.buy(key, "k", count=2, seed=4).status_code == 200
    assert "another request" in problem(us.buy(key, "k", **other), 422, "key-conflict")["detail"]
    assert us.counts() == (2, 2)


def test_the_budget_ends_with_what_is_left(gateway: Start) -> None:
    us = gateway()
    key = us.key(budget=5)
    assert us.buy(key, count=3).status_code == 200
    found = problem(us.buy(key, count=3), 402, "budget-exhausted")
    assert (found["budget"], found["spent"], found["left"]) == (5, 3, 2)
    assert "retry-after" not in us.buy(key, count=3).headers
    assert us.buy(key, count=2).status_code == 200
    assert us.counts() == (5, 5)


def test_where_the_account_stands(gateway: Start) -> None:
    us = gateway()
    key = us.key(budget=10)
    us.buy(key, count=4)
    said = us.get("/v1/account", key).json()
    assert (said["account"], said["budget"], said["spent"], said["left"]) == ("us", 10, 4, 6)
    assert said["target"]["image_shape"] == [1, 8, 8]
    assert said["target"]["latent_dim"] == 5
    assert us.get("/v1/account", us.key(scopes=Scopes())).json()["target"]["latent_dim"] is None


@pytest.mark.parametrize("shown", ["", "gg_x", "gg_" + "0" * 16 + "_" + "0" * 64, "Bearer", "é"])
def test_who_shows_no_key_is_refused(gateway: Start, shown: str) -> None:
    us = gateway()
    headers = {"Authorization": f"Bearer {shown}".encode()}
    for answer in (
        us.client.post("/v1/images", json={"count": 1}, headers=headers),
        us.client.get("/v1/account", headers=headers),
    ):
        problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_wrong_secret_and_a_revoked_key_are_refused(gateway: Start) -> None:
    us = gateway()
    key = us.key()
    problem(us.buy(key[:-1] + ("0" if key[-1] != "0" else "1"), count=1), 401)
    assert us.buy(key, count=1).status_code == 200
    us.service.keys.revoke(key.split("_")[1])
    problem(us.buy(key, count=1), 401)


@pytest.mark.parametrize(
    "body",
    [{"latents": [[0.0] * 5]}, {"count": 1, "seed": 1}, {"count": 65}],
    ids=["latents", "seed", "count"],
)
def test_scopes_hold(gateway: Start, body: dict[str, Any]) -> None:
    us = gateway()
    problem(us.buy(us.key(scopes=Scopes()), **body), 403)
    assert us.counts() == (0, 0)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"count": 0},
        {"count": -1},
        {"count": "3"},
        {"count": 2.5},
        {"count": True},
        {"count": 10**30},
        {"count": 1, "seed": -1},
        {"count": 1, "seed": 2**63},
        {"count": 1, "start": 3},
        {"count": 1, "seed": 0, "start": 2**62},
        {"count": 2, "latents": [[0.0] * 5]},
        {"latents": []},
        {"latents": [[]]},
        {"latents": [[0.0] * 4]},
        {"latents": [[0.0] * 5, [0.0] * 6]},
        {"latents": [[1e30] * 5]},
        {"latents": [[None] * 5]},
        {"latents": [[0.0] * 5], "seed": 1},
        {"count": 1, "format": "jpeg"},
        {"count": 1, "colour": "red"},
    ],
)
def test_what_does_not_fit_is_refused_and_costs_nothing(gateway: Start, body: dict[str, Any]) -> None:
    us = gateway()
    problem(us.buy(us.key(), **body), 422)
    assert us.counts() == (0, 0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"latents": [[NaN]]}',
        b'{"latents": [[Infinity]]}',
        b"[" * 3000,
        b'"\\ud800"',
        b"null",
        b"[]",
    ],
)
def test_what_is_no_request_is_refused(gateway: Start, content: bytes) -> None:
    us = gateway()
    headers = {"Authorization": f"Bearer {us.key()}", "Content-Type": "application/json"}
    answer = us.client.post("/v1/images", content=content, headers=headers)
    problem(answer, answer.status_code)
    assert answer.status_code in (400, 422)
    assert us.counts() == (0, 0)


def test_a_body_too_large_is_refused_before_it_is_read(gateway: Start) -> None:
    us = gateway(most_images=4)
    headers = {"Authorization": f"Bearer {us.key()}", "Content-Type": "application/json"}
    problem(us.client.post("/v1/images", content=b" " * 10_000, headers=headers), 413)


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 129, "\x7f"])
def test_an_idempotency_key_is_short_and_printable(gateway: Start, key: str) -> None:
    us = gateway()
    headers = {"Authorization": f"Bearer {us.key()}", "Idempotency-Key": key}
    problem(us.client.post("/v1/images", json={"count": 1}, headers=headers), 422)


def test_a_full_gateway_says_when_to_come_again_and_spends_nothing(gateway: Start) -> None:
    us = gateway(most_images=8, batching={"most_waiting": 10})
    key = us.key()
    with us.service.admission.room("them", 6, 0):
        answer = us.buy(key, count=3)
        assert int(answer.headers["retry-after"]) >= 1
        problem(answer, 503, "no-room")
        assert us.buy(key, count=2).status_code == 200
    assert us.counts() == (2, 2)


def test_a_class_has_a_rate(gateway: Start) -> None:
    us = gateway(classes={"slow": {"images_a_minute": 6}})
    key = us.key(class_="slow")
    assert us.buy(key, count=4).status_code == 200
    answer = us.buy(key, count=4)
    assert problem(answer, 429, "rate-exceeded")["left"] == 2
    assert 1 <= int(answer.headers["retry-after"]) <= 25
    assert us.buy(key, count=2).status_code == 200
    problem(us.buy(key, count=7), 403)
    assert us.counts() == (6, 6)


def test_a_generator_that_fails_costs_nothing(gateway: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    us = gateway()
    key = us.key()
    with monkeypatch.context() as broken:
        broken.setattr(us.service.batching.inner, "generate", lambda latents: 1 / 0)
        answer = us.buy(key, "k", count=2)
    found = problem(answer, 503, "not-made")
    assert answer.headers["retry-after"]
    assert "nothing was spent" in found["detail"]
    assert "ivision" not in str(found)
    assert us.counts() == (0, 0)
    assert us.buy(key, "k", count=2).status_code == 200
    assert us.counts() == (2, 2)


def test_a_ledger_out_of_reach_is_a_matter_of_time(gateway: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganguard.base.errors import StepError

    def fail(*_: object) -> None:
        raise StepError("/secret/path/ledger.sqlite: could not reserve: the disk is full.")

    monkeypatch.setattr(Ledger, "reserve_all", fail)
    us = gateway()
    key = us.key()
    answer = us.buy(key, count=1)
    assert "secret" not in str(problem(answer, 503))
    assert answer.headers["retry-after"]


def test_health_and_documents(gateway: Start) -> None:
    us = gateway()
    assert us.client.get("/healthz").json() == {"status": "alive"}
    assert us.client.get("/readyz").json() == {"status": "ready"}
    assert "/v1/images" in us.client.get("/openapi.json").json()["paths"]
    problem(us.client.get("/nothing"), 404)
    problem(us.client.put("/v1/images"), 405)
    us.service.close()
    problem(us.client.get("/readyz"), 503)


def test_every_answer_is_counted_by_its_status(gateway: Start) -> None:
    us = gateway()
    key, poor = us.key(), us.key("poor", 1, Scopes())
    us.buy(key, count=3)
    us.buy(key, count=0)
    us.buy("gg_unknown", count=3)
    us.buy(poor, count=1, seed=1)
    us.buy(poor, latents=[[0.0] * 5] * 1000)
    us.get("/v1/account", "gg_unknown")
    text = us.get("/metrics", us.key("operator", 0, Scopes(admin=True))).text
    counted = re.findall(r'ganguard_answers_total{status="(\d+)"} (\S+)', text)
    assert sorted(counted) == [(status, "1.0") for status in ("200", "401", "403", "413", "422")]
    assert "ganguard_seconds_count 1.0" in text  # of orders alone


def test_metrics_are_for_the_operator(gateway: Start) -> None:
    us = gateway()
    key, admin = us.key(), us.key("operator", 0, Scopes(admin=True))
    us.buy(key, count=3)
    us.buy(key, count=0)
    problem(us.get("/metrics", key), 403)
    problem(us.client.get("/metrics"), 401)
    text = us.get("/metrics", admin).text
    assert 'ganguard_answers_total{status="200"} 1.0' in text
    assert "ganguard_images_delivered_total 3.0" in text


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", ""])
def test_a_body_is_not_compressed(gateway: Start, coding: str) -> None:
    """Also one that only says so: two readers might understand it in two ways."""
    us = gateway()
    headers = {"Authorization": f"Bearer {us.key()}", "Content-Encoding": coding}
    answer = us.client.post("/v1/images", json={"count": 1}, headers=headers)
    assert "Content-Encoding" in problem(answer, 422)["detail"]
    assert us.counts() == (0, 0)
    headers["Content-Encoding"] = "Identity"
    assert us.client.post("/v1/images", json={"count": 1}, headers=headers).status_code == 200
