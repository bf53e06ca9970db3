"""Whatever is sent: an answer that is a problem or images, nothing that fails inside, and nothing lost."""

import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import ganguard
from ganguard.base.settings import parse
from ganguard.gateway.http.app import create_app
from ganguard.gateway.http.limits import Limits
from ganguard.gateway.shop.service import Service
from ganguard.gateway.spec import GatewaySpec
from ganguard.targets.wire import Scopes

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([0, 1, 5, "png", "npz"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)
BODY = st.fixed_dictionaries(
    {},
    optional={
        "count": SCALARS,
        "seed": SCALARS,
        "start": SCALARS,
        "format": SCALARS,
        "latents": JSON | st.lists(st.lists(st.floats(width=32), min_size=5, max_size=5), max_size=5),
        "other": JSON,
    },
)
KEYS = st.none() | st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=140)


class Fuzzed:
    """A gateway that lasts for all examples of a module."""

    def __init__(self, directory: Path, generator: Path) -> None:
        self.places = [
            str(place) for place in (directory, generator, Path(ganguard.__file__).parent, Path(sys.prefix))
        ]
        values = {"target": {"checkpoint": str(generator)}, "directory": str(directory)}
        self.service = Service(parse(GatewaySpec, values, "spec"))
        self.service.ledger.open_account("us", 10**6)
        scopes = Scopes(send_latents=True, choose_seed=True)
        self.headers = {"Authorization": f"Bearer {self.service.keys.create('us', 'default', scopes)[0]}"}


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory, generator: Path) -> Iterator[tuple[Fuzzed, TestClient]]:
    made = Fuzzed(tmp_path_factory.mktemp("fuzzed"), generator)
    with TestClient(create_app(made.service), raise_server_exceptions=False) as client:
        yield made, client


def check(fuzzed: tuple[Fuzzed, TestClient], content: bytes, headers: dict[str, Any]) -> None:
    """The answer is images or a problem, and the ledger moves by just what was sold."""
    made, client = fuzzed
    before = made.service.ledger.balance("us")
    answer = client.post(
        "/v1/images", content=content, headers={"Content-Type": "application/json", **made.headers, **headers}
    )
    after = made.service.ledger.balance("us")
    assert answer.status_code in (200, 400, 403, 413, 422), answer.text
    assert after.delivered == after.reserved
    if answer.status_code == 200:
        return
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    assert answer.json()["detail"].count("/") <= content.count(b"/")  # a name that is not known is repeated
    assert [leak for leak in ("Traceback", *made.places) if leak in answer.text] == []
    assert after == before


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@example(body={"/": 1}, key=None)
@given(body=BODY | JSON, key=KEYS)
def test_any_json(fuzzed: tuple[Fuzzed, TestClient], body: Any, key: str | None) -> None:
    check(
        fuzzed,
        json.dumps(body).encode(),
        {} if key is None else {"Idempotency-Key": key.strip().encode("latin-1")},
    )


@settings(max_examples=40)
@given(
    content=st.binary(max_size=200),
    kind=st.sampled_from(["application/json", "text/plain", "application/xml", "x"]),
)
def test_any_bytes(fuzzed: tuple[Fuzzed, TestClient], content: bytes, kind: str) -> None:
    check(fuzzed, content, {"Content-Type": kind})


@pytest.fixture
def socket_server(
    gateway: Callable[..., Any], at_a_socket: Callable[[Any], AbstractContextManager[int]]
) -> Iterator[tuple[Any, int]]:
    """The application at a real socket, with little patience."""
    us = gateway()

    async def allowed(method: str, path: str, shown: bytes) -> int:
        return 4096

    with at_a_socket(Limits(us.client.app, allowed, longest_wait=0.3)) as port:
        yield us, port


def _connect(port: int, key: str, length: int) -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", port), 10)
    head = f"POST /v1/images HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nIdempotency-Key: k\r\n"
    opened.sendall(f"{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode())
    return opened


def test_slow_clients_are_told_to_hurry_and_dropped_connections_lose_nothing(
    socket_server: tuple[Any, int],
) -> None:
    us, port = socket_server
    key, body = us.key(), b'{"count": 30, "seed": 1}'
    with _connect(port, key, 100) as slow:
        slow.sendall(b"{")
        assert slow.recv(64).startswith(b"HTTP/1.1 408")
    with _connect(port, key, len(body)) as gone:
        gone.sendall(body)  # and nobody waits for the answer
    with _connect(port, key, len(body)):
        pass  # gone in the middle
    for _ in range(200):
        if us.counts()[1] == 30:
            break
        time.sleep(0.02)
    assert us.counts() == (30, 30)
    assert us.buy(key, "k", count=30, seed=1).status_code == 200
    assert us.counts() == (30, 30)
