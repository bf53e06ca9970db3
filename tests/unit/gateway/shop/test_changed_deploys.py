"""Asking again after a change of what is served: nothing is bought in silence, the answer says why."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch

from ganguard.architectures.checkpoint import load_checkpoint, save_checkpoint
from ganguard.base.errors import StepError
from ganguard.defences.direction_files import save_direction
from ganguard.defences.semantic_directions import Direction
from ganguard.gateway.shop.provenance import Provenance
from ganguard.queries.ledger import Ledger

Start = Callable[..., Any]
NOISE = {"kind": "gaussian_noise", "std": 0.2}
LOUDER = {"kind": "gaussian_noise", "std": 0.3}


def refused(answer: Any, *changed: str) -> str:
    """The detail of a refusal that names exactly these changes."""
    assert answer.status_code == 409, answer.text
    assert answer.json()["type"] == "urn:ganguard:problem:changed-deploy"
    assert answer.headers["idempotency-key"] == answer.json()["idempotency_key"] == "k"
    detail = answer.json()["detail"]
    for name in ("machine", "software", "target", "defences", "secret", "class"):
        assert (name in detail.partition(" changed ")[0]) == (name in changed), detail
    return detail


@pytest.mark.parametrize("body", [{"count": 2}, {"count": 2, "seed": 3}, {"latents": [[0.5] * 5] * 2}])
def test_another_target(
    gateway: Start, tiny_checkpoint: Callable[..., Path], tmp_path: Path, body: dict[str, Any]
) -> None:
    them = us = gateway()
    key = us.key(budget=100)
    assert us.buy(key, "k", **body).status_code == 200
    other = str(tiny_checkpoint(tmp_path / "other", seed=1))
    for _ in range(2):
        them = gateway(target={"checkpoint": other})
        assert "Nothing more was spent" in refused(them.buy(key, "k", **body), "target")
    assert them.counts() == (2, 2)
    assert them.buy(key, "new", **body).status_code == 200
    assert them.counts() == (4, 4)
    assert gateway().buy(key, "k", **body).status_code == 200  # the old one again
    assert them.counts() == (4, 4)


@pytest.mark.parametrize(
    ("before", "after"), [("none", NOISE), (NOISE, LOUDER), (NOISE, "none"), (NOISE, [NOISE] * 2)]
)
def test_other_defences(gateway: Start, before: Any, after: Any) -> None:
    us = gateway(classes={"default": {"defences": before}})
    key = us.key()
    first = us.buy(key, "k", count=2)
    them = gateway(classes={"default": {"defences": after}})
    refused(them.buy(key, "k", count=2), "defences")
    assert them.counts() == (2, 2)
    rated = {"defences": before, "images_a_minute": 100}
    assert gateway(classes={"default": rated}).buy(key, "k", count=2).content == first.content


def test_refusals_that_a_client_can_repeat_are_logged_once(
    gateway: Start, caplog: pytest.LogCaptureFixture
) -> None:
    key = gateway().key("who repeats")
    gateway().buy(key, "k", count=1)
    them = gateway(classes={"default": {"defences": LOUDER}})
    for _ in range(20):
        refused(them.buy(key, "k", count=1), "defences")
    assert sum("not redeemed" in record.getMessage() for record in caplog.records) <= 1


def test_a_file_that_only_moved(gateway: Start, tmp_path: Path) -> None:
    """Where a direction lies changes no image."""
    answers: list[bytes] = []
    for place in (tmp_path / "here", tmp_path / "there"):
        save_direction(Direction(torch.eye(5)[0], 0.0, "slant", None, None, 1.0, 1), place)
        moved = {"kind": "semantic_interpolation", "amount": 1, "direction": str(place)}
        us = gateway(classes={"default": {"defences": moved}})
        answers.append(us.buy(us.key(), "k", count=2).content)
        assert us.counts() == (2, 2)
    assert answers[0] == answers[1]


def test_another_class(gateway: Start) -> None:
    """If it has the same defences, the bytes are the same, and are redeemed."""
    classes = {"noisy": {"defences": NOISE}, "same": {"defences": NOISE}, "clear": {"defences": "none"}}
    us = gateway(classes=classes)
    first = us.buy(us.key(class_="noisy"), "k", count=2)

    def moved(class_: str) -> str:
        for key in us.service.keys.listed():
            us.service.keys.revoke(key.id)
        return us.key(class_=class_)

    refused(us.buy(moved("clear"), "k", count=2), "defences", "class")
    assert us.buy(moved("same"), "k", count=2).content == first.content
    assert us.counts() == (2, 2)


def test_other_code_of_a_defence(gateway: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    us = gateway(classes={"default": {"defences": NOISE}})
    key = us.key()
    us.buy(key, "k", count=2)
    monkeypatch.setattr(
        "ganguard.defences.output_noise.GaussianNoise.version", lambda self, tools: {"code": "2"}
    )
    them = gateway(classes={"default": {"defences": NOISE}})
    refused(them.buy(key, "k", count=2), "defences", "secret")
    assert them.counts() == (2, 2)


def test_several_at_once(gateway: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    us = gateway()
    key = us.key()
    us.buy(key, "k", count=2)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "ANOTHER")
    monkeypatch.setattr("ganguard.gateway.shop.provenance.version", lambda name: "9.9")
    them = gateway(classes={"default": {"defences": NOISE}})
    detail = refused(them.buy(key, "k", count=2), "machine", "software", "defences")
    assert detail.startswith("the machine, the software versions and the defences changed since")
    assert "ANOTHER" not in detail


def test_what_was_never_sent_is_given_back(gateway: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """No account stays charged for images that nobody can make any more."""

    def full(*_: object) -> None:
        raise StepError("the disk is full.")

    us = gateway()
    key = us.key()
    with monkeypatch.context() as broken:
        broken.setattr(us.service.orders, "deliver", full)
        assert us.buy(key, "k", count=2).status_code == 503
    assert us.counts() == (2, 0)
    them = gateway(classes={"default": {"defences": NOISE}})
    with monkeypatch.context() as broken:
        broken.setattr(Ledger, "release", full)
        assert "Nothing more was spent" in refused(them.buy(key, "k", count=2), "defences")
    assert us.counts() == (2, 0)
    assert "nothing is spent on them" in refused(them.buy(key, "k", count=2), "defences")
    assert us.counts() == (0, 0)
    assert them.buy(key, "k", count=2).status_code == 200
    assert us.counts() == (2, 2)


def test_what_is_given_back_is_not_delivered_by_the_old_deploy(gateway: Start) -> None:
    old, new = gateway(), gateway(classes={"default": {"defences": NOISE}})
    key, begun, go = old.key(budget=2), Event(), Event()
    real = old.service.batching.inner.generate

    def slow(latents: Any) -> Any:
        begun.set()
        assert go.wait(20)
        return real(latents)

    old.service.batching.inner.generate = slow
    with ThreadPoolExecutor(1) as clients:
        first = clients.submit(old.buy, key, "k", count=2)
        assert begun.wait(20)
        refused(new.buy(key, "k", count=2), "defences")
        assert new.buy(key, "k", count=2).status_code == 200
        go.set()
        assert first.result(20).status_code == 503
    assert new.counts() == (2, 2)


def test_words_of_a_provenance_tell_its_parts_apart() -> None:
    parts = ("cpu X; Y, threads 1", "torch 1, code 2", "t", "d", "s", "class; odd")
    words = Provenance(*parts).words()
    assert words.count("; ") == 5
    assert Provenance(*parts).changes(words) == []
    assert Provenance("cpu", *parts[1:]).changes(words) == ["the machine"]
    assert len(Provenance(*parts).changes("")) == 5


RENAMED = ("cat", "hound", 'great "owl"')


@pytest.fixture
def renamed(conditional_generator: Path, tmp_path: Path) -> str:
    """The conditional generator, whose dogs are called hounds."""
    loaded = load_checkpoint(conditional_generator)
    said = loaded.description
    there = tmp_path / "renamed"
    return str(
        save_checkpoint(there, loaded.networks, said.architecture, said.image_shape, {}, class_names=RENAMED)
    )


@pytest.mark.parametrize("delivered", [True, False])
@pytest.mark.parametrize(
    "body",
    [{"count": 2, "condition": "dog"}, {"condition": ["cat", "dog"]}, {"count": 2, "condition": "cat"}],
)
def test_a_class_that_was_renamed_is_another_target(
    conditional: Start, gateway: Start, renamed: str, body: dict[str, Any], delivered: bool
) -> None:
    """Its old name is not refused before the reservation was found: images that were not sent come back."""
    us = conditional()
    key = us.key()
    assert us.buy(key, "k", **body).status_code == 200
    if not delivered:
        _undelivered(us)
    them = gateway(target={"checkpoint": renamed})
    again = them.buy(key, "k", count=1, condition="cat")
    assert (again.status_code, again.json()["type"]) == (422, "urn:ganguard:problem:key-conflict")
    said = refused(them.buy(key, "k", **body), "target")
    assert ("were given back" in said) is not delivered
    assert them.counts() == ((2, 2) if delivered else (0, 0))
    assert them.service.ledger.check({}).problems == ()
    if "dog" in body["condition"]:
        for idempotency in (None, "k2", *([] if delivered else ["k"])):
            unknown = them.buy(key, idempotency, **body)
            assert unknown.status_code == 422
            assert "unknown class 'dog'" in unknown.json()["detail"]


def _undelivered(us: Any) -> None:
    """Leave the images of the gateway reserved, as a crash before they were sent does."""
    with us.service.database.transaction("crash") as connection:
        connection.exec_driver_sql("UPDATE reservations SET state = 'reserved'")
        connection.exec_driver_sql("UPDATE accounts SET delivered = 0")
        if us.service.watch.by_condition:
            connection.exec_driver_sql("UPDATE ledger_conditions SET delivered = 0, requests = 0")
