"""Room in bytes of memory, and what accounts of odd names share with others: nothing."""

import json
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ganguard.base.errors import SpecError
from ganguard.base.settings import parse
from ganguard.gateway.private_files import keep_private
from ganguard.gateway.refusals import ProblemError
from ganguard.gateway.shop.admission import Admission
from ganguard.gateway.shop.keys import Keys
from ganguard.gateway.shop.memory import Memory
from ganguard.gateway.shop.offers import OPERATOR
from ganguard.gateway.shop.service import Service
from ganguard.gateway.spec import GatewaySpec
from ganguard.queries.ledger import Ledger
from ganguard.queries.ledger_database import Database
from ganguard.targets.wire import Scopes

Start = Callable[..., Any]
MIB = 1 << 20


def test_bytes_are_shared_as_images_are() -> None:
    admission, held = Admission(10_000, 100), ExitStack()

    def take(account: str, size: int) -> bool:
        try:
            held.enter_context(admission.room(account, 1, size))
        except ProblemError as full:
            assert (full.problem.status, full.problem.type) == (503, "urn:ganguard:problem:no-room")
            return False
        return True

    assert sum(take("greedy", 10) for _ in range(20)) == 5
    assert sum(take("other", 10) for _ in range(20)) == 2
    assert take("third", 10)
    assert not take("greedy", 1)
    held.close()
    assert (admission.inside, admission.occupied) == (0, 0)
    assert take("alone", 100)
    assert not take("alone", 1)
    held.close()


def test_room_that_is_needed_no_more_is_given_back() -> None:
    admission = Admission(10, 100)
    with admission.room("us", 2, 90) as room:
        room.shrink(120)
        assert admission.occupied == 90
        room.shrink(30)
        assert (admission.inside, admission.occupied) == (2, 30)
        room.shrink(40)
        with admission.room("them", 1, 20):
            assert (admission.inside, admission.occupied) == (3, 50)
    assert (admission.inside, admission.occupied) == (0, 0)


def test_an_order_that_never_fits_is_told_how_many_do(
    gateway: Start, tiny_checkpoint: Any, tmp_path: Path
) -> None:
    large = tiny_checkpoint(tmp_path / "large", image_shape=(3, 128, 128))
    us = gateway(target={"checkpoint": str(large)}, most_mib=2)
    each = Memory(us.service.batching.inner, 2).an_image
    fits = 2 * MIB // each
    assert 2 < fits < 10
    key = us.key()
    codes = [{"latents": [[0.1] * 5] * number} for number in (fits + 1, 300)]
    for body in ({"count": fits + 1}, {"count": 1 << 20}, *codes):
        answer = us.buy(key, **body)
        assert answer.status_code == 403
        assert f"at most {fits} images at once" in answer.json()["detail"]
    assert us.get("/v1/account", key).json()["scopes"]["most_images"] == fits
    assert us.buy(key, count=fits).status_code == 200
    with us.service.admission.room("them", 1, 2 * MIB - 2 * each):
        assert us.buy(key, count=3).status_code == 503
        assert us.buy(key, count=1).status_code == 200
    assert us.counts() == (fits + 1, fits + 1)
    assert us.service.admission.occupied == 0


def test_a_room_without_place_for_one_image_is_refused_at_the_start(
    tiny_checkpoint: Any, tmp_path: Path
) -> None:
    large = tiny_checkpoint(tmp_path / "large", image_shape=(3, 256, 256))
    said = {"target": {"checkpoint": str(large)}, "directory": str(tmp_path / "state"), "most_mib": 1}
    with pytest.raises(SpecError, match=r"most_mib: must be at least 2, .*; got 1") as refused:
        Service(parse(GatewaySpec, said, "spec"))
    assert "\n" not in str(refused.value)


def test_an_answer_that_is_sent_holds_what_it_takes(gateway: Start) -> None:
    us, seen = gateway(), []
    app, key = us.client.app, us.key()
    body = b'{"count": 5, "format": "npz"}'

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        seen.append((len(message.get("body", b"")), us.service.admission.occupied))

    headers = [(b"authorization", f"Bearer {key}".encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/images", "headers": headers}
    us.client.portal.call(app, {**scope, "query_string": b"", "state": {}}, receive, send)
    length = max(size for size, _ in seen)
    assert {occupied for _, occupied in seen} == {2 * length}
    assert 2 * length < Memory(us.service.batching.inner, 2).of_images(5)
    assert us.service.admission.occupied == 0


ODD = (
    "us redeems",
    "operator",
    "rehearsal",
    "redeems",
    "us",
    "us buys",
    "('us', 'redeems')",
    "operator page",
)


def test_no_accounts_rate_is_anothers(gateway: Start) -> None:
    """Whoever redeems as much as it may leaves the account with that name alone."""
    us = gateway(most_images=4, classes={"rated": {"images_a_minute": 40}})
    rated = us.key("us redeems", class_="rated")
    key = us.key("us")
    assert us.buy(key, "k", count=4).status_code == 200
    redeemed = [us.buy(key, "k", count=4).status_code for _ in range(14)]
    assert redeemed.count(200) >= 10
    assert redeemed[-1] == 429
    assert [us.buy(rated, count=4).status_code for _ in range(10)] == [200] * 10


def test_the_operators_samples_are_no_accounts_images(gateway: Start) -> None:
    """No account's name is one of ours: neither noise nor turns in the queue are shared."""
    us = gateway(classes={"default": {"defences": {"kind": "gaussian_noise", "std": 0.2}}})
    sample = us.service.target_for(OPERATOR, "default").sample(range(8), seed=1)
    for account in ODD:
        theirs = us.service.target_for(account, "default").sample(range(8), seed=1)
        assert not (theirs == sample).all()


def test_no_account_has_a_name_of_ours(tmp_path: Path) -> None:
    database = Database(tmp_path / "ledger.sqlite")
    with pytest.raises(SpecError, match="printable"):
        Keys(database).create(OPERATOR, "default", Scopes())
    for account in ODD:
        Keys(database).create(account, "default", Scopes())
    database.close()
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert {balance.account for balance in ledger.balances()} == {*ODD}


BIG = """
    import torch

    class Big(torch.nn.Module):
        latent_dim = 4

        def __init__(self):
            super().__init__()
            noise = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(0))
            self.register_buffer("noise", noise * 1.8 - 0.9)

        def forward(self, z):
            return self.noise * torch.sigmoid(z[:, 0])[:, None, None, None]
"""


@contextmanager
def server(folder: Path, most_mib: int) -> Generator[tuple[int, int, list[str]]]:
    """A server of large images in a process of its own: its id, its port, and keys."""
    (folder / "big.py").write_text(textwrap.dedent(BIG))
    spec = folder / "gateway.yaml"
    said = {
        "target": {"python": "big:Big"},
        "directory": str(folder / "state"),
        "port": 0,
        "most_mib": most_mib,
    }
    spec.write_text(json.dumps(said))
    opened = parse(GatewaySpec, said, "spec")
    keep_private(opened)
    database = Database(opened.place())
    keys = [Keys(database).create(f"account {n}", "default", Scopes(), 10_000)[0] for n in range(12)]
    database.close()
    run = "import sys; from ganguard.cli.main import main; sys.argv[1:] = ['serve', 'gateway.yaml']; main()"
    command = [sys.executable, "-c", run]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as started:
        try:
            assert started.stdout
            yield started.pid, int(started.stdout.readline().rpartition(":")[2]), keys
        finally:
            started.terminate()
            started.wait(60)


def resident(process: int) -> int:
    """The resident memory of a process, in MiB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) >> 10


def asking(port: int, key: str) -> tuple[socket.socket, str]:
    """A connection that asks for 64 images and reads no more than the status of the answer."""
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    opened.settimeout(120)
    opened.connect(("127.0.0.1", port))
    body = b'{"count": 64}'
    head = f"POST /v1/images HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    opened.sendall(head.encode() + body)
    return opened, opened.recv(12).decode().partition(" ")[2]


@pytest.mark.slow
def test_answers_that_are_not_read_take_bounded_memory(tmp_path: Path) -> None:
    """Twelve accounts ask for 64 images of 512 x 512 each, again and again, and read none."""
    most = 1024  # MiB; without a bound these answers would take three times as much
    with server(tmp_path, most) as (process, port, keys), ExitStack() as kept:
        asking(port, keys[0])[0].close()  # the network has run, and one answer was made
        time.sleep(1)
        before, largest, told = resident(process), 0, list[str]()
        for key in keys * 2:
            opened, status = asking(port, key)
            kept.enter_context(opened)
            told.append(status)
            largest = max(largest, resident(process))
        assert {*told} == {"200", "503"}
        assert 3 <= told.count("200") <= 8
        assert largest - before < most, f"{largest - before} MiB"
        kept.close()
        time.sleep(1)
        last, status = asking(port, keys[0])
        last.close()
        assert status == "200"  # once connections end, there is room again
