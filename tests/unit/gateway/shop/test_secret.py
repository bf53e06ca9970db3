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
from ganguard.queries.ledger import Ledger

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
    path.write_bytes(b"quite another, and as long")
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
    refused = them.buy(key, "k", count=2)
    assert refused.status_code == 409
    assert "secret changed" in refused.json()["detail"]
    assert them.counts() == (2, 2)
    assert them.buy(key, "new", count=2).status_code == 200


def test_where_nothing_was_bought_any_secret_will_do(gateway: Start, path: Path) -> None:
    gateway()
    path.write_bytes(b"an owner's own, and as long")
    us = gateway()
    us.buy(us.key(), count=1)
    path.write_bytes(b"yet another, and as long")
    with pytest.raises(SpecError, match="not the secret that images were bought under"):
        gateway()


def test_a_ledger_with_purchases_and_no_secret_is_refused(gateway: Start, path: Path) -> None:
    us = gateway()
    us.buy(us.key(), count=1)
    with us.service.database.transaction("lose the digest") as connection:
        connection.exec_driver_sql("DROP TABLE gateway_secret")
    with pytest.raises(SpecError, match=r"ledger\.sqlite: images were bought in this ledger") as refused:
        gateway()
    assert "\n" not in str(refused.value)
    path.unlink()
    with pytest.raises(SpecError, match="it does not say under which secret: no gateway sold them"):
        gateway()
    assert not path.exists()
    Service(us.service.spec, new_secret=True).close()
    gateway()


def test_a_ledger_that_others_bought_from_is_refused(gateway: Start, path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.with_name("ledger.sqlite").touch(0o600)
    with Ledger(path.with_name("ledger.sqlite")) as ledger:
        ledger.open_account("audit", 5)
        ledger.reserve("a", "audit", 5, "sample seed=0 indices=0:5")
    with pytest.raises(SpecError, match="Give a ledger of the gateway's own, or start with `--new-secret`"):
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
    secret = tmp_path / "other" / "secret"
    secret.parent.chmod(0o700)
    secret.touch(0o600)
    secret.write_bytes(b"an owner's own, and as long")
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
