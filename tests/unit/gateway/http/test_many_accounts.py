"""Ten thousand accounts: the page shows some at a time, and nothing grows with their number that need not."""

import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert

from ganguard.gateway.http.operator_page import render
from ganguard.gateway.tables import CROSSINGS, HOURS, KEYS, SIGNS
from ganguard.gateway.watch.accounts import PAGE, account_page
from ganguard.gateway.watch.hours import hour_now
from ganguard.gateway.watch.signs import FAR
from ganguard.gateway.watch.telemetry import MOST_ACCOUNTS
from ganguard.queries.ledger_tables import ACCOUNTS
from ganguard.targets.wire import Scopes

Start = Callable[..., Any]
MANY = 10_000


def copy(budget: int, value: float) -> dict[str, Any]:
    said = {"subject": "substitute", "metric": "frechet_distance", "against": "target"}
    whose = {"attack": "fidelity sngan", "seed": 0, "query_budget": budget}
    return {**said, **whose, "value": value, "spread": 0.1 * value}


@pytest.fixture
def crowd(gateway: Start, tmp_path: Path, identity: str) -> Any:
    """A gateway with many accounts, of which each has bought as many images as its number says."""
    rows = [copy(10, 4.0), copy(1000, 0.5)]
    found = {"format": 1, "name": "digits", "target": {"identity": identity}, "measurements": rows}
    (tmp_path / "results.json").write_text(json.dumps(found))
    us = gateway(risk={"results": str(tmp_path), "thresholds": [1.5]}, classes={"gold": {"defences": "none"}})
    names, scopes = [f"account {n:04}" for n in range(MANY)], Scopes().model_dump_json()
    key = {"digest": "", "created": 0.0, "scopes": scopes, "revoked": False}
    with us.service.database.transaction("crowd") as connection:
        accounts = [
            {"name": name, "budget": MANY, "reserved": n, "delivered": 0} for n, name in enumerate(names)
        ]
        connection.execute(insert(ACCOUNTS), accounts)
        keys = [
            {**key, "id": f"{n} {k}", "account": name, "class": "gold" if n % 3 else "default"}
            for n, name in enumerate(names)
            for k in range(3)
        ]
        connection.execute(insert(KEYS), keys)
        hours = [{"account": name, "hour": hour_now() - n % 40, "images": 1} for n, name in enumerate(names)]
        connection.execute(insert(HOURS), hours)
    return us


def shown(text: str) -> list[str]:
    return re.findall(r"<h3>(.*?)</h3>", text)


def statements(database: Any, do: Callable[[], object]) -> list[str]:
    """The statements and commits of `do`; the gateway's own threads look at the risk meanwhile."""
    seen: list[str] = []
    ours = threading.get_ident()

    def executed(*values: Any) -> None:
        if threading.get_ident() == ours:
            seen.append(values[2])

    def committed(_: object) -> None:
        if threading.get_ident() == ours:
            seen.append("COMMIT")

    engine = database._engine
    event.listen(engine, "before_cursor_execute", executed)
    event.listen(engine, "commit", committed)
    do()
    event.remove(engine, "before_cursor_execute", executed)
    event.remove(engine, "commit", committed)
    return seen


def test_crossings_share_a_transaction(crowd: Any) -> None:
    writes = statements(crowd.service.database, crowd.service.watch.update)
    assert crowd.service.watch.crossings.counts() == {1.5: 9912}
    assert len([said for said in writes if said.startswith("INSERT")]) < 50
    assert len(writes) < 80
    again = statements(crowd.service.database, crowd.service.watch.update)
    assert len(again) < 20
    assert not [said for said in again if said.startswith("INSERT")]


def test_a_page_asks_the_database_no_more_for_many(crowd: Any) -> None:
    crowd.service.watch.update()
    asked = statements(crowd.service.database, lambda: render(crowd.service, []))
    assert len([said for said in asked if said != "COMMIT"]) < 30


def test_metrics_name_the_nearest_accounts_alone(crowd: Any) -> None:
    admin = crowd.key("operator", 0, Scopes(admin=True))
    text = crowd.get("/metrics", admin).text
    named = set(re.findall(r'account="(account \d+)"', text))
    assert named == {f"account {n}" for n in range(MANY - MOST_ACCOUNTS, MANY)}
    assert 'ganguard_extraction_accounts{class="gold",threshold="1.5"} 6608.0' in text
    assert 'ganguard_extraction_accounts{class="default",threshold="1.5"} 3304.0' in text
    assert len(text.splitlines()) < 200
    with crowd.service.database.transaction("buy more") as connection:
        connection.execute(ACCOUNTS.update().where(ACCOUNTS.c.name == "account 0005").values(reserved=MANY))
    text = crowd.get("/metrics", admin).text
    assert 'account="account 0005"' in text
    assert f'account="account {MANY - MOST_ACCOUNTS}"' not in text


def test_pages_show_each_account_once_and_signs_first(crowd: Any) -> None:
    row = {"sign": FAR, "value": 4.0, "limit": 1.5, "codes": 64, "times": 1, "counted": 64}
    with crowd.service.database.transaction("raise") as connection:
        now = {"at": time.time(), "seen": time.time()}
        rows = [
            {**row, **now, "account": f"account {n:04}", "raised": up} for n, up in ((17, True), (18, False))
        ]
        connection.execute(insert(SIGNS), rows)
        connection.execute(insert(CROSSINGS).values(account="account 0017", threshold=9.0, images=3, at=0.0))
    first = render(crowd.service, [])
    assert shown(first)[:3] == ["account 0017", "account 9999", "account 9998"]
    assert len(shown(first)) == PAGE
    assert "10,000 accounts;" in first
    assert "page 1 of 200" in first
    assert 'href="?page=2"' in first
    assert "threshold 9 reached" in first
    names = [name for n in range(1, 201) for name in account_page(crowd.service.database, n).bought]
    assert len(set(names)) == len(names) == MANY
    assert shown(render(crowd.service, [], 10**9)) == names[-PAGE:]


def test_an_account_is_found_by_a_part_of_its_name(crowd: Any) -> None:
    text = render(crowd.service, [], 1, "ACCOUNT 00")
    assert "100 accounts with “ACCOUNT 00” in the name" in text
    assert 'href="?page=2&amp;account=ACCOUNT+00"' in text
    assert shown(text)[0] == "account 0099"
    assert shown(render(crowd.service, [], 1, "%")) == []
    assert "&lt;script&gt;" in render(crowd.service, [], 1, "<script>")
    assert "page 1 of" not in render(crowd.service, [], 1, "account 0042")


@pytest.mark.parametrize("asked", ["?page=0", "?page=-1", "?page=x", f"?account={'x' * 81}"])
def test_what_is_no_page_is_refused(gateway: Start, asked: str) -> None:
    us = gateway()
    assert us.get(f"/{asked}", us.key("operator", 0, Scopes(admin=True))).status_code == 422


@pytest.mark.slow
def test_it_takes_no_time(crowd: Any) -> None:
    """A second instead of minutes; a quiet machine needs a tenth of that."""
    begun = time.monotonic()
    crowd.service.watch.update()
    render(crowd.service, [])
    assert time.monotonic() - begun < 5
