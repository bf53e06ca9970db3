"""Orders: what holds when one is repeated, when it fails, and when many come at once."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from sqlalchemy import select

from ganguard.gateway.refusals import ProblemError
from ganguard.gateway.shop.admission import Admission
from ganguard.gateway.shop.order import Order
from ganguard.gateway.tables import WATCHED
from ganguard.gateway.watch.hours import today
from ganguard.gateway.watch.windows import Windows

Start = Callable[..., Any]


def test_what_was_reserved_on_another_machine_is_not_redeemed_as_other_bytes(
    gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    us = gateway()
    key = us.key(budget=9)
    assert us.buy(key, "k", count=2).status_code == 200
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "ANOTHER")
    them = gateway()
    answer = them.buy(key, "k", count=2)
    assert answer.status_code == 409
    assert "cannot make the same bytes" in answer.json()["detail"]
    assert "ANOTHER" not in answer.text
    assert them.counts() == (2, 2)
    assert them.buy(key, "k", count=3).status_code == 422
    assert them.buy(key, "new", count=2).status_code == 200


@pytest.mark.parametrize("field", ["threads", "torch", "code", "pillow"])
def test_the_provenance_names_what_bytes_depend_on(gateway: Start, field: str) -> None:
    us = gateway()
    us.buy(us.key(), "k", count=1)
    with us.service.database.reading("see") as connection:
        words = connection.exec_driver_sql("SELECT request FROM reservations").scalar()
    assert words.startswith("sample drawn count=1 by cpu ")
    assert f"{field} " in words


def test_a_reservation_without_a_provenance_is_not_redeemed(gateway: Start) -> None:
    us = gateway()
    key = us.key()
    us.buy(key, "k", count=2)
    with us.service.database.transaction("remove the provenance") as connection:
        connection.exec_driver_sql("UPDATE reservations SET request = 'sample drawn count=2'")
    assert us.buy(key, "k", count=2).status_code == 409
    assert us.buy(key, "k", count=3).status_code == 422
    assert us.counts() == (2, 2)


def test_redeeming_is_no_new_traffic(gateway: Start) -> None:
    us = gateway()
    key = us.key()
    for _ in range(5):
        us.buy(key, "k", latents=[[0.3] * 5, [0.9] * 5])
    us.service.journal.write()
    assert today(us.service.database) == {"us": 2}
    with us.service.database.reading("read what was noted") as connection:
        codes, windows = connection.execute(select(WATCHED.c.codes, WATCHED.c.windows)).one()
    assert (codes, Windows(windows).sums().near.tolist()) == (2, [0])


@pytest.mark.parametrize("rate", [None, 40])
def test_redeeming_has_a_rate(gateway: Start, rate: int | None) -> None:
    us = gateway(most_images=4, classes={"default": {"images_a_minute": rate}})
    key = us.key(budget=100)
    answers = [us.buy(key, "k", count=4) for _ in range(16)]
    codes = [answer.status_code for answer in answers]
    assert 429 in codes
    assert 10 <= codes.count(200) <= 13  # 40 in a minute's bucket, and what came in meanwhile
    assert all(answer.headers["retry-after"] for answer in answers if answer.status_code == 429)
    assert us.buy(key, "other", count=4).status_code == (200 if rate is None else 429)
    assert us.counts("us")[0] == (8 if rate is None else 4)


def test_the_rate_counts_what_was_reserved_alone(gateway: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    us = gateway(most_images=6, batching={"most_waiting": 6}, classes={"default": {"images_a_minute": 6}})
    key = us.key(budget=5)
    for _ in range(3):
        assert us.buy(key, count=6).status_code == 402  # beyond its budget
    with us.service.admission.room("them", 6, 0):
        assert us.buy(key, count=4).status_code == 503
    assert us.buy(key, "k", count=5).status_code == 200
    assert us.buy(key, "k", count=6).status_code == 429  # by the rate, now


@pytest.mark.parametrize(
    "problem",
    [RuntimeError("CUDA out of memory at /secret/path"), OSError(5, "I/O", "/secret"), MemoryError()],
)
def test_whatever_fails_in_a_sale_is_asked_for_again(
    gateway: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, problem: Exception
) -> None:
    def fail(latents: object) -> None:
        raise problem

    us = gateway()
    key = us.key(budget=3)
    with monkeypatch.context() as broken:
        broken.setattr(us.service.batching.inner, "generate", fail)
        answer = us.buy(key, "k", count=3)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert "Traceback" in caplog.text
    assert type(problem).__name__ in caplog.text
    assert us.counts() == (0, 0)
    assert us.buy(key, "k", count=3).status_code == 200
    assert us.counts() == (3, 3)


def test_one_account_leaves_room_for_others() -> None:
    admission, held = Admission(100, 1), []

    def take(account: str, images: int) -> bool:
        room = admission.room(account, images, 0)
        try:
            room.__enter__()
        except ProblemError as full:
            assert full.problem.status == 503
            return False
        held.append(room)
        return True

    assert sum(take("greedy", 10) for _ in range(20)) == 5
    assert sum(take("other", 10) for _ in range(20)) == 2
    assert take("third", 10)
    assert not take("greedy", 1)
    while held:
        held.pop().__exit__(None, None, None)
    assert admission.inside == 0
    assert take("alone", 100)
    assert not take("alone", 1)


def test_room_is_held_until_the_answer_is_sent(gateway: Start) -> None:
    """Of a client that reads no answer, no more than the room is in memory."""
    us, seen = gateway(), []
    app, key = us.client.app, us.key()
    body = b'{"count": 5}'

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        seen.append((message["type"], len(message.get("body", b"")) > 0, us.service.admission.inside))

    headers = [(b"authorization", f"Bearer {key}".encode()), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/images",
        "headers": headers,
        "query_string": b"",
        "state": {},
    }
    us.client.portal.call(app, scope, receive, send)
    assert seen == [
        ("http.response.start", False, 5),
        ("http.response.body", True, 5),
        ("http.response.body", False, 5),
    ]
    assert us.service.admission.inside == 0


def test_the_words_of_an_order_say_all_of_it() -> None:
    codes = torch.zeros(2, 5)
    orders = [
        Order("us", "k", 2, None, 0, None),
        Order("us", "k", 3, None, 0, None),
        Order("us", "k", 2, 1, 0, None),
        Order("us", "k", 2, 1, 1, None),
        Order("us", "k", 2, None, 0, codes),
        Order("us", "k", 2, None, 0, codes + 1),
    ]
    assert len({order.words() for order in orders}) == len(orders)
    assert not any(" by " in order.words() for order in orders)
