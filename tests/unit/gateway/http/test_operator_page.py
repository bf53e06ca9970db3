"""The operator's page: what it says, to whom, and that it fits a phone."""

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, layout

from ganguard.gateway.http.operator_page import bars
from ganguard.targets.wire import Scopes

Start = Callable[..., Any]


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
def busy(gateway: Start, tmp_path: Path, identity: str) -> tuple[Any, str]:
    """A gateway whose accounts have bought, and the operator's key."""
    rows = [copy(10, 4.0), copy(1000, 0.5)]
    found = {"format": 1, "name": "digits", "target": {"identity": identity}, "measurements": rows}
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
    assert re.search(r"threshold 1.5 reached on \d\d \w{3} \d{4}, \d\d:\d\d UTC, with 120 images", text)
    assert "Threshold 0.25 is never reached" in text
    assert "codes next to another: 100 % of the last 80 codes; limit 18.8 %" in text
    assert re.search(
        r"raised on \d\d \w{3} \d{4}, \d\d:\d\d UTC: 100 % of the last 64 codes; limit 20.3 %; last seen",
        text,
    )
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
    assert "None may buy yet." in page(us, key)
    us.key("alice", 10)
    assert "None may buy yet." not in page(us, key)


def test_bars_end_now_and_the_tallest_fills_the_drawing() -> None:
    assert bars([(952, 99), (953, 99), (1000, 10)], 1000)[0][:2] == (0.0, 0.0)
    drawn = bars([(999, 5), (1000, 10)], 1000)
    assert [(x, y, high) for x, y, _, high in drawn] == [(184.0, 20.0, 20.0), (188.0, 0.0, 40.0)]
    assert bars([], 1000) == []


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_a_phone_and_a_screen(busy: tuple[Any, str], tmp_path: Path, width: int) -> None:
    found = layout(page(*busy), tmp_path, width)
    assert found.wide <= found.room <= width
    assert (found.images, found.drawn) == (2, True)
