"""`ganguard check` and `--dry-run` of an API that charges for every image."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_server import ImageApi, serving, status

from ganguard.audit.check import pace

Cli = Callable[..., tuple[int, str, str]]
ATTACK = {"kind": "fidelity", "architecture": {"kind": "dcgan", "width": 4}, "query_budget": 20}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[ImageApi]:
    monkeypatch.setattr(pace, "LONG_ENOUGH", 0.0)
    monkeypatch.setattr(pace, "COMPARED", 50)
    with serving() as found:
        yield found


@pytest.fixture
def write(tmp_path: Path, api: ImageApi) -> Callable[..., None]:
    """Write mine.yaml, the spec of an audit of the API."""

    def spec(target: dict[str, Any] | None = None, **values: Any) -> None:
        asked = {"base_url": api.url, "model": "m", "prompts": ["x"], "size": 8, "channels": 1}
        said = {
            "target": {"openai": {**asked, "answers": str(tmp_path / "answers"), **(target or {})}},
            "real": "digits",
            "features": "random_network",
            "attacks": [{**ATTACK, "steps": 2, "batch_size": 8}],
            "samples": 10,
            "price": 0.5,
            **values,
        }
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(said))

    return spec


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": {"channels": 3}},
        {"features": {"kind": "torchscript", "path": "absent.pt", "trusted": True}},
        {"attacks": [{**ATTACK, "steps": 2, "substitute": {"checkpoint": "absent"}}]},
    ],
)
def test_nothing_is_bought_to_look_at_if_something_is_wrong(
    cli: Cli, write: Callable[..., None], api: ImageApi, wrong: dict[str, Any]
) -> None:
    write(**wrong)
    code, out, err = cli("check", "mine.yaml")
    assert code == 2, (out, err)
    assert api.asked == []


def test_what_did_not_come_is_still_to_be_paid(
    cli: Cli, write: Callable[..., None], api: ImageApi, tmp_path: Path
) -> None:
    write()
    left = "Images: 40 are left to buy; at 0.5 each they cost 20.00"
    api.script.append(status(402))
    code, out, _ = cli("check", "mine.yaml")
    assert code != 0
    assert "wants to be paid first" in out
    for said in (out, cli("audit", "mine.yaml", "--dry-run")[1]):
        assert left in said
    code, out, _ = cli("check", "mine.yaml")
    assert code == 0
    assert "Target: 10 images of 1×8×8. 10 were bought; the audit does not buy them again." in out
    assert "Images: 30 are left to buy; at 0.5 each they cost 15.00" in out
    assert api.made == 10
    assert re.search(r"Speed: [\d.,e+]+ images a second", out)
    timed = (tmp_path / "audits" / "mine" / "check.json").read_text()
    for more in ([], ["--out", "elsewhere"]):  # of stored images, and of kept answers
        out = cli("check", "mine.yaml", *more)[1]
        assert "Speed: not measured, since all of them were bought before." in out
    assert api.made == 10
    drawing = json.loads((tmp_path / "audits" / "mine" / "check.json").read_text())["drawing"]
    assert drawing == json.loads(timed)["drawing"]
