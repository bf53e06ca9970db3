"""Targets at an image API of the tests, as a spec names them, and what buying from them costs."""

from pathlib import Path
from typing import Any

import torch
from api_server import ImageApi

from ganguard.base.compute import Compute
from ganguard.queries.harvest import harvest
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store
from ganguard.targets.api.target import ApiTarget
from ganguard.targets.load import load_target, parse_target

BODY = {"text": "$PROMPT", "seed": "$SEED", "nested": [{"n": "$INDEX"}, "number $INDEX"]}
COMPUTE = Compute(device="cpu", threads=1)


def openai(api: ImageApi, tmp_path: Path, **values: Any) -> dict[str, Any]:
    said = {"base_url": api.url, "model": "m", "prompts": ["a cat", "a dog"], "size": "8x8"}
    return {"openai": {**said, "answers": str(tmp_path / "answers"), **values}}


def http(
    api: ImageApi, tmp_path: Path, request: dict[str, Any] | None = None, **values: Any
) -> dict[str, Any]:
    request = {"url": f"{api.url}/make", "body": BODY, **(request or {})}
    said = {"request": request, "image": "$.data[0].b64_json", "prompts": ["a cat"], "size": 8}
    return {"http": {**said, "answers": str(tmp_path / "answers"), **values}}


def opened(value: dict[str, Any]) -> ApiTarget:
    settings = parse_target(value)
    assert parse_target(settings.model_dump(mode="json")) == settings
    target = load_target(settings, COMPUTE)
    assert isinstance(target, ApiTarget)
    return target


def bought(target: ApiTarget, folder: Path, count: int, budget: int) -> torch.Tensor:
    ledger = Ledger(folder / "ledger.sqlite")
    ledger.open_account("us", budget)
    store = Store(folder / "store", target.identity, "us", 0)
    return harvest(meter(target, ledger, "us"), store, count)


def spent(folder: Path) -> int:
    with Ledger(folder / "ledger.sqlite") as ledger:
        return ledger.balance("us").reserved
