"""What a client sends by mistake or malice, each thing by name: no answer of 500, no path or trace in one,
and nothing lost."""

import base64
import json
import logging
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import update

from ganguard.base.errors import BudgetError
from ganguard.gateway.tables import KEYS
from ganguard.queries.ledger import Ledger
from ganguard.targets.wire import ImagesRequest

Start = Callable[..., Any]
CODE = "[0.1, 0.2, 0.3, 0.4, 0.5]"
QUOTED = '"0.3"'
BODIES = {
    "nothing": b"",
    "no JSON": b"count=1",
    "cut short": b'{"count": 1',
    "two bodies": b'{"count": 1}{"count": 1}',
    "bad UTF-8": b'{"count": 1, "format": "\xff\xfe"}',
    "bad UTF-8 in a name": b'{"\xc3\x28": 1}',
    "half a surrogate": rb'{"count": 1, "format": "\ud800"}',
    "a zero byte": b'{"count": 1}\x00',
    "a list": b"[1]",
    "a number": b"1",
    "null": b"null",
    "a text as count": b'{"count": "5"}',
    "a fraction as count": b'{"count": 1.5}',
    "a truth as count": b'{"count": true}',
    "a list as count": b'{"count": [1]}',
    "count 0": b'{"count": 0}',
    "count below 0": b'{"count": -1}',
    "a huge count": b'{"count": 1000000}',
    "count beyond 64 bits": b'{"count": 18446744073709551617}',
    "a count of 5,000 digits": b'{"count": ' + b"9" * 5000 + b"}",
    "an endless count": b'{"count": 1e999}',
    "seed below 0": b'{"count": 1, "seed": -1}',
    "seed beyond 64 bits": b'{"count": 1, "seed": 18446744073709551616}',
    "start beyond 64 bits": b'{"count": 1, "seed": 1, "start": 9223372036854775807}',
    "NaN as count": b'{"count": NaN}',
    "NaN in a code": f'{{"latents": [{CODE.replace("0.3", "NaN")}]}}'.encode(),
    "infinity in a code": f'{{"latents": [{CODE.replace("0.3", "-Infinity")}]}}'.encode(),
    "1e999 in a code": f'{{"latents": [{CODE.replace("0.3", "1e999")}]}}'.encode(),
    "a text in a code": f'{{"latents": [{CODE.replace("0.3", chr(34) + "x" + chr(34))}]}}'.encode(),
    "a number as text in a code": f'{{"latents": [{CODE.replace("0.3", QUOTED)}]}}'.encode(),
    "a truth in a code": f'{{"latents": [{CODE.replace("0.3", "true")}]}}'.encode(),
    "null in a code": f'{{"latents": [{CODE.replace("0.3", "null")}]}}'.encode(),
    "a code too short": b'{"latents": [[0.1]]}',
    "codes of two widths": f'{{"latents": [{CODE}, [0.1]]}}'.encode(),
    "no codes": b'{"latents": []}',
    "an empty code": b'{"latents": [[]]}',
    "one code, flat": f'{{"latents": {CODE}}}'.encode(),
    "codes three deep": f'{{"latents": [[{CODE}]]}}'.encode(),
    "more codes than count": f'{{"count": 1, "latents": [{CODE}, {CODE}]}}'.encode(),
    "a thousand codes": f'{{"latents": [{", ".join([CODE] * 1000)}]}}'.encode(),
    "deep nesting": b'{"latents": ' + b"[" * 3000 + b"]" * 3000 + b"}",
    "a name of the server's": b'{"count": 1, "__class__": "x", "account": "them"}',
    "another format": b'{"count": 1, "format": "../../etc/passwd"}',
}


LOGINS = {
    "no base64": b"Basic ###",
    "base64 of no UTF-8": b"Basic " + base64.b64encode(b"\xff\xfe:\xff"),
    "base64 without a colon": b"Basic " + base64.b64encode(b"operator"),
    "bytes": b"Bearer \xff\xfe",
    "zeros": b"Bearer gg_" + b"0" * 16 + b"_" + b"0" * 64,
    "a long one": b"Bearer " + b"a" * 10_000,
    "another scheme": b"Digest x",
}
HEADS = {
    "no HTTP": b"hello\r\n\r\n",
    "no version": b"GET /v1/account\r\n\r\n",
    "a byte in a name": b"GET /v1/account HTTP/1.1\r\nHost: x\r\nA\xff: 1\r\n\r\n",
    "a zero in a value": b"GET /v1/account HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n",
    "an endless head": b"GET /v1/account HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 200_000 + b"\r\n\r\n",
    "two lengths": b"POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "a length below 0": b"POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}",
    "a chunk of no size": b"POST /v1/images HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"zz\r\n{}\r\n0\r\n\r\n",
    "a path of bytes": b"GET /\xff\xfe/%00/..%2f..%2fetc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "a length beyond what may be sent": b"POST /v1/images HTTP/1.1\r\nHost: x\r\n"
    b"Content-Length: 99999999\r\n\r\n" + b" " * 100_000,
}


def faults(status: int, text: str) -> list[str]:
    """What is wrong with an answer to what a client did wrong."""
    leaks = [
        leak for leak in ("Traceback", ".py", "site-packages", "/", "\\") if leak in text.replace("N/A", "")
    ]
    return [f"tells of {leak}" for leak in leaks] + ([] if 400 <= status < 500 else [f"status {status}"])


def test_bodies(gateway: Start, caplog: pytest.LogCaptureFixture) -> None:
    us = gateway()
    headers = {"Authorization": f"Bearer {us.key()}", "Content-Type": "application/json"}
    found: dict[str, list[str]] = {}
    with caplog.at_level(logging.WARNING):
        for name, body in BODIES.items():
            answer = us.client.post("/v1/images", content=body, headers=headers)
            found[name] = faults(answer.status_code, answer.json().get("detail", "images"))
            if (
                answer.headers["content-type"] != "application/problem+json"
                or answer.json().get("status") != answer.status_code
            ):
                found[name].append("no problem details")
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
    assert caplog.messages == []
    assert us.counts() == (0, 0)
    assert us.service.admission.inside == 0
    assert us.buy(us.key(), count=2).status_code == 200


@pytest.mark.parametrize("latents", [[["x"] * 5000], [["x"]] * 5000, [[]] * 5000])
def test_one_complaint_of_many_wrong_entries_is_enough(latents: list[list[str]]) -> None:
    """Of each that was collected the server's loop would have to tell."""
    with pytest.raises(ValidationError) as raised:
        ImagesRequest.model_validate({"latents": latents})
    assert raised.value.error_count() == 1


def test_a_body_that_does_not_say_that_it_is_json(gateway: Start) -> None:
    us = gateway()
    headers = {"Authorization": f"Bearer {us.key()}", "Content-Type": "application/x-www-form-urlencoded"}
    answer = us.client.post("/v1/images", content=b'{"count": 1}', headers=headers)
    assert (answer.status_code, "sent with the Content-Type of JSON" in answer.json()["detail"]) == (
        422,
        True,
    )


@pytest.mark.parametrize("path", ["/v1/images/", "/v1/account/", "/docs/"])
def test_nobody_is_sent_to_another_address(gateway: Start, path: str) -> None:
    us = gateway()
    answer = us.client.get(path, headers={"Host": "elsewhere.example"}, follow_redirects=False)
    assert (answer.status_code, "location" in answer.headers) == (404, False)


def test_the_documents_run_nothing_of_other_houses(gateway: Start) -> None:
    page = gateway().client.get("/docs").text
    assert "POST /v1/images" in page and "ImagesRequest" in page
    assert "<script" not in page and "//" not in page


def test_damaged_scopes_are_a_matter_of_the_machine(gateway: Start) -> None:
    us = gateway()
    key = us.key()
    with us.service.database.transaction("damage a key") as connection:
        connection.execute(update(KEYS).values(scopes="{"))
    answers = [us.get(path, key) for path in ("/v1/account", "/", "/metrics")] + [us.buy(key, count=1)]
    assert {answer.status_code for answer in answers} <= {401, 503}
    assert answers[0].status_code == answers[-1].status_code == 503
    assert "scopes" not in answers[0].text


def test_an_account_that_cannot_be_read_is_a_matter_of_the_machine(
    gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise BudgetError("/secret/path/ledger.sqlite: cannot be opened.")

    us = gateway()
    key = us.key()
    monkeypatch.setattr(Ledger, "balance", fail)
    answer = us.get("/v1/account", key)
    assert (answer.status_code, "secret" in answer.text) == (503, False)
    assert answer.headers["retry-after"]


@pytest.mark.parametrize("path", ["/v1/account", "/", "/metrics"])
def test_logins(gateway: Start, path: str, caplog: pytest.LogCaptureFixture) -> None:
    client = gateway().client
    with caplog.at_level(logging.WARNING):
        answers = {name: client.get(path, headers={"Authorization": shown}) for name, shown in LOGINS.items()}
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(LOGINS, 401)
    assert {name: faults(401, answer.json()["detail"]) for name, answer in answers.items()} == {
        name: [] for name in LOGINS
    }
    assert caplog.messages == []


def test_heads(served: tuple[Any, int], caplog: pytest.LogCaptureFixture) -> None:
    us, port = served
    found: dict[str, list[str]] = {}
    for name, head in HEADS.items():
        with socket.create_connection(("127.0.0.1", port), 10) as opened:
            opened.sendall(head)
            answer = read_all(opened)
            status = answer.split(b" ")[1:2]
            found[name] = faults(int(status[0]) if status else 0, answer.partition(b"\r\n\r\n")[2].decode())
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
    assert [record for record in caplog.records if record.exc_info] == []
    assert us.client.get("/readyz").status_code == 200


def read_all(opened: socket.socket) -> bytes:
    """What comes, until the other side ends or a second passes without anything."""
    opened.settimeout(1.0)
    found = b""
    try:
        while part := opened.recv(65_536):
            found += part
    except (TimeoutError, ConnectionResetError):
        pass
    return found


def test_clients_that_vanish_lose_nothing(served: tuple[Any, int]) -> None:
    """Forty clients ask, and end the connection rudely: before the answer, or within it. What each bought is
    there, once."""
    us, port = served
    key = us.key()
    for number in range(40):
        body = json.dumps({"count": 5, "format": "npz"})
        head = (
            f"POST /v1/images HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
            f"Idempotency-Key: k{number}\r\n"
        )
        opened = socket.create_connection(("127.0.0.1", port), 10)
        opened.sendall(
            f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        if number % 2:
            opened.recv(20)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing resets
        opened.close()
    for _ in range(500):
        if us.service.admission.inside == 0 and us.counts()[0] == us.counts()[1]:
            break
        time.sleep(0.02)
    reserved, delivered = us.counts()
    assert 100 <= reserved == delivered <= 200
    assert us.service.admission.inside == 0
    answers = [us.buy(key, f"k{number}", count=5, format="npz") for number in range(40)]
    assert [answer.status_code for answer in answers] == [200] * 40
    assert len({answer.content for answer in answers}) == 40
    assert us.counts() == (200, 200)
