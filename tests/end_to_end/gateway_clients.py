"""Clients of a gateway under load: honest, slow and hostile ones, and what each was answered."""

import http.client
import json
import random
import socket
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

from gateway_site import Site
from torch import Tensor

from ganguard.targets.wire import from_npz

THOUGHT = 0.05  # seconds between a client's requests, in the mean
IN_TIME = 60.0  # seconds that a client waits for an answer
CAPACITY = frozenset({"too many", "closing", "not now"})


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        status: the HTTP status.
        body: the body.
        key: the idempotency key in its header; None if there was none.
        begun, ended: when it was asked for and had come, in monotonic seconds.
    """

    status: int
    body: bytes
    key: str | None
    begun: float
    ended: float

    def problem(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass
class Tally:
    """What all clients were answered.

    Attributes:
        site: the gateways that they asked.
        most: answers after which the clients stop.
        statuses: requests by kind of client and status; 0 if the connection ended without an answer.
        unexplained: answers of 5xx that no fault explains, and whatever else ought not to be.
    """

    site: Site
    most: int
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    unexplained: list[str] = field(default_factory=list[str])
    enough: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, who: str, status: int, begun: float, body: bytes = b"") -> None:
        if not status:
            time.sleep(0.1)  # a host that is away is not asked without a pause
        with self._lock:
            self.statuses[who, status] += 1
            if self.answers() >= self.most:
                self.enough.set()
            if status >= 500 and not self._explained(status, begun, body):
                self.unexplained.append(f"{who}: {status} {body[:300]!r}")

    def answers(self) -> int:
        """Return how many requests were answered."""
        return sum(n for (_, status), n in self.statuses.items() if status)

    def wrong(self, said: str) -> None:
        with self._lock:
            self.unexplained.append(said)

    def _explained(self, status: int, begun: float, body: bytes) -> bool:
        """A 503 is explained by a fault, or if it says that there is no room; no other 5xx ever is."""
        if status != 503:
            return False
        with suppress(ValueError):
            if any(word in json.loads(body)["detail"] for word in CAPACITY):
                return True
        return self.site.explains(begun, time.monotonic())


class Wire:
    """A kept connection to one host after the other: the next one if the connection ends."""

    def __init__(self, tally: Tally, who: str, key: str) -> None:
        self._tally, self._who, self._turn = tally, who, hash(who)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._open: http.client.HTTPConnection | None = None

    def buy(self, body: dict[str, Any], idempotency: str | None) -> Answer | None:
        """Send one request; return None if the connection ended without an answer."""
        headers = self._headers | ({"Idempotency-Key": idempotency} if idempotency else {})
        begun = time.monotonic()
        try:
            if self._open is None:
                port = self._tally.site.hosts[self._turn % len(self._tally.site.hosts)].port
                self._open = http.client.HTTPConnection("127.0.0.1", port, timeout=IN_TIME)
            self._open.request("POST", "/v1/images", json.dumps(body), headers)
            answer = self._open.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            self._tally.count(self._who, 0, begun)
            return None
        self._tally.count(self._who, answer.status, begun, content)
        key = answer.headers["Idempotency-Key"]
        return Answer(answer.status, content, key, begun, time.monotonic())

    def close(self) -> None:
        self._turn += 1
        if self._open:
            self._open.close()
            self._open = None


@dataclass
class Bought:
    """What one client got, and what it was charged for without getting it.

    Attributes:
        account: the account that pays.
        images: the images of each idempotency key, and the request.
        lost: requests without a key of the client's whose connection ended without an answer: their
            images may have been reserved.
        spent_out: whether the account's budget refused a request.
    """

    account: str
    images: dict[str, tuple[dict[str, Any], Tensor]] = field(
        default_factory=dict[str, tuple[dict[str, Any], Tensor]]
    )
    lost: int = 0
    spent_out: bool = False


class Buyer:
    """An honest client: it asks until it is answered, under one idempotency key, and then for the next.

    Args:
        number: its number.
        account: the account that pays.
        key: the account's key.
        tally: what all clients were answered.
        own: whether it makes idempotency keys; otherwise it learns the key from the first answer.
        shape: the shape of an image.
    """

    def __init__(
        self, number: int, account: str, key: str, tally: Tally, *, own: bool, shape: tuple[int, int, int]
    ) -> None:
        self.bought, self._number, self._own, self._shape = Bought(account), number, own, shape
        self._tally, self._wire = tally, Wire(tally, "buyer", key)

    def go_on(self) -> None:
        draw = random.Random(self._number)
        made = 0
        while not self._tally.enough.is_set() and not self.bought.spent_out:
            self.buy(self._body(draw, made), f"{self._number}-{made}" if self._own else None)
            made += 1
            time.sleep(draw.uniform(0.0, 2 * THOUGHT))
        self.close()

    def close(self) -> None:
        self._wire.close()

    def _body(self, draw: random.Random, made: int) -> dict[str, Any]:
        count = draw.randint(1, 4)
        if draw.random() < 0.5:
            return {"count": count, "seed": self._number, "start": 4 * made, "format": "npz"}
        if draw.random() < 0.5:
            return {"latents": [[draw.gauss(0, 1) for _ in range(5)] for _ in range(count)], "format": "npz"}
        return {"count": count, "format": "npz"}

    def buy(self, body: dict[str, Any], key: str | None) -> None:
        """Buy one request's images. A client whose key is not known gives up if the connection ends."""
        for _ in range(1000):
            answer = self._wire.buy(body, key)
            if answer is None:
                if key is None:
                    self.bought.lost += 1
                    return
                continue
            if answer.status == 200:
                count = len(body["latents"]) if "latents" in body else body["count"]
                self.bought.images[answer.key or ""] = body, from_npz(answer.body, count, self._shape)
                return
            if answer.status == 402:
                self.bought.spent_out = True
                return
            if answer.status not in (429, 503):
                return self._tally.wrong(f"an honest client met {answer.status}: {answer.body[:300]!r}")
            key = key or answer.key
            time.sleep(0.2)
        self._tally.wrong(f"never answered: {body}")


def answer_at(sock: socket.socket) -> tuple[int, bytes]:
    """Read a socket to its end, and return the status and the body of the answer; status 0 for none."""
    sock.settimeout(IN_TIME)
    parts: list[bytes] = []
    while part := sock.recv(65_536):
        parts.append(part)
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    return (int(head.split()[1]) if head.startswith(b"HTTP/1.1 ") else 0), body


class Slow:
    """A client that sends and reads slowly, or goes away in the middle."""

    def __init__(self, number: int, key: str, tally: Tally) -> None:
        self._draw, self._tally = random.Random(number), tally
        body = json.dumps({"count": 1}).encode()
        head = f"POST /v1/images HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        head = f"{head}Content-Type: application/json\r\n"
        length = f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        self._request = head.encode() + length.encode() + body

    def go_on(self) -> None:
        while not self._tally.enough.is_set():
            host = self._draw.choice(self._tally.site.hosts)
            begun, status, body = time.monotonic(), 0, b""
            with suppress(OSError), closing(socket.create_connection(("127.0.0.1", host.port), 5)) as sock:
                cut = self._draw.randrange(len(self._request))
                sock.sendall(self._request[:cut])
                time.sleep(self._draw.uniform(0.0, 2.0))
                if self._draw.random() < 0.7:
                    sock.sendall(self._request[cut:])
                    time.sleep(self._draw.uniform(0.0, 1.0))
                    status, body = answer_at(sock)
            self._tally.count("slow", status, begun, body)


class Stranger:
    """A hostile client: bodies, heads and keys that no honest client sends."""

    def __init__(self, number: int, key: str, tally: Tally) -> None:
        self._draw, self._key, self._tally = random.Random(number), key, tally

    def go_on(self) -> None:
        while not self._tally.enough.is_set():
            host = self._draw.choice(self._tally.site.hosts)
            begun, status, body = time.monotonic(), 0, b""
            with suppress(OSError), closing(socket.create_connection(("127.0.0.1", host.port), 5)) as sock:
                sock.sendall(self._draw.choice(self._requests())())
                status, body = answer_at(sock)
            self._tally.count("hostile", status, begun, body)
            time.sleep(self._draw.uniform(0.0, 2 * THOUGHT))
            if b"Traceback" in body or b"/src/" in body:
                self._tally.wrong(f"an answer says too much: {body[:300]!r}")

    def _requests(self) -> list[Any]:
        return [
            self._unknown_keys,
            self._wrong_key,
            self._twice,
            self._both_lengths,
            self._noise,
            self._health,
        ]

    def _post(self, body: bytes, *more: str, key: str | None = None) -> bytes:
        lines = [
            "POST /v1/images HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {key or self._key}",
            "Content-Type: application/json",
            "Connection: close",
            *more,
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def _unknown_keys(self) -> bytes:
        return self._post(json.dumps({f"key {n}": n for n in range(150)}).encode())

    def _wrong_key(self) -> bytes:
        return self._post(b"{}", key=f"gg_{self._draw.randbytes(8).hex()}_{'0' * 64}")

    def _twice(self) -> bytes:
        return self._post(b'{"count": 1}', f"Authorization: Bearer {self._key}")

    def _both_lengths(self) -> bytes:
        return self._post(b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n", "Transfer-Encoding: chunked")

    def _noise(self) -> bytes:
        return self._draw.choice(
            [
                self._draw.randbytes(300) + b"\r\n\r\n",
                self._post(b"[" * 3000),
                self._post(b'{"count": 1e999}'),
                self._post(b'{"count": ' + b"9" * 3000 + b"}"),
                self._post(b'{"latents": [[1e308, NaN]]}'),
            ]
        )

    def _health(self) -> bytes:
        return b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
