"""The operator's page: what it says, to whom, and that it fits a phone."""

import base64
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganguard.gateway.http.operator_page import bars
from ganguard.gateway.watch.journal import HOUR
from ganguard.targets.wire import Scopes

Start = Callable[..., Any]
CHROMIUM = shutil.which("chromium")


def copy(budget: int, value: float) -> dict[str, Any]:
    said = {
        "subject": "substitute",
        "metric": "frechet_distance",
        "against": "target",
        "attack": "fidelity sngan",
        "seed": 0,
    }
    return {**said, "query_budget": budget, "value": value, "spread": 0.1 * value}


@pytest.fixture
def busy(gateway: Start, tmp_path: Path) -> tuple[Any, str]:
    """A gateway whose accounts have bought, and the operator's key."""
    found = {"format": 1, "name": "digits", "measurements": [copy(10, 4.0), copy(1000, 0.5)]}
    (tmp_path / "results.json").write_text(json.dumps(found))
    us = gateway(
        risk={"results": str(tmp_path), "thresholds": [1.5, 0.25]},
        classes={
            "default": {"defences": [{"kind": "gaussian_noise", "std": 0.3}]},
            "gold": {"defences": "none"},
        },
    )
    us.buy(us.key("alice <script>"), count=120)
    us.buy(us.key("bob", class_="gold"), latents=[[0.5, -0.5, 0.25, 1.0, -1.0]] * 80)
    us.key("an account with a name that is long enough to be wider than any phone-0123456789", 0)
    us.service.journal.write()
    return us, us.key("operator", 0, Scopes(admin=True))


def page(us: Any, key: str) -> str:
    basic = base64.b64encode(f"operator:{key}".encode()).decode()
    answer = us.client.get("/", headers={"Authorization": f"Basic {basic}"})
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    return answer.text


def test_it_says_who_bought_what_and_how_near_that_is(busy: tuple[Any, str]) -> None:
    text = page(*busy)
    assert "alice &lt;script&gt;" in text
    assert "120 of 1,000 images" in text
    assert "≈ 1.3 (" in text  # 4 / 12^(log 8 / log 100)
    assert "These defences were not audited" in text
    assert re.search(r"threshold 1.5 reached on \d\d \w{3} \d{4}, with 120 images", text)
    assert "Threshold 0.25 is never reached" in text
    assert "beyond 0.05 of them" in text
    assert text.count("data:image/png;base64,") == 2
    assert "gg_" not in text


def test_it_is_for_the_operator(busy: tuple[Any, str]) -> None:
    us, _ = busy
    refused = us.client.get("/")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Basic")
    assert us.get("/", us.key("carol")).status_code == 403


def test_nobody_pays_for_what_the_operator_looks_at(busy: tuple[Any, str]) -> None:
    us, key = busy
    before = us.service.ledger.balances()
    page(us, key)
    assert us.service.ledger.balances() == before


def test_an_empty_gateway_says_what_to_do(gateway: Start) -> None:
    us = gateway()
    key, _ = us.service.keys.create("operator", "default", Scopes(admin=True))
    with us.service.database.transaction("remove the operator's own account") as connection:
        connection.exec_driver_sql("DELETE FROM accounts")
    assert "None yet." in page(us, key)


def test_bars_end_now_and_the_tallest_fills_the_drawing() -> None:
    now = 1000.5 * HOUR
    assert bars([(1000.0 * HOUR, 10), (999.0 * HOUR, 5), (10.0 * HOUR, 99)], now)[:1] != []
    drawn = bars([(1000.0 * HOUR, 10), (999.0 * HOUR, 5)], now)
    assert [(x, y, high) for x, y, _, high in drawn] == [(188.0, 0.0, 40.0), (184.0, 20.0, 20.0)]
    assert bars([], time.time()) == []


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_a_phone_and_a_screen(busy: tuple[Any, str], tmp_path: Path, width: int) -> None:
    """Chromium lays the page out within a frame of that width, and tells how wide it came out and whether
    images were drawn."""
    file, frame = tmp_path / "page.html", tmp_path / "frame.html"
    file.write_text(page(*busy))
    measure = (
        "const d=f.contentDocument,e=d.documentElement,i=[...d.images];"
        "document.title=[e.scrollWidth,e.clientWidth,i.length,i.every(x=>x.naturalWidth>0)].join(' ')"
    )
    frame.write_text(
        f'<iframe id="f" src="page.html" style="width:{width}px;height:900px;border:0" '
        f'onload="{measure}"></iframe>'
    )
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--allow-file-access-from-files",
        "--virtual-time-budget=3000",
    ]
    command = [
        str(CHROMIUM),
        *options,
        f"--user-data-dir={tmp_path / 'profile'}",
        "--dump-dom",
        frame.as_uri(),
    ]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r"<title>(\d+) (\d+) (\d+) (\w+)</title>", dumped)
    assert found, dumped[:500]
    assert int(found[1]) <= int(found[2]) <= width
    assert (found[3], found[4]) == ("2", "true")
