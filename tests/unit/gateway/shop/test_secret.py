"""The secret that images follow from: durable, and not quietly another one."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganguard.base.errors import SpecError
from ganguard.base.settings import parse
from ganguard.gateway.shop.secret import secret_of
from ganguard.gateway.shop.service import Service
from ganguard.gateway.spec import GatewaySpec

Start = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "secret"


def test_a_lost_secret_is_not_replaced_where_images_were_bought(gateway: Start, path: Path) -> None:
    us = gateway()
    us.buy(us.key(), count=1)
    path.unlink()
    with pytest.raises(
        SpecError, match=r"the secret is missing, and images were bought under it\. Restore the file"
    ):
        gateway()
    assert not path.exists()


def test_another_secret_is_refused_and_the_old_one_is_not(gateway: Start, path: Path) -> None:
    us = gateway()
    key = us.key()
    first = us.buy(key, "k", count=2)
    old = path.read_bytes()
    path.write_bytes(b"quite another")
    with pytest.raises(SpecError, match="not the secret that images were bought under"):
        gateway()
    path.write_bytes(old)
    assert gateway().buy(key, "k", count=2).content == first.content


def test_another_secret_may_be_meant(gateway: Start, path: Path) -> None:
    us = gateway()
    key = us.key()
    us.buy(key, "k", count=2)
    path.unlink()
    Service(us.service.spec, new_secret=True).close()
    them = gateway()
    assert them.buy(key, "k", count=2).status_code == 200
    assert them.counts() == (4, 4)  # it bought anew


def test_where_nothing_was_bought_any_secret_will_do(gateway: Start, path: Path) -> None:
    gateway()
    path.write_bytes(b"an owner's own")
    us = gateway()
    us.buy(us.key(), count=1)
    path.write_bytes(b"yet another")
    with pytest.raises(SpecError, match="not the secret that images were bought under"):
        gateway()


def test_a_ledger_from_before_secrets_were_recorded_is_taken_as_it_is(gateway: Start, path: Path) -> None:
    us = gateway()
    us.buy(us.key(), count=1)
    with us.service.database.transaction("make it as it was") as connection:
        connection.exec_driver_sql("DROP TABLE gateway_secret")
    gateway()
    path.unlink()
    with pytest.raises(SpecError, match="the secret is missing"):
        gateway()


def test_two_gateways_of_one_ledger_need_one_secret(
    tmp_path: Path, generator: Path, postgres: Any, monkeypatch: Any
) -> None:
    monkeypatch.setenv("GATEWAY_LEDGER", postgres.database())

    def service(directory: str) -> Service:
        said = {
            "target": {"checkpoint": str(generator)},
            "directory": str(tmp_path / directory),
            "ledger": "env:GATEWAY_LEDGER",
        }
        return Service(parse(GatewaySpec, said, "spec"))

    one = service("one")
    one.ledger.open_account("us", 5)
    one.ledger.reserve("a", "us", 1, "first")
    with pytest.raises(SpecError, match="the secret is missing"):
        service("other")
    (tmp_path / "other").mkdir()
    secret = tmp_path / "other" / "secret"
    secret.write_bytes(b"an owner's own")
    with pytest.raises(SpecError, match="not the secret that images were bought under"):
        service("other")
    secret.write_bytes((tmp_path / "one" / "secret").read_bytes())
    service("other").close()
    one.close()


def test_a_secret_is_durable_once_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []

    def fsync(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))

    monkeypatch.setattr(os, "fsync", fsync)
    secret_of(tmp_path)
    assert Path(synced[0]).name.startswith(".secret.")
    assert synced[1] == str(tmp_path)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
